"""Figures of probabilities under many weightings of the same images at once."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nevus.metrics.calibration import NUM_BINS

Floats = NDArray[np.float64]


def log_losses(targets: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Each image's −log of the probability of its class, natural logarithm, (N, C) to (N,).

    A probability of 0 counts as 2.2e-16, as in scikit-learn, so that one sure mistake costs 36 and not everything.

    >>> log_losses([1], [[0.5, 0.5]]).round(3)
    array([0.693])
    """
    table = np.asarray(probabilities, np.float64)
    own = table[np.arange(len(table)), np.asarray(targets, np.int64)]
    # 0 − log: a sure and right answer costs 0.0, and not −0.0.
    return np.asarray(0.0 - np.log(np.clip(own, np.finfo(np.float64).eps, 1)))


def weighted_calibration_error(confidence: Floats, outcomes: Floats, weights: Floats, num_bins: int = NUM_BINS) -> Floats:
    """`calibration_error` of R resamples at once: `confidence` and `outcomes` (N,), whole-number weights (R, N) to (R,).

    A weight is how often an image is there. Rows of other weights than 1 are resamples, debiased twice.
    """
    order = np.argsort(confidence, kind="stable")
    counts = np.rint(weights[:, order])
    ends = np.cumsum(counts, axis=1)
    total = ends[:, -1].astype(np.int64)
    # As numpy.array_split cuts: the first `total % num_bins` bins hold one image more.
    whole, rest = np.divmod(total[:, None], num_bins)
    size = whole + (np.arange(num_bins) < rest)
    cuts = np.concatenate([np.zeros((len(size), 1), np.int64), np.cumsum(size, axis=1)], axis=1)
    place = np.stack([np.searchsorted(row, cut, side="left") for row, cut in zip(ends, cuts, strict=True)])
    beyond = np.take_along_axis(ends, place, axis=1) - cuts

    def means(values: Floats) -> Floats:
        summed = np.cumsum(counts * values, axis=1)
        below = np.take_along_axis(summed, place, axis=1) - beyond * values[place]
        return np.asarray(np.diff(below, axis=1) / np.maximum(size, 1))

    trust, frequency = means(confidence[order]), means(outcomes[order])
    times = np.where((weights == 1).all(axis=1), 1, 2)[:, None]
    variance = times * frequency * (1 - frequency) / np.maximum(size - 1, 1)
    squared = (size / np.maximum(total, 1)[:, None] * ((trust - frequency) ** 2 - variance)).sum(axis=1)
    return np.where(whole[:, 0] < 2, np.nan, np.sqrt(np.maximum(squared, 0)))
