"""Several members' answers about the same images as one: means, mean ranks, and weights that held-out images choose."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds, LinearConstraint, minimize
from scipy.stats import rankdata

Floats = NDArray[np.float64]
# A member may be sure of the wrong class; its logarithm must be finite. As `metrics.probabilities.log_losses` counts it.
_SMALLEST = float(np.finfo(np.float64).eps)


def mean_probabilities(members: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """The mean of probabilities (M, N, C) over M members, as (N, C); with `weights` (M,), of sum 1, the weighted one.

    >>> mean_probabilities([[[0.2, 0.8]], [[0.6, 0.4]]]).round(3).tolist()
    [[0.4, 0.6]]
    """
    stacked = np.asarray(members, np.float64)
    if weights is None:
        return np.asarray(stacked.mean(axis=0))
    return np.asarray(np.tensordot(np.asarray(weights, np.float64), stacked, axes=1))


def mean_ranks(members: ArrayLike) -> Floats:
    """Scores (N, C) from probabilities (M, N, C): each class's rank among the N images, the mean over members.

    Of N, ties having their mean rank. In a rank's place stands what the members' probabilities are at that rank, on average:
    the scores of a class are ordered as its mean ranks are (with a tie where all members repeat a value), and have the spread of
    its probabilities. Of two classes the first is what the second leaves. Of more, a row is divided by its sum, which is then
    near 1 (shares of ranks would be divided by sums from 1 to C, and lose their order); a row of zeros becomes equal shares.
    They rank images and are no probabilities: each depends on the other N - 1.

    >>> mean_ranks([[[0.9, 0.1], [0.4, 0.6]], [[0.8, 0.2], [0.7, 0.3]]]).round(3).tolist()
    [[0.85, 0.15], [0.55, 0.45]]
    """
    stacked = np.asarray(members, np.float64)
    num_images, num_classes = stacked.shape[1:]
    ranks = rankdata(stacked, axis=1).mean(axis=0)
    at_rank = np.sort(stacked, axis=1).mean(axis=0)
    every = np.arange(1, num_images + 1)
    scores = np.stack([np.interp(ranks[:, k], every, at_rank[:, k]) for k in range(num_classes)], axis=1)
    if num_classes == 2:
        return np.stack([1 - scores[:, 1], scores[:, 1]], axis=1)
    total = scores.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(scores, total, out=np.full_like(scores, 1 / num_classes), where=total > 0))


def fit_weights(members: ArrayLike, targets: ArrayLike) -> Floats:
    """The weights (M,), none negative, of sum 1, whose mean of the members has the smallest log-loss.

    The loss is convex in the weights (it is a mixture's likelihood), so there is no other minimum to fall into; and a member on
    its own that is still better, by a rounding, is taken: the ensemble is never worse than its best member on these images.

    Parameters
    ----------
    members
        Probabilities (M, N, C) of images that no member was trained on.
    targets
        Class index of each image, (N,).

    Examples
    --------
    >>> fit_weights([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.5, 0.5]]], [0, 1]).round(3).tolist()
    [1.0, 0.0]
    """
    stacked, truth = np.asarray(members, np.float64), np.asarray(targets, np.int64)
    true_class = np.maximum(stacked[:, np.arange(len(truth)), truth], _SMALLEST)
    num_members = len(true_class)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixed = np.maximum(weights @ true_class, _SMALLEST)
        return float(-np.log(mixed).mean()), np.asarray(-(true_class / mixed).mean(axis=1))

    found = minimize(
        loss,
        np.full(num_members, 1 / num_members),
        jac=True,
        method="SLSQP",
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(np.ones((1, num_members)), 1, 1),
        options={"ftol": 1e-12, "maxiter": 500},
    )
    fitted = np.clip(found.x, 0, 1)
    candidates = [fitted / fitted.sum(), *np.eye(num_members)]
    return np.asarray(min(candidates, key=lambda weights: loss(weights)[0]))
