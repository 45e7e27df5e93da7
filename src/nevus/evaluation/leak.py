"""The leak experiment: what photos of the tested lesions are worth when they are trained on.

A paired design. Both arms are tested on the same images and trained on equally many, of the same classes, with the same recipe
and seed. `clean` trains on other groups only; in `leaky`, siblings of test images (other photos of the same lesion or patient)
take the place of as many training images of their class. The difference is what the leak adds; test images without siblings
are the control. Comparing a grouped with an ungrouped split instead changes the test images as well, and hides it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.masks import input_paths
from nevus.data.splits import Parts, split
from nevus.errors import BundleError, DataError
from nevus.evaluation.predictions import Predictions
from nevus.files import write_json
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.comparison import compare_figures
from nevus.metrics.intervals import Auc
from nevus.predictor import Predictor
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.fit import fit_rows
from nevus.training.run import COLUMNS, Run, begin_run

Rows = NDArray[np.int64]
# Targets (N,), probabilities (N, C) and R weightings (R, N) to R values.
Figure = Callable[[NDArray[np.int64], Floats, Floats], Floats]
ARMS = ("clean", "leaky")
_METHOD = "difference leaky - clean on the same images; percentile bootstrap over groups, 2,000 resamples shared by both arms"


@dataclass(frozen=True)
class Design:
    """Row indices of one repeat. `test` has one image a group; `affected` says which of them have siblings in the leaky arm."""

    clean: Rows
    leaky: Rows
    validation: Rows
    test: Rows
    affected: NDArray[np.bool_]

    @property
    def num_injected(self) -> int:
        """How many training images are siblings of test images in the leaky arm."""
        return len(np.setdiff1d(self.leaky, self.clean))


def design(parts: Parts, groups: NDArray[np.int64], targets: NDArray[np.int64], seed: int) -> Design:
    """Take one image of each test group for testing and the others of it for the leak.

    Parameters
    ----------
    parts
        One fold of a strict split.
    groups, targets
        Group and class index of each row of the manifest.
    seed
        Chooses the tested image of each group and the training images that siblings replace.

    Raises
    ------
    DataError
        No test group has a second image, or a class has fewer training images than siblings.
    """
    rng = np.random.default_rng([seed, 7])
    shuffled = rng.permutation(parts.test)
    _, first = np.unique(groups[shuffled], return_index=True)
    test = np.sort(shuffled[first])
    siblings = np.setdiff1d(parts.test, test)
    if not len(siblings):
        raise DataError("no test lesion or patient has a second image, so nothing can leak. Give lesion_id or patient_id.")
    replaced = []
    for target, count in zip(*np.unique(targets[siblings], return_counts=True), strict=True):
        candidates = parts.train[targets[parts.train] == target]
        if len(candidates) <= count:
            raise DataError(f"class {target}: {count} siblings to put in, {len(candidates)} training images to take out.")
        replaced.append(rng.choice(candidates, count, replace=False))
    leaky = np.sort(np.concatenate([np.setdiff1d(parts.train, np.concatenate(replaced)), siblings]))
    return Design(np.sort(parts.train), leaky, parts.validation, test, np.isin(groups[test], groups[siblings]))


def inject(
    recipe: Recipe, manifest: Manifest, out: Path | str, *, num_repeats: int = 1, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Run the leak experiment and return its document, also written to `out`/leak.json; stopped, the same call goes on.

    Parameters
    ----------
    recipe
        Trains both arms.
    manifest
        The rows; groups with several images are what can leak.
    out
        The run's folder.
    num_repeats
        How many folds of the strict split are tested in turn; each trains two networks.

    Examples
    --------
    >>> inject(recipe, Manifest.read("manifest.csv"), "runs/leak")["figures"]["affected"]["macro_auc"]  # doctest: +SKIP
    """
    if not 1 <= num_repeats <= recipe.data.num_folds:
        raise DataError(f"--repeats {num_repeats}: expected 1 to {recipe.data.num_folds}, the recipe's number of folds.")
    out = Path(out)
    run = begin_run(recipe, manifest, out, say)
    data = recipe.data
    folds = split(
        run.manifest,
        task=data.task,
        protocol="strict",
        num_folds=data.num_folds,
        validation_share=data.validation_share,
        seed=recipe.training.seed,
    )
    groups = np.unique(run.manifest.frame["group_id"].to_numpy().astype(str), return_inverse=True)[1].astype(np.int64)
    designs = [
        design(folds.parts(run.manifest, repeat), groups, run.targets, recipe.training.seed) for repeat in range(num_repeats)
    ]
    tables = [
        _arm(run, plan, arm, out / f"repeat-{repeat}" / arm, f"leak {repeat + 1}/{num_repeats} {arm}")
        for repeat, plan in enumerate(designs)
        for arm in ARMS
    ]
    probabilities = [np.concatenate(tables[arm :: len(ARMS)]) for arm in range(len(ARMS))]
    test = np.concatenate([plan.test for plan in designs])
    repeats = np.repeat(np.arange(num_repeats), [len(plan.test) for plan in designs])
    affected = np.concatenate([plan.affected for plan in designs])
    everyone = np.ones(len(test), np.bool_)
    subsets = {"all": everyone, "affected": affected, "unaffected": ~affected}
    document = {
        "protocol": "leak experiment on strict folds; the leaky arm breaks them on purpose",
        "figures": {
            name: compare_arms([part[rows] for part in probabilities], run.targets[test[rows]], repeats[rows])
            for name, rows in subsets.items()
        },
        "num_repeats": num_repeats,
        "num_test_images": {name: int(rows.sum()) for name, rows in subsets.items()},
        "num_training_images": [len(plan.clean) for plan in designs],
        "num_injected": [plan.num_injected for plan in designs],
        "provenance": {
            **provenance(),
            "manifest": str(manifest.path),
            "manifest_sha256": manifest.sha256,
            "recipe": recipe.model_dump(mode="json"),
            "precision": run.precision,
        },
    }
    write_json(out / "leak.json", document)
    return document


