"""How a run's figures hold with hair, ink, blur and the like on its test images, and with metadata missing or wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.artefacts import ARTEFACTS
from nevus.errors import DataError
from nevus.evaluation.changed_images import CLEAN, FIELDS, Condition, answers, conditions
from nevus.evaluation.changed_pictures import write_strips
from nevus.evaluation.evaluate import group_indices, judge
from nevus.evaluation.figures import overall
from nevus.evaluation.operating_point import OperatingPoint, operating_point
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested import Document, Tested
from nevus.evaluation.tested_run import drawn_rows, image_paths, run_predictions, threshold_rule, whole_image_bundles
from nevus.files import write_json
from nevus.metrics.bootstrap import WeightedFigure
from nevus.metrics.comparison import compare_figures
from nevus.predictor import Predictor
from nevus.progress import CountProgress

FIGURES = ("auc", "macro_auc", "balanced_accuracy", "accuracy", "sensitivity", "specificity")
RATES = (0.1, 0.25, 0.5, 0.75, 1.0)
SEVERITIES = (1, 2, 3, 4, 5)


def robustness(
    run: Path | str,
    *,
    manifest: Path | str | None = None,
    kinds: Sequence[str] = tuple(ARTEFACTS),
    severities: Sequence[int] = SEVERITIES,
    num_images: int | None = 500,
    image_only: Path | str | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """Test a cross-validated run again with its own bundles, on the same images, changed.

    Every image goes the whole way from its file through the fold's bundle, at the thresholds that were chosen on validation rows.
    Each figure stands beside its paired difference to the unchanged images, both on the same draws of whole groups.

    Parameters
    ----------
    run
        A run's folder: predictions.csv and fold-K/bundle. It receives robustness.json and, in robustness/, what is done so far.
    manifest
        Where the images are; by default the one the run names.
    kinds, severities
        Of `nevus.data.artefacts.ARTEFACTS`, from 1 to 5.
    num_images
        Whole groups are drawn, class by class, until about as many images are reached; None takes all.
    image_only
        A run of the same recipe and folds without metadata: the answers with all metadata missing must not fall below it.
    num_resamples, seed
        Of the bootstraps; the seed also draws the subset and the artefacts.

    Raises
    ------
    DataError
        The run has no bundles, an image is not in the manifest, or a kind or severity is unknown.

    Examples
    --------
    >>> robustness("runs/zoome")["kinds"]["blur"]["5"]["differences"]["auc"]["value"]  # doctest: +SKIP
    -0.07
    """
    run = Path(run)
    table = run_predictions(run)
    tested = drawn_rows(table.test, num_images, seed)
    paths = image_paths(run, manifest, tested)
    bundles = whole_image_bundles(run, [int(fold) for fold in tested["fold"].unique()])
    taken = {field for bundle in bundles.values() for field in bundle.document["recipe"]["data"]["metadata"]}
    fields = [field for field in FIELDS if field in taken]
    wanted = conditions(kinds, severities, fields)
    found = _answers(run, bundles, tested, paths, wanted, seed)
    point = operating_point(table, threshold_rule(run), None)
    setting = _Setting(table, tested, point, num_resamples, seed)
    clean = found[f"{CLEAN}/"]
    document: Document = {
        "num_images": len(tested),
        "num_images_of_the_run": len(table.test),
        "num_groups": setting.num_groups,
        "seed": seed,
        "positive": table.positive,
        "operating_point": point.document(),
        "clean": setting.figures(clean),
        "kinds": {kind: {str(level): setting.against(clean, found[f"{kind}/{level}"]) for level in severities} for kind in kinds},
        "metadata": {
            how: {
                part: _by_rate(setting, clean, found[f"{how}/{part}"], seed)
                for part in [c.level for c in wanted if c.kind == how]
            }
            for how in ("missing", "wrong")
        },
        "image_only": None if image_only is None else _image_only(setting, found, Path(image_only)),
        "provenance": provenance or {},
    }
    document["worst"] = _worst(document)
    write_strips(run / "robustness", dict(zip(tested["image_id"], paths, strict=True)), kinds, severities, seed)
    write_json(run / "robustness.json", document)
    return document


def robustness_table(document: Document) -> str:
    """The answers in columns, for people: each kind's figure at its severities, then metadata."""
    name = "auc" if "auc" in document["clean"] else "macro_auc"
    first = document["clean"][name]
    lines = [
        f"{document['num_images']} of {document['num_images_of_the_run']} images, {document['num_groups']} groups; unchanged: "
        f"{name} {first['value']:.3f} [{first['low']:.3f}, {first['high']:.3f}]",
        f"{name} by severity",
    ]
    for kind, levels in document["kinds"].items():
        lines.append(f"  {kind:14}" + "".join(f"{part['figures'][name]['value']:8.3f}" for part in levels.values()))
    for how, parts in document["metadata"].items():
        for part, rates in parts.items():
            shown = "".join(f"{rate['figures'][name]['value']:8.3f}" for rate in rates.values())
            lines.append(
                f"  {part + ' ' + how:14}{shown}   (for {', '.join(f'{100 * float(rate):g}%' for rate in rates)} of images)"
            )
    if document["worst"]:
        lines.append(document["worst"]["words"])
    if document["image_only"]:
        lines += [part["words"] for part in document["image_only"]["figures"].values()]
    return "\n".join(lines)


