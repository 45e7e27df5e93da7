"""Figures of a ranking under many weightings of the same images at once, from one sort."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from nevus.metrics.classification import ratio

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
MIN_SENSITIVITY = 0.8


def average_precision(positives: ArrayLike, scores: ArrayLike) -> float:
    """Σ (R_k − R_{k−1}) P_k over the distinct scores from the largest down, as scikit-learn has it; NaN without a positive.

    Images of equal score are added together, so that their order does not count. A constant predictor has the prevalence.

    >>> round(average_precision([True, False, True], [0.9, 0.8, 0.7]), 4)
    0.8333
    """
    return float(Ranking.of(positives, scores).average_precision(np.ones((1, np.size(scores))))[0])


def partial_auc(positives: ArrayLike, scores: ArrayLike, min_sensitivity: float = MIN_SENSITIVITY) -> float:
    """The area between the ROC curve and the line at `min_sensitivity`, from 0 to 1 − min_sensitivity (ISIC 2024's figure).

    >>> round(partial_auc([False, False, True, True], [0.1, 0.2, 0.7, 0.9]), 4)
    0.2
    """
    return float(Ranking.of(positives, scores).above(np.ones((1, np.size(scores))), min_sensitivity)[0, 0])


def auc_above_sensitivity(positives: ArrayLike, scores: ArrayLike, min_sensitivity: float = MIN_SENSITIVITY) -> float:
    """The whole area under the part of the ROC curve at or above `min_sensitivity`, from 0 to 1: the ISIC 2018 scorer's AUC80.

    It is not ISIC 2024's: the area of the part that counts goes down to 0, and not to the line.

    >>> round(auc_above_sensitivity([False, False, True, True], [0.1, 0.2, 0.7, 0.9]), 4)
    1.0
    """
    return float(Ranking.of(positives, scores).above(np.ones((1, np.size(scores))), min_sensitivity)[1, 0])


@dataclass(frozen=True)
class Ranking:
    """The M scores from the largest down, cut into K steps: images of equal score are one, those between two positives are one.

    Where no positive is, the ROC curve runs level and recall stays, so that nothing is lost; a rare class has few steps.
    `images` says whose weight each score has, (M,); `starts` where each step starts and `holds` whether it has a positive, (K,).
    """

    images: Indices
    positives: NDArray[np.bool_]
    starts: Indices
    holds: NDArray[np.bool_]

    @classmethod
    def of(cls, positives: ArrayLike, scores: ArrayLike, images: Indices | None = None) -> "Ranking":
        """Rank `scores` (M,) of `positives` bool (M,); an image may have several scores (micro averages)."""
        truth, values = np.asarray(positives, np.bool_), np.asarray(scores, np.float64)
        order = np.argsort(-values, kind="stable").astype(np.int64)
        runs = np.flatnonzero(np.diff(values[order], prepend=np.inf))
        held = np.add.reduceat(truth[order].astype(np.int64), runs) > 0 if len(runs) else np.zeros(0, np.bool_)
        first = held | np.append(True, held[:-1])[: len(held)]
        return cls(order if images is None else images[order], truth[order], runs[first].astype(np.int64), held[first])

    @cached_property
    def _sums(self) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Which image's weight goes into which step, of the positives and of all, as (K, N) matrices: a product with them is
        twenty times as fast as gathering the weights in the order of the scores and adding them up."""
        steps = np.searchsorted(self.starts, np.arange(len(self.images)), side="right") - 1
        shape = (len(self.starts), int(self.images.max()) + 1)
        pair = [
            sparse.csr_array((np.ones(int(rows.sum())), (steps[rows], self.images[rows])), shape=shape)
            for rows in (self.positives, np.ones(len(steps), np.bool_))
        ]
        return pair[0], pair[1]

    def steps(self, weights: Floats) -> tuple[Floats, Floats]:
        """Summed weights of the positives and of all, by step: weights (R, N) to (K, R) and (K, R)."""
        by_image = np.ascontiguousarray(weights.T)
        positive, total = (matrix @ by_image[: matrix.shape[1]] for matrix in self._sums)
        return positive, total

    def auc(self, weights: Floats) -> Floats:
        """The area under the ROC curve, ties counted half: weights (R, N) to (R,); NaN with one class."""
        positive, total = self.steps(weights)
        negative = total - positive
        pairs = positive.sum(axis=0) * negative.sum(axis=0)
        above = np.cumsum(negative, axis=0)
        above -= negative / 2
        return 1 - ratio(np.einsum("kr,kr->r", positive, above), pairs)

    def average_precision(self, weights: Floats) -> Floats:
        """The average precision: weights (R, N) to (R,); NaN without a positive."""
        positive, total = self.steps(weights)
        precision = ratio(np.cumsum(positive, axis=0), np.cumsum(total, axis=0))
        return ratio(np.where(positive > 0, positive * precision, 0.0).sum(axis=0), positive.sum(axis=0))

    def above(self, weights: Floats, min_sensitivity: float = MIN_SENSITIVITY) -> Floats:
        """ISIC 2024's partial area and ISIC 2018's AUC80, weights (R, N) to (2, R); NaN with one class.

        Between two steps the curve is a straight line, cut where it crosses `min_sensitivity`.
        """
        positive, total = self.steps(weights)
        true, false = np.cumsum(positive, axis=0), np.cumsum(total - positive, axis=0)
        sensitivity, false_rate = ratio(true, true[-1:]), ratio(false, false[-1:])
        before = np.concatenate([np.zeros((1, len(weights))), sensitivity[:-1]])
        low, high = np.maximum(before - min_sensitivity, 0), np.maximum(sensitivity - min_sensitivity, 0)
        # Of a piece that begins below the line, the share above it counts; a level piece counts whole or not at all.
        rise = sensitivity - before
        share = np.divide(np.minimum(high, rise), rise, out=(sensitivity >= min_sensitivity).astype(np.float64), where=rise > 0)
        width = share * np.diff(false_rate, axis=0, prepend=0.0)
        partial = (width * (low + high) / 2).sum(axis=0)
        return np.stack([partial, partial + min_sensitivity * width.sum(axis=0)])
