"""Conformal sets of the tested images: calibrated on each fold's validation rows, and whether they hold what they promise."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.evaluation.fitting_rows import FittingRows, fitting_rows, group_names
from nevus.evaluation.nested import measure_nested
from nevus.evaluation.people import people
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested import Document, Tested
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.conformal import aps_scores, class_quantiles, conformal_quantile, lac_scores, prediction_sets
from nevus.metrics.intervals import Share

COVERAGES = (0.90, 0.95)
METHODS = {
    "lac": "every class that is probable enough (LAC, Sadinle et al. 2019)",
    "aps": "the most probable classes until their sum is large enough (APS, Romano et al. 2020, randomised)",
    "class_conditional": "every class that is probable enough for that class (LAC with a quantile a class, Vovk 2012)",
}
NOTES = (
    "The promise is about one photo of a lesion or patient not seen before: groups have one weight each in the calibration, "
    "however many photos they have. The figures count photos, unless they count each group once.",
    "It holds on average over calibrations, for patients like those of the validation rows. These rows also served to choose the "
    "checkpoint and the temperature, so that coverage may fall slightly short.",
    "Intervals are of the tested images, with the quantiles held fixed.",
)
_UNDEFINED = "no such image, or no set of one class"


@dataclass(frozen=True)
class Sets:
    """The tested images' sets, bool (N, C), and each fold's quantiles (C,)."""

    members: NDArray[np.bool_]
    quantiles: dict[int, Floats]


def conformal(tested: Tested) -> Document:
    """The section: for each method and nominal coverage the sets' coverage, overall, by class and by subgroup, and their size."""
    predictions, rows = tested.predictions, fitting_rows(tested.predictions)
    if rows.reason:
        return {"reason": f"{rows.reason} to fit on"}
    sets = {(name, level): conformal_sets(tested, rows, name, level) for name in METHODS for level in COVERAGES}
    figures = {
        (name, f"{level:.2f}", *path): figure
        for (name, level), value in sets.items()
        for path, figure in _figures(tested, value).items()
    }
    methods = measure_nested(tested, figures, _UNDEFINED)
    for (name, level), value in sets.items():
        methods[name][f"{level:.2f}"] |= _fitted(value, name, predictions.classes)
    return {
        "reason": None,
        "calibrated_on": rows.part,
        "calibration": {str(fold): _counts(predictions, part) for fold, part in rows.by_fold.items()},
        "methods": methods,
        "notes": list(NOTES),
    }


def conformal_sets(tested: Tested, rows: FittingRows, method: str, coverage: float) -> Sets:
    """The tested images' sets by a method of `METHODS`, each fold's quantiles from its own fitting rows."""
    predictions, fold_of = tested.predictions, tested.test["fold"].to_numpy()
    members = np.zeros(tested.judged.probabilities.shape, np.bool_)
    quantiles = {}
    for fold, calibrating in rows.by_fold.items():
        quantiles[fold] = _quantiles(predictions, calibrating, method, coverage)
        here = fold_of == fold
        members[here] = prediction_sets(_scores(predictions, tested.test[here], method), quantiles[fold])
    return Sets(members, quantiles)


def _quantiles(predictions: Predictions, rows: pd.DataFrame, method: str, coverage: float) -> Floats:
    """A quantile for each class, (C,): all the same but for the class-conditional method."""
    scores, targets = _scores(predictions, rows, method), predictions.targets(rows)
    groups = group_names(rows).to_numpy() if "group_id" in rows else None
    if method == "class_conditional":
        return class_quantiles(scores, targets, coverage, groups)
    true_scores = scores[np.arange(len(targets)), targets]
    return np.full(len(predictions.classes), conformal_quantile(true_scores, coverage, groups))


def _scores(predictions: Predictions, rows: pd.DataFrame, method: str) -> Floats:
    probabilities = predictions.probabilities(rows)
    return aps_scores(probabilities, _uniforms(rows["image_id"])) if method == "aps" else lac_scores(probabilities)


def _uniforms(image_ids: "pd.Series[str]") -> Floats:
    """A number from 0 to 1 that an image's name alone decides: the same image has the same set wherever it stands in a file."""
    drawn = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big") for name in image_ids]
    return np.array(drawn, np.float64) / 2**56


def _figures(tested: Tested, sets: Sets) -> dict[tuple[str, ...], WeightedFigure | None]:
    """Every figure by its place in the document."""
    targets, members = tested.judged.targets, sets.members
    size = members.sum(axis=1).astype(np.float64)
    hits = members[np.arange(len(targets)), targets]
    everything, single = np.ones(len(targets), np.bool_), size == 1
    figures: dict[tuple[str, ...], WeightedFigure | None] = {
        ("figures", "coverage"): Share(hits, everything),
        ("figures", "group_coverage"): _group_mean(hits, tested.groups),
        ("figures", "mean_size"): lambda weights: weights @ size / weights.sum(axis=1),
        ("figures", "single"): Share(single, everything),
        ("figures", "single_right"): Share(hits, single),
        ("figures", "empty"): Share(size == 0, everything),
    }
    for index, name in enumerate(tested.predictions.classes):
        figures["per_class", name] = Share(hits, targets == index)
    for field, (values, names) in people(tested.test).items():
        for name in names:
            if (here := (values == name).to_numpy()).any():
                figures["subgroups", field, name] = Share(hits, here)
    return figures


def _group_mean(hits: NDArray[np.bool_], groups: NDArray[np.int64]) -> WeightedFigure:
    """The share of hits where each group counts once, as the promise does."""
    share = 1 / np.bincount(groups)[groups]
    return lambda weights: weights @ (hits * share) / (weights @ share)


def _fitted(sets: Sets, method: str, classes: tuple[str, ...]) -> Document:
    """Each fold's quantiles, null where infinite, and the classes that its every set therefore holds."""
    quantiles: Document = {}
    for fold, values in sets.quantiles.items():
        named: dict[str, Any] = {name: _finite(number) for name, number in zip(classes, values, strict=True)}
        quantiles[str(fold)] = named if method == "class_conditional" else _finite(values[0])
    always = {
        str(fold): [name for name, number in zip(classes, values, strict=True) if math.isinf(number)]
        for fold, values in sets.quantiles.items()
    }
    return {"quantiles": quantiles, "always": always}


def _counts(predictions: Predictions, rows: pd.DataFrame) -> Document:
    """The images and groups that calibrated, and the groups of each class."""
    names = group_names(rows) if "group_id" in rows else rows["image_id"]
    of_class = {name: int(names[rows["target"] == name].nunique()) for name in predictions.classes}
    return {"num_images": len(rows), "num_groups": int(names.nunique()), "num_groups_per_class": of_class}


def _finite(number: float) -> float | None:
    return None if math.isinf(number) else float(number)
