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
    areas, upper, lower = _influence(truth, scores, groups)
    return areas, _covariance(upper, lower, truth, groups)


def macro_auc_covariance(targets: ArrayLike, scores: ArrayLike, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The same of mean one-vs-rest areas over C classes: `targets` (N,) from 0 to C − 1, `scores` (A, N, C) of A answers.

    What a group adds to the mean is the mean of what it adds to each class's area, so its covariance follows from the same sums
    over groups, all of them, with the factor groups / (groups − 1). NaN where a class is missing or there is one group.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> targets = np.arange(60) % 3
    >>> scores = rng.normal(0, 1, (2, 60, 3)) + np.eye(3)[targets]
    >>> areas, covariance = macro_auc_covariance(targets, scores, np.arange(60))
    >>> areas.shape, covariance.shape
    ((2,), (2, 2))
    """
    truth, table = np.asarray(targets, np.int64), np.asarray(scores, np.float64)
    num_groups = int(groups.max()) + 1
    areas, added = [], []
    for index in range(table.shape[2]):
        one = truth == index
        if one.all() or not one.any():
            nothing = np.full(len(table), np.nan)
            return nothing, np.full((len(table), len(table)), np.nan)
        area, upper, lower = _influence(one, table[:, :, index], groups)
        areas.append(area)
        added.append(upper / one.sum() + lower / (~one).sum())
    mean = np.mean(added, axis=0)
    factor = num_groups / (num_groups - 1) if num_groups > 1 else np.nan
    return np.mean(areas, axis=0), mean @ mean.T * factor


def _influence(truth: NDArray[np.bool_], scores: ArrayLike, groups: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """The areas (A,), and by how much each group's positives and negatives lie above them in sum, (A, groups) each."""
    placed = Placements.of(truth, scores)
    areas, num_groups = placed.areas, int(groups.max()) + 1
    sums: list[Floats] = []
    for values, rows in ((placed.of_positives, truth), (placed.of_negatives, ~truth)):
        centred = values - areas[:, None]
        sums.append(np.stack([np.bincount(groups[rows], row, num_groups) for row in centred]).astype(np.float64))
    return areas, sums[0], sums[1]


def _covariance(upper: Floats, lower: Floats, truth: NDArray[np.bool_], groups: NDArray[np.int64]) -> Floats:
    present = [np.bincount(groups[rows], minlength=upper.shape[1]) > 0 for rows in (truth, ~truth)]
    with_positives, with_negatives, either = (int(kind.sum()) for kind in (*present, present[0] | present[1]))
    if min(with_positives, with_negatives) < 2:
        return np.full((len(upper), len(upper)), np.nan)
    m, n = truth.sum(), (~truth).sum()
    covariance = upper @ upper.T * with_positives / ((with_positives - 1) * m**2)
    covariance += lower @ lower.T * with_negatives / ((with_negatives - 1) * n**2)
    crossed = upper @ lower.T * either / ((either - 1) * m * n)
    return np.asarray(covariance + crossed + crossed.T)


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