def compare_arms(probabilities: list[Floats], targets: NDArray[np.int64], repeats: NDArray[np.int64]) -> dict[str, Any]:
    """Each figure of both arms, and their paired difference with its interval.

    Parameters
    ----------
    probabilities
        Of the clean and of the leaky arm, (N, C) each, for the same images; every image is a group of its own.
    targets
        Class indices, (N,).
    repeats
        Which repeat tested each image, (N,): figures are of one network's answers, then averaged over repeats.
    """
    # Between two classes a decision needs an operating point; 0.5 would be an arbitrary one.
    chosen = _FIGURES if probabilities[0].shape[1] > 2 else _OF_TWO
    arms = {name: [_averaged(figure, targets, part, repeats) for part in probabilities] for name, figure in chosen.items()}
    first, second = ({name: pair[place] for name, pair in arms.items()} for place in range(len(ARMS)))
    effects = compare_figures(first, second, np.arange(len(targets)), targets)
    whole = np.ones((1, len(targets)))
    return {
        name: {
            "clean": float(clean(whole)[0]),
            "leaky": float(leaky(whole)[0]),
            "inflation": {
                "value": effects[name].value,
                "low": effects[name].low,
                "high": effects[name].high,
                "n": len(targets),
                "method": effects[name].reason or _METHOD,
            },
        }
        for name, (clean, leaky) in arms.items()
    }


def leak_table(document: dict[str, Any]) -> str:
    """The document in words and columns, for people."""
    counts = document["num_test_images"]
    lines = [
        f"{document['num_injected'][0]} of {document['num_training_images'][0]} training images replaced by siblings of test "
        f"images; pairs of networks: {document['num_repeats']}",
        f"{'':32}{'clean':>8}{'leaky':>8}  inflation, 95% interval",
    ]
    for subset, figures in document["figures"].items():
        lines.append(f"{subset} ({counts[subset]} images)")
        for name, figure in figures.items():
            gain = figure["inflation"]
            interval = "–" if gain["low"] is None else f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
            lines.append(f"  {name:30}{figure['clean']:8.3f}{figure['leaky']:8.3f}  {gain['value']:+.3f} {interval}")
    return "\n".join(lines)


