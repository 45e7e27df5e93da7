"""The sampling error of areas under the ROC curve without resampling: DeLong's for single images, Obuchowski's for groups."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Placements:
    """What each image contributes to A areas: `of_positives` (A, M), the share of negatives that a positive beats, ties counted
    half, and `of_negatives` (A, N), the share of positives that beat a negative. The areas are the mean of either, (A,)."""

    of_positives: Floats
    of_negatives: Floats

    @classmethod
    def of(cls, positives: ArrayLike, scores: ArrayLike) -> "Placements":
        """From midranks (Sun and Xu 2014): `positives` bool (N,), `scores` (N,) of one answer or (A, N) of several."""
        truth, table = np.asarray(positives, np.bool_), np.atleast_2d(np.asarray(scores, np.float64))
        num_positives, num_negatives = int(truth.sum()), int((~truth).sum())
        ranks = rankdata(table, axis=1)
        above = (ranks[:, truth] - rankdata(table[:, truth], axis=1)) / num_negatives
        below = 1 - (ranks[:, ~truth] - rankdata(table[:, ~truth], axis=1)) / num_positives
        return cls(above, below)

    @property
    def areas(self) -> Floats:
        """The areas, (A,)."""
        return np.asarray(self.of_positives.mean(axis=1))


def auc_covariance(positives: ArrayLike, scores: ArrayLike, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Areas (A,) of answers (A, N) about the same images, and their covariance (A, A).

    Obuchowski 1997 (Biometrics 53:567), equations 3 to 6: sums of placements by group, in which positives and negatives of one
    group may depend on each other. With one image a group it is DeLong, DeLong and Clarke-Pearson 1988. NaN where positives or
    negatives come from one group alone.

    Examples
    --------
    >>> areas, covariance = auc_covariance([True, True, False, False, False], [[0.9, 0.4, 0.5, 0.2, 0.1]], np.arange(5))
    >>> round(float(areas[0]), 3), round(float(covariance[0, 0]) ** 0.5, 3)
    (0.833, 0.236)
    """
    truth = np.asarray(positives, np.bool_)
    placed = Placements.of(truth, scores)
    areas = placed.areas
    num_groups = int(groups.max()) + 1
    sums, present = [], []
    for values, rows in ((placed.of_positives, truth), (placed.of_negatives, ~truth)):
        centred = values - areas[:, None]
        sums.append(np.stack([np.bincount(groups[rows], row, num_groups) for row in centred]))
        present.append(np.bincount(groups[rows], minlength=num_groups) > 0)
    upper, lower = sums
    with_positives, with_negatives, either = (int(kind.sum()) for kind in (*present, present[0] | present[1]))
    if min(with_positives, with_negatives) < 2:
        return areas, np.full((len(areas), len(areas)), np.nan)
    m, n = truth.sum(), (~truth).sum()
    covariance = upper @ upper.T * with_positives / ((with_positives - 1) * m**2)
    covariance += lower @ lower.T * with_negatives / ((with_negatives - 1) * n**2)
    crossed = upper @ lower.T * either / ((either - 1) * m * n)
    return areas, covariance + crossed + crossed.T


def auc_interval(
    positives: ArrayLike, scores: ArrayLike, groups: NDArray[np.int64], confidence: float = 0.95
) -> tuple[float, float]:
    """The area's interval: DeLong's or Obuchowski's error on the logit scale, which keeps it between 0 and 1 (Pepe 2003, 5.2.3).

    Where no pair, or every pair, is in the right order they have no error to show, and a perfect area of ten images is no proof:
    there it is Newcombe's score interval (2006, method 5), with a group counted as one image.

    Examples
    --------
    >>> [round(limit, 3) for limit in auc_interval([True] * 5 + [False] * 5, [0.9] * 5 + [0.1] * 5, np.arange(10))]
    [0.643, 1.0]
    """
    truth = np.asarray(positives, np.bool_)
    areas, covariance = auc_covariance(truth, scores, groups)
    area, variance = float(areas[0]), float(covariance[0, 0])
    if np.isnan(variance):
        return float("nan"), float("nan")
    z = float(norm.ppf((1 + confidence) / 2))
    if variance <= 0 or not 0 < area < 1:
        return _score_interval(area, len(np.unique(groups[truth])), len(np.unique(groups[~truth])), z)
    half = z * np.sqrt(variance) / (area * (1 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def _score_interval(area: float, num_positives: int, num_negatives: int, z: float) -> tuple[float, float]:
    """The areas whose own error, by Hanley and McNeil's form with the mean of both numbers, reaches the one observed."""

    def error(true: float) -> float:
        mean = (num_positives + num_negatives) / 2
        shape = 1 + (mean - 1) * ((1 - true) / (2 - true) + true / (1 + true))
        return z * float(np.sqrt(true * (1 - true) * shape / (num_positives * num_negatives)))

    low = 0.0 if area <= 0 else float(brentq(lambda true: true + error(true) - area, 0.0, area - 1e-12))
    high = 1.0 if area >= 1 else float(brentq(lambda true: true - error(true) - area, area + 1e-12, 1.0))
    return low, high