class _Setting:
    """The tested rows, and figures of any answers about them."""

    def __init__(self, table: Predictions, test: pd.DataFrame, point: OperatingPoint, num_resamples: int, seed: int) -> None:
        self.table, self.test, self.point = table, test, point
        self.groups, self.num_groups, _ = group_indices(test)
        self.num_resamples, self.seed = num_resamples, seed

    def tested(self, probabilities: NDArray[np.float64]) -> Tested:
        """The rows with these answers."""
        named = {f"p_{name}": probabilities[:, index] for index, name in enumerate(self.table.classes)}
        test = self.test.assign(**named)
        judged = judge(self.table, test, self.point)
        return Tested(
            self.table, test, self.point, judged, self.groups, self.num_groups, num_resamples=self.num_resamples, seed=self.seed
        )

    def known(self, probabilities: NDArray[np.float64]) -> dict[str, WeightedFigure]:
        """The figures that these answers define."""
        figures = overall(self.tested(probabilities).judged)
        return {name: figure for name in FIGURES if (figure := figures.get(name)) is not None}

    def figures(self, probabilities: NDArray[np.float64]) -> Document:
        """Each figure with its interval."""
        return self.tested(probabilities).measure(self.known(probabilities))

    def against(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> Document:
        """The figures of `after`, and how far they lie from those of `before`."""
        judged = self.tested(before).judged
        effects = compare_figures(
            self.known(before), self.known(after), self.groups, judged.targets, num_resamples=self.num_resamples, seed=self.seed
        )
        differences = {name: {"value": e.value, "low": e.low, "high": e.high, "p": e.p} for name, e in effects.items()}
        return {"figures": self.figures(after), "differences": differences}


def _by_rate(setting: _Setting, clean: NDArray[np.float64], changed_answers: NDArray[np.float64], seed: int) -> Document:
    """Figures when a growing share of the images, drawn at random, has the change; who has it at 10% also has it at 50%."""
    drawn = np.random.default_rng([seed, 1]).random(len(clean))[:, None]
    return {f"{rate:g}": setting.against(clean, np.where(drawn < rate, changed_answers, clean)) for rate in RATES}


def _image_only(setting: _Setting, found: Mapping[str, NDArray[np.float64]], other: Path) -> Document:
    """Whether the answers with all metadata missing fall below those of the model that never had any."""
    table = Predictions.read(other / "predictions.csv")
    rows = table.test.set_index("image_id")
    if missing := [name for name in setting.test["image_id"] if name not in rows.index]:
        raise DataError(f"{other}: does not test image {missing[0]} and {len(missing) - 1} others. Give a run on the same folds.")
    if table.classes != setting.table.classes:
        raise DataError(
            f"{other}: its classes are {', '.join(table.classes)}, those of the run {', '.join(setting.table.classes)}."
        )
    without = next((found[name] for name in ("missing/all", "missing/age", "missing/sex", "missing/site") if name in found), None)
    if without is None:
        return {"run": other.name, "figures": {}, "reason": "the run's own bundles take no metadata"}
    alone = table.probabilities(rows.loc[setting.test["image_id"]].reset_index())
    # The other run's own threshold is another; what can be compared without one is the ranking and the class decided.
    names: list[str] = [name for name in ("auc", "macro_auc") if name in setting.known(alone)]
    if len(table.classes) > 2:
        names.append("balanced_accuracy")
    theirs, ours = setting.figures(alone), setting.against(alone, without)
    figures = {}
    for name in names:
        value, low = ours["figures"][name]["value"], theirs[name]["low"]
        gap = ours["differences"][name]
        holds = None if low is None else bool(value >= low)
        verdict = {True: "does not fall below", False: "FALLS BELOW", None: "cannot be compared with"}[holds]
        words = (
            f"{name} with all metadata missing, {value:.3f}, {verdict} that of the image-only model, {theirs[name]['value']:.3f} "
            f"[{low:.3f}, {theirs[name]['high']:.3f}]; difference {gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]."
        )
        figures[name] = {
            "without_metadata": ours["figures"][name],
            "image_only": theirs[name],
            "difference": gap,
            "holds": holds,
            "words": words,
        }
    return {"run": other.name, "figures": figures, "reason": None}


def _worst(document: Document) -> Document | None:
    """The kind and severity that cost most of the ranking."""
    name = "auc" if "auc" in document["clean"] else "macro_auc"
    ranked = [
        (part["differences"][name]["value"], kind, level)
        for kind, levels in document["kinds"].items()
        for level, part in levels.items()
        if part["differences"].get(name, {}).get("value") is not None
    ]
    if not ranked:
        return None
    value, kind, level = min(ranked)
    gap = document["kinds"][kind][level]["differences"][name]
    interval = f"[{gap['low']:+.3f}, {gap['high']:+.3f}]"
    words = f"Worst: {kind} at severity {level}, {name} {value:+.3f} {interval} against the same images unchanged."
    return {"kind": kind, "severity": level, "figure": name, "difference": gap, "words": words}


def _answers(
    run: Path,
    bundles: Mapping[int, Bundle],
    tested: pd.DataFrame,
    paths: Sequence[Path],
    wanted: Sequence[Condition],
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Every condition's probabilities (N, C), in the order of the rows; each fold's rows by its own bundle."""
    whole: dict[str, NDArray[np.float64]] = {}
    finished = 0
    with CountProgress("robustness", "images") as progress:

        def done(count: int) -> None:
            nonlocal finished
            finished += count
            progress(finished, len(tested))

        for fold, bundle in bundles.items():
            rows = np.flatnonzero(tested["fold"] == fold)
            found = answers(
                Predictor(bundle),
                [paths[int(row)] for row in rows],
                tested.iloc[rows],
                wanted,
                run / "robustness",
                seed=seed,
                done=done,
            )
            for name, probabilities in found.items():
                table = whole.setdefault(name, np.full((len(tested), probabilities.shape[1]), np.nan))
                table[rows] = probabilities
    return whole
