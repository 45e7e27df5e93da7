"""Logistic recalibration: whether probabilities are too extreme (slope) or too high (intercept)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]
_SMALLEST = np.finfo(np.float64).eps
# From a fit to all images a resample's lies a standard error away, and each step of Newton squares the distance: three or four.
_MOST_STEPS = 25
_CONVERGED = 1e-6


class RecalibrationSlope:
    """The slope b of logit P(y = 1) = a + b logit p, as a figure of image weights; 1 where probabilities are neither too extreme
    (below 1) nor too timid (Cox 1958; Van Calster et al. 2019, "Calibration: the Achilles heel of predictive analytics").

    NaN where it is infinite: the probabilities separate the classes, or one of them is missing, or all are the same.

    >>> slope = RecalibrationSlope([0.1, 0.1, 0.1, 0.9, 0.9, 0.9], [0, 0, 1, 0, 1, 1])  # 2 in 3, where 9 in 10 are claimed
    >>> float(slope(np.ones((1, 6)))[0].round(3))  # log 2 / log 9
    0.315
    """

    def __init__(self, probabilities: ArrayLike, outcomes: ArrayLike) -> None:
        self._scores = _logits(probabilities)
        self._outcomes = np.asarray(outcomes, np.float64)
        self._start = self._fit(np.ones((1, len(self._scores))), np.zeros((1, 2)))[0]

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to R slopes."""
        return self._fit(weights, np.tile(self._start, (len(weights), 1)))[:, 1]

    def _fit(self, weights: Floats, start: Floats) -> Floats:
        beta = start.copy()
        score = self._scores
        for _ in range(_MOST_STEPS):
            with np.errstate(all="ignore"):
                expected = expit(beta[:, :1] + beta[:, 1:] * score)
                rest = weights * (self._outcomes - expected)
                spread = weights * expected * (1 - expected)
                slopes = np.stack([rest.sum(axis=1), rest @ score])
                flat, across, steep = spread.sum(axis=1), spread @ score, spread @ score**2
                determinant = flat * steep - across**2
                step = np.stack([steep * slopes[0] - across * slopes[1], flat * slopes[1] - across * slopes[0]]) / determinant
                # Of equal probabilities there is no slope.
                step[:, ~(determinant > 1e-9 * flat * steep)] = np.nan
            beta = beta + step.T
            distance = np.abs(step).max(axis=0)
            if not (distance > _CONVERGED).any():
                break
        # Of separated classes it grows for ever.
        return np.where((distance <= _CONVERGED)[:, None], beta, np.nan)


class RecalibrationIntercept:
    """The intercept a of logit P(y = 1) = a + logit p, as a figure of image weights.

    Above 0 positives are more than claimed. It is "calibration in the large". NaN where one class is missing.

    >>> intercept = RecalibrationIntercept([0.5, 0.5, 0.5, 0.5], [1, 1, 1, 0])  # log(3 / 1)
    >>> float(intercept(np.ones((1, 4)))[0].round(4))
    1.0986
    """

    def __init__(self, probabilities: ArrayLike, outcomes: ArrayLike) -> None:
        self._scores = _logits(probabilities)
        self._outcomes = np.asarray(outcomes, np.float64)
        self._start = float(self._fit(np.ones((1, len(self._scores))), 0.0)[0])

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to R intercepts."""
        return self._fit(weights, self._start)

    def _fit(self, weights: Floats, start: float) -> Floats:
        positives, total = weights @ self._outcomes, weights.sum(axis=1)
        intercept = np.full(len(weights), start)
        intercept[(positives <= 0) | (positives >= total)] = np.nan
        for _ in range(_MOST_STEPS):
            expected = expit(intercept[:, None] + self._scores)
            rest = positives - (weights * expected).sum(axis=1)
            with np.errstate(all="ignore"):
                # Far from the answer a step of Newton may leap over it and away.
                step = np.clip(rest / (weights * expected * (1 - expected)).sum(axis=1), -2, 2)
            intercept = intercept + step
            if not (np.abs(step) > _CONVERGED).any():
                break
        return intercept


def _logits(probabilities: ArrayLike) -> Floats:
    return np.asarray(logit(np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1 - _SMALLEST)))
