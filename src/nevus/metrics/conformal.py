"""Split conformal prediction: sets of classes that hold the true one as often as was promised, whatever the network."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def lac_scores(probabilities: ArrayLike) -> Floats:
    """How little each class conforms, 1 − its probability, (N, C) to (N, C): the smallest sets on average (Sadinle et al. 2019).

    A set may be empty: where no class is probable enough.
    """
    return np.asarray(1 - np.asarray(probabilities, np.float64))


def aps_scores(probabilities: ArrayLike, uniforms: ArrayLike | None = None) -> Floats:
    """The probability of a class and of all that are more probable, (N, C) to (N, C) (Romano, Sesia & Candès 2020, equation 5).

    `uniforms` (N,), from 0 to 1, are theirs: each image's u takes u times the class's own probability off, and sets are
    randomised. Without them (u = 0) the promise holds too, but the least probable class always scores 1: sets grow far larger
    than need be where there are few classes, and of two classes every set holds both as soon as more are wrong than the promise
    allows. Of equally probable classes the first counts as the more probable one.
    """
    table = np.asarray(probabilities, np.float64)
    order = np.argsort(-table, axis=1, kind="stable")
    scores = np.empty_like(table)
    np.put_along_axis(scores, order, np.take_along_axis(table, order, axis=1).cumsum(axis=1), axis=1)
    return scores if uniforms is None else scores - np.asarray(uniforms, np.float64)[:, None] * table


def conformal_quantile(scores: ArrayLike, coverage: float, groups: ArrayLike | None = None) -> float:
    """The score up to which a class belongs to a set, so that sets hold the true class with probability `coverage` at least.

    Of n images it is the ⌈(n + 1) · coverage⌉-th smallest score. Photos of one lesion are not exchangeable with those of
    another; lesions are. So each of K groups has one weight, 1 / (K + 1), shared evenly by its photos, and the weight left
    stands at +∞ for the group to come: the promise is then about a photo of a new group (Lee, Barber & Willett 2023,
    "Distribution-free inference with hierarchical data", HCP). With groups of one photo both are the same.

    Parameters
    ----------
    scores
        Of the true class of each calibration image, (N,).
    coverage
        From 0 to 1, as in 0.90.
    groups
        Each image's group, (N,), any values; by default each image is one.

    Returns
    -------
    float
        Infinite where there are too few groups (less than coverage / (1 − coverage)): every class must then be in the set.

    Examples
    --------
    >>> conformal_quantile([0.1, 0.2, 0.3, 0.4], coverage=0.8), conformal_quantile([0.1, 0.2, 0.3], coverage=0.8)
    (0.4, inf)
    >>> conformal_quantile([0.1, 0.2, 0.3, 0.4], coverage=0.5, groups=["a", "a", "b", "c"])  # the 2nd of 3 groups
    0.3
    """
    values = np.asarray(scores, np.float64)
    codes = np.arange(len(values)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(1 / sizes[codes][order])
    wanted = coverage * (len(sizes) + 1)
    rank = int(np.searchsorted(reached, wanted - 1e-9 * max(1.0, wanted)))
    return float(values[order[rank]]) if rank < len(values) else float("inf")


def class_quantiles(scores: ArrayLike, targets: ArrayLike, coverage: float, groups: ArrayLike | None = None) -> Floats:
    """A quantile for each class from the images that are of it (Vovk 2012, "Mondrian"): the promise then holds within each class.

    `scores` (N, C) of all classes, `targets` (N,) class indices; (C,), infinite for a class of too few groups, which every set
    then holds.
    """
    table, truth = np.asarray(scores, np.float64), np.asarray(targets, np.int64)
    owners = np.arange(len(truth)) if groups is None else np.asarray(groups)
    of_class = [truth == index for index in range(table.shape[1])]
    return np.array([conformal_quantile(table[rows, k], coverage, owners[rows]) for k, rows in enumerate(of_class)])


def prediction_sets(scores: ArrayLike, quantiles: ArrayLike) -> NDArray[np.bool_]:
    """Which classes each image's set holds, bool (N, C), from scores (N, C) and one quantile or one a class (C,).

    >>> prediction_sets(lac_scores([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]), 0.7)
    array([[ True, False, False],
           [ True,  True, False]])
    """
    return np.asarray(np.asarray(scores, np.float64) <= np.asarray(quantiles, np.float64))