def _arm(run: Run, plan: Design, arm: str, folder: Path, title: str) -> Floats:
    """Test probabilities (N, C) of one arm's network, from its folder where they are finished."""
    path = folder / "predictions.csv"
    if not path.exists():
        try:
            bundle = Bundle.load(folder / "bundle")
        except BundleError:  # not there yet, or cut short by a kill: training goes on from its last checkpoint
            train = plan.clean if arm == "clean" else plan.leaky
            bundle = fit_rows(run, Parts(train, plan.validation, plan.test), folder, title, protocol=None)
        frame = run.manifest.frame.iloc[plan.test]
        predictor = Predictor(bundle)
        metadata = {column: frame[column].to_numpy() for column in COLUMNS}
        paths = [run.manifest.root / name for name in frame["path"]]
        logits = predictor.predict_logits(input_paths(run.recipe.data, paths, frame["image_id"].tolist()), metadata)
        table = pd.DataFrame({"image_id": frame["image_id"].to_numpy(), "affected": plan.affected})
        table["target"] = [run.classes[index] for index in run.targets[plan.test]]
        table["group_id"] = frame["group_id"].to_numpy()
        for name, column in zip(run.classes, predictor.probabilities(logits).T, strict=True):
            table[f"p_{name}"] = column
        Predictions.from_frame(table).write(path)
        for name in ("last.safetensors", "best.safetensors"):
            (folder / name).unlink(missing_ok=True)
    predictions = Predictions.read(path)
    return predictions.probabilities(predictions.test)


def _averaged(figure: Figure, targets: NDArray[np.int64], probabilities: Floats, repeats: NDArray[np.int64]) -> WeightedFigure:
    """A figure of each repeat's own images and network, averaged over the repeats."""
    members = [repeats == repeat for repeat in np.unique(repeats)]

    def value(weights: Floats) -> Floats:
        return _mean(np.array([figure(targets[rows], probabilities[rows], weights[:, rows]) for rows in members]))

    return value


def _macro_auc(targets: NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    """Mean one-vs-rest AUC over the classes that are there with and without; one of two classes is the same as the other."""
    columns = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    present = [k for k in columns if 0 < (targets == k).sum() < len(targets)]
    aucs = [Auc(targets == k, probabilities[:, k])(weights) for k in present]
    return _mean(np.array(aucs).reshape(len(aucs), len(weights)))


def _balanced_accuracy(targets: NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    """Mean recall, at the largest probability, over the classes that are there."""
    right = probabilities.argmax(axis=1) == targets
    return _mean(np.array([_weighted_mean(weights * (targets == k), right) for k in np.unique(targets)]))


def _accuracy(targets: NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    return _weighted_mean(weights, probabilities.argmax(axis=1) == targets)


def _true_class_probability(targets: NDArray[np.int64], probabilities: Floats, weights: Floats) -> Floats:
    return _weighted_mean(weights, probabilities[np.arange(len(targets)), targets])


def _weighted_mean(weights: Floats, values: NDArray[Any]) -> Floats:
    """Means of values (N,) under weights (R, N); NaN where a resample has none of them."""
    total = weights.sum(axis=1)
    mean: Floats = np.divide(weights @ values, total, out=np.full(len(total), np.nan), where=total > 0)
    return mean


def _mean(values: Floats) -> Floats:
    """Mean over the first axis, classes that a resample lacks left out."""
    defined = ~np.isnan(values)
    counts = defined.sum(axis=0)
    total = np.where(defined, values, 0).sum(axis=0)
    mean: Floats = np.divide(total, counts, out=np.full(values.shape[1], np.nan), where=counts > 0)
    return mean


_FIGURES: dict[str, Figure] = {
    "macro_auc": _macro_auc,
    "balanced_accuracy": _balanced_accuracy,
    "accuracy": _accuracy,
    "true_class_probability": _true_class_probability,
}
_OF_TWO: dict[str, Figure] = {"auc": _macro_auc, "true_class_probability": _true_class_probability}
