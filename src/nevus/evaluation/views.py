"""What 1, 2, 4 and 8 views of each photo bring to a run, on validation and test rows, and cost in milliseconds."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.images import read_reduced
from nevus.data.splits import OPTIMISTIC, PROTOCOLS
from nevus.errors import DataError
from nevus.evaluation.evaluate import group_indices, judge
from nevus.evaluation.figures import overall
from nevus.evaluation.latency import LATENCY_METHOD, measure_latency
from nevus.evaluation.layouts import PREFIX
from nevus.evaluation.operating_point import operating_point
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested import Tested
from nevus.evaluation.tested_run import image_paths, run_predictions, threshold_rule, whole_image_bundles
from nevus.files import write_json
from nevus.metrics.bootstrap import WeightedFigure
from nevus.metrics.comparison import compare_figures
from nevus.predictor import Predictor
from nevus.progress import CountProgress

Document = dict[str, Any]
COUNTS = (1, 2, 4, 8)
# Thresholds are chosen on the validation rows, so that figures at them say little there.
_FIGURES = {
    "validation": ("auc", "macro_auc", "brier"),
    "test": ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity", "brier"),
}
_METADATA = ("age_years", "sex", "site")
_BATCH = 32


def views(
    run: Path | str,
    *,
    manifest: Path | str | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """Predict a cross-validated run's validation and test rows again, by its own bundles, in 1, 2, 4 and 8 views.

    Of each number the threshold is chosen anew on its validation rows; the temperature stays the bundle's. A number of views is
    chosen by the validation rows; those of the test rows only say what that was worth.

    Parameters
    ----------
    run
        A run's folder: predictions.csv and fold-K/bundle. It receives views.json.
    manifest
        Where the images are; by default the one the run names.
    num_resamples, seed
        Of the bootstraps.

    Raises
    ------
    DataError
        The run has no bundles, they have other classes or were trained on crops, or an image is not in the manifest.

    Examples
    --------
    >>> views("runs/zoome")["views"]["8"]["test"]["differences"]["auc"]["value"]  # doctest: +SKIP
    0.006
    """
    run = Path(run)
    table = run_predictions(run)
    folds = sorted(int(fold) for fold in table.test["fold"].unique())
    frame = table.frame[table.frame["fold"].isin(folds)].reset_index(drop=True)
    bundles = whole_image_bundles(run, folds)
    for bundle in bundles.values():
        if bundle.classes != table.classes:
            named = ", ".join(bundle.classes)
            raise DataError(f"{bundle.path}: its classes are {named}, those of {table.source} {', '.join(table.classes)}.")
    answers = _answers(bundles, frame, image_paths(run, manifest, frame))
    columns = [PREFIX + name for name in table.classes]
    tables = {count: replace(table, frame=frame.assign(**dict(zip(columns, p.T, strict=True)))) for count, p in answers.items()}
    rule = threshold_rule(run)
    first = bundles[folds[0]]
    num_own = first.document["preprocessing"]["views"]
    measured = {part: _part(tables, part, rule, num_resamples, seed) for part in _FIGURES if len(getattr(table, part))}
    document: Document = {
        "protocol": table.protocol,
        "optimistic": None if table.protocol is None else table.protocol in OPTIMISTIC,
        "positive": table.positive,
        "views_of_the_run": num_own,
        "num_rows": {part: len(getattr(table, part)) for part in _FIGURES},
        "views": {
            str(count): {
                # The graph has the bundle's own views inside and cannot do fewer: of these their share of its time.
                "latency_ms": measure_latency(first, max(count, num_own)) * min(1, count / num_own),
                **{part: found[count] for part, found in measured.items()},
            }
            for count in COUNTS
        },
        "latency_method": f"{LATENCY_METHOD}; fewer views than the {num_own} of the bundle are given their share of its time",
        "notes": [f"Optimistic: {PROTOCOLS[str(table.protocol)]}."] if table.protocol in OPTIMISTIC else [],
        "provenance": provenance or {},
    }
    write_json(run / "views.json", document)
    return document


def views_table(document: Document) -> str:
    """The document in columns, for people: each number of views with its milliseconds and its figures on either part."""
    lines = []
    for part, num_rows in document["num_rows"].items():
        lines.append(f"{part}, {num_rows} rows{'':4}(difference to 1 view, 95% interval)")
        for count, found in document["views"].items():
            if part not in found:
                continue
            shown = f"  {count} views, {found['latency_ms']:6.1f} ms a photo"
            for name, figure in found[part]["figures"].items():
                shown += f"  {name} {'–' if figure['value'] is None else format(figure['value'], '.3f')}{_gap(found[part], name)}"
            lines.append(shown)
    return "\n".join([*lines, f"Milliseconds: {document['latency_method']}.", *document["notes"]])


def _gap(found: Document, name: str) -> str:
    gap = found["differences"].get(name)
    if gap is None or gap["low"] is None:
        return ""
    return f" ({gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}])"


def _answers(bundles: Mapping[int, Bundle], frame: pd.DataFrame, paths: list[Path]) -> dict[int, NDArray[np.float64]]:
    """Probabilities (N, C) by number of views, each row by its fold's own bundle; each view is run once for all of them."""
    num_classes = len(next(iter(bundles.values())).classes)
    whole = {count: np.full((len(frame), num_classes), np.nan) for count in COUNTS}
    finished = 0
    with CountProgress("views", "images") as progress, ThreadPoolExecutor() as pool:
        for fold, bundle in bundles.items():
            predictor = Predictor(bundle)
            rows = np.flatnonzero(frame["fold"] == fold)
            load = partial(read_reduced, short_side=predictor.side)
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                images = list(pool.map(load, [paths[int(row)] for row in batch]))
                metadata = {name: frame[name].to_numpy()[batch] for name in _METADATA if name in frame}
                logits = predictor.view_logits(images, metadata, COUNTS[-1])
                for number, answers in whole.items():
                    answers[batch] = predictor.probabilities(logits[:number].mean(axis=0))
                finished += len(batch)
                progress(finished, len(frame))
    return whole


def _part(tables: Mapping[int, Predictions], part: str, rule: str, num_resamples: int, seed: int) -> dict[int, Document]:
    """Each number's figures on the rows of a part, and their paired differences to one view."""
    tested = {}
    for count, table in tables.items():
        point, rows = operating_point(table, rule, None), getattr(table, part)
        groups, num_groups, _ = group_indices(rows)
        judged = judge(table, rows, point)
        tested[count] = Tested(table, rows, point, judged, groups, num_groups, num_resamples=num_resamples, seed=seed)
    known = {count: _known(one, part) for count, one in tested.items()}
    single = tested[COUNTS[0]]
    found: dict[int, Document] = {}
    for count, one in tested.items():
        effects = {}
        if count != COUNTS[0]:
            targets = single.judged.targets
            effects = compare_figures(
                known[COUNTS[0]], known[count], single.groups, targets, num_resamples=num_resamples, seed=seed
            )
        differences = {name: {"value": e.value, "low": e.low, "high": e.high, "p": e.p} for name, e in effects.items()}
        found[count] = {"figures": one.measure(known[count]), "differences": differences}
    return found


def _known(tested: Tested, part: str) -> dict[str, WeightedFigure]:
    figures = overall(tested.judged)
    return {name: figure for name in _FIGURES[part] if (figure := figures.get(name)) is not None}
