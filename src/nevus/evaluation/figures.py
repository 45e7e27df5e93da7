"""Every figure of an evaluation as a function of image weights: at weight 1 its value, under resampled weights its interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nevus.metrics import classification as c
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.calibration import brier_score, calibration_error
from nevus.metrics.intervals import Auc

_CONFUSION = {
    "balanced_accuracy": c.balanced_accuracy,
    "ovr_balanced_accuracy": c.ovr_balanced_accuracy,
    "accuracy": c.accuracy,
    "macro_f1": lambda matrix: c.f1(matrix).mean(axis=-1),
    "macro_precision": lambda matrix: c.precision(matrix).mean(axis=-1),
    "f1_sd": lambda matrix: c.spread(c.f1(matrix)),
    "recall_sd": lambda matrix: c.spread(c.sensitivity(matrix)),
}
_PER_CLASS = {"sensitivity": c.sensitivity, "specificity": c.specificity, "precision": c.precision, "f1": c.f1}


@dataclass(frozen=True)
class Judged:
    """Test rows ready to be counted; `decisions` (class indices) and `flags` (positive at the operating point) may be None."""

    targets: NDArray[np.int64]
    probabilities: Floats
    decisions: NDArray[np.int64] | None
    flags: NDArray[np.bool_] | None
    positive: int | None

    def rows(self, chosen: NDArray[np.bool_]) -> "Judged":
        """Some of the rows."""
        decisions = None if self.decisions is None else self.decisions[chosen]
        flags = None if self.flags is None else self.flags[chosen]
        return Judged(self.targets[chosen], self.probabilities[chosen], decisions, flags, self.positive)


def overall(judged: Judged) -> dict[str, WeightedFigure | None]:
    """The figures over all classes, None where there is no decision or threshold to judge."""
    num_classes = judged.probabilities.shape[1]
    figures: dict[str, WeightedFigure | None] = {}
    aucs = [_auc(judged, index) for index in range(num_classes)]
    if num_classes == 2:
        figures["auc"] = aucs[1]
    else:
        figures["macro_auc"] = lambda weights: np.mean([auc(weights) for auc in aucs], axis=0)
    matrix = _matrix(judged.targets, judged.decisions, num_classes)
    for name, figure in _CONFUSION.items():
        figures[name] = _composed(matrix, figure)
    if judged.positive is not None:
        truth = (judged.targets == judged.positive).astype(np.int64)
        flags = None if judged.flags is None else judged.flags.astype(np.int64)
        two = _matrix(truth, flags, 2)
        for name in ("sensitivity", "specificity", "precision"):
            figures[name] = _composed(two, _last(_PER_CLASS[name]))
        figures["pauc_80"] = _resampled(judged, _pauc)
    figures["ece"] = _resampled(judged, _ece)
    brier = brier_score(judged.targets, judged.probabilities)
    figures["brier"] = lambda weights: weights @ brier / weights.sum(axis=1)
    return figures


def per_class(judged: Judged, index: int) -> dict[str, WeightedFigure | None]:
    """Sensitivity, specificity, precision, F1 and AUC of one class against the rest."""
    matrix = _matrix(judged.targets, judged.decisions, judged.probabilities.shape[1])
    figures = {name: _composed(matrix, _at(figure, index)) for name, figure in _PER_CLASS.items()}
    return {**figures, "auc": _auc(judged, index)}


def value(figure: WeightedFigure | None, num_images: int) -> float | None:
    """The figure of the images as they are, None where it is undefined."""
    number = math.nan if figure is None else float(figure(np.ones((1, num_images)))[0])
    return None if math.isnan(number) else number


Matrix = Callable[[Floats], Floats]


def _matrix(targets: NDArray[np.int64], decisions: NDArray[np.int64] | None, num_classes: int) -> Matrix | None:
    """Confusion matrices (R, C, C) under weights (R, N), by one product with the images' cells."""
    if decisions is None:
        return None
    cells = np.zeros((len(targets), num_classes**2))
    cells[np.arange(len(targets)), targets * num_classes + decisions] = 1
    return lambda weights: (weights @ cells).reshape(-1, num_classes, num_classes)


def _composed(matrix: Matrix | None, figure: Callable[[Floats], Floats]) -> WeightedFigure | None:
    return None if matrix is None else lambda weights: figure(matrix(weights))


def _at(figure: Callable[[Floats], Floats], index: int) -> Callable[[Floats], Floats]:
    return lambda matrix: figure(matrix)[..., index]


def _last(figure: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    return _at(figure, -1)


def _auc(judged: Judged, index: int) -> WeightedFigure:
    return Auc(judged.targets == index, judged.probabilities[:, index])


def _pauc(judged: Judged, rows: NDArray[np.int64], resampled: bool) -> float:
    return c.partial_auc(judged.targets[rows] == judged.positive, judged.probabilities[rows, judged.positive or 0])


def _ece(judged: Judged, rows: NDArray[np.int64], resampled: bool) -> float:
    probabilities, targets = judged.probabilities[rows], judged.targets[rows]
    if probabilities.shape[1] == 2:
        return calibration_error(probabilities[:, 1], targets == 1, resampled=resampled)
    right = probabilities.argmax(axis=1) == targets
    return calibration_error(probabilities.max(axis=1), right, resampled=resampled)


def _resampled(judged: Judged, figure: Callable[[Judged, NDArray[np.int64], bool], float]) -> WeightedFigure:
    """A figure without a weighted form: computed on each resample with its images repeated."""

    def values(weights: Floats) -> Floats:
        images = np.arange(weights.shape[1])
        rows = [np.repeat(images, row.astype(np.int64)) for row in weights]
        return np.array([figure(judged, part, not np.array_equal(part, images)) for part in rows])

    return values
