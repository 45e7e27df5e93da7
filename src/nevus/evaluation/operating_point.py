"""Which threshold each fold's test rows are judged at, and where it was chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.errors import DataError
from nevus.evaluation.fitting_rows import fitting_rows
from nevus.evaluation.predictions import Predictions
from nevus.metrics.decision import choose_threshold


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold for each fold on the positive class's probability, or the reason why there is none."""

    rule: str
    chosen_on: str | None
    thresholds: dict[int, float] | None
    reason: str = ""

    def flags(self, folds: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.bool_] | None:
        """Which images reach their fold's threshold; None without one."""
        if self.thresholds is None:
            return None
        return scores >= np.array([self.thresholds[int(fold)] for fold in folds])

    def document(self) -> dict[str, Any]:
        """The part of evaluation.json."""
        named = None if self.thresholds is None else {str(fold): value for fold, value in self.thresholds.items()}
        return {"rule": self.rule, "chosen_on": self.chosen_on, "thresholds": named, "reason": self.reason or None}


def operating_point(predictions: Predictions, rule: str, threshold: float | None) -> OperatingPoint:
    """The given threshold; else, each fold's, chosen on its validation rows; a paper's protocol chooses on its test rows.

    Never 0.5 for want of a better one: a threshold that nobody chose means nothing.
    """
    if predictions.positive is None:
        return OperatingPoint(rule, None, None, "no class is the positive one: there is neither mel nor malignant")
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise DataError(f"--threshold {threshold}: expected a probability from 0 to 1.")
        return OperatingPoint("given", "given", dict.fromkeys(map(int, predictions.test["fold"].unique()), threshold))
    positive = predictions.classes.index(predictions.positive)
    thresholds = {}
    rows = fitting_rows(predictions)
    if rows.reason:
        return OperatingPoint(rule, None, None, f"{rows.reason} to choose a threshold on, and none was given (--threshold)")
    for fold, chosen in rows.by_fold.items():
        truth = predictions.targets(chosen) == positive
        try:
            thresholds[fold] = choose_threshold(rule, predictions.probabilities(chosen)[:, positive], truth)
        except ValueError as error:
            if truth.all() or not truth.any():
                return OperatingPoint(rule, None, None, f"fold {fold}: {error}")
            raise DataError(str(error)) from error
    return OperatingPoint(rule, rows.part, thresholds)
