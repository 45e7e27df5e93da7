"""Figures of decisions and of scores, as pure functions on arrays. Undefined is NaN, never a free 0 or 1."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def decide(probabilities: ArrayLike) -> NDArray[np.int64]:
    """The class of the largest probability, (N, C) to (N,); C where several are largest: undecided, right for no class.

    The ISIC challenges' scorer does so. The first of the largest would reward whatever class stands first.

    >>> decide([[0.2, 0.8], [0.5, 0.5]]).tolist()
    [1, 2]
    """
    table = np.asarray(probabilities, np.float64)
    undecided = (table == table.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return np.asarray(np.where(undecided, table.shape[1], table.argmax(axis=1)), np.int64)


def confusion_matrix(targets: ArrayLike, decisions: ArrayLike, num_classes: int) -> Counts:
    """How often class i (row) was decided to be class j (column), int64 (C, C); (C, C + 1) where some are undecided (`decide`).

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    decided = np.asarray(decisions, np.int64)
    width = num_classes + int((decided == num_classes).any())
    pairs = np.asarray(targets, np.int64) * width + decided
    return np.bincount(pairs, minlength=num_classes * width).reshape(num_classes, width).astype(np.int64)


def sensitivity(confusion: ArrayLike) -> Floats:
    """Recall of each class, TP / (TP + FN); any leading axes, (…, C, C) to (…, C). An undecided image is a miss."""
    matrix = np.asarray(confusion, np.float64)
    return ratio(_diagonal(matrix), matrix.sum(axis=-1))


def specificity(confusion: ArrayLike) -> Floats:
    """TN / (TN + FP) of each class against the rest, (…, C, C) to (…, C)."""
    matrix = np.asarray(confusion, np.float64)
    total = matrix.sum(axis=(-2, -1))[..., None]
    others = total - matrix.sum(axis=-1)
    return ratio(others - (_decided(matrix) - _diagonal(matrix)), others)


def precision(confusion: ArrayLike) -> Floats:
    """TP / (TP + FP) of each class, (…, C, C) to (…, C); NaN for a class that was never decided. Also called PPV."""
    matrix = np.asarray(confusion, np.float64)
    return ratio(_diagonal(matrix), _decided(matrix))


def f1(confusion: ArrayLike) -> Floats:
    """2TP / (2TP + FP + FN) of each class. (The 2022 paper's equation has TN in the denominator too; its code does not.)"""
    matrix = np.asarray(confusion, np.float64)
    return ratio(2 * _diagonal(matrix), matrix.sum(axis=-1) + _decided(matrix))


def matthews(confusion: ArrayLike) -> Floats:
    """Matthews' correlation of truth and decision, (…, C, C) to (…), from −1 to 1; with many classes Gorodkin's R_K (2004).

    NaN where all images are of one class or all decisions are one. (scikit-learn calls that 0.)

    >>> matthews([[3, 1], [1, 3]]).item()
    0.5
    """
    matrix = np.asarray(confusion, np.float64)
    total, right = matrix.sum(axis=(-2, -1)), _diagonal(matrix).sum(axis=-1)
    true, decided = matrix.sum(axis=-1), matrix.sum(axis=-2)
    agreement = right * total - (true * decided[..., : true.shape[-1]]).sum(axis=-1)
    spread_true = total**2 - np.square(true).sum(axis=-1)
    return ratio(agreement, np.sqrt(spread_true * (total**2 - np.square(decided).sum(axis=-1))))


def accuracy(confusion: ArrayLike) -> Floats:
    """The share of right decisions, (…, C, C) to (…)."""
    matrix = np.asarray(confusion, np.float64)
    return ratio(_diagonal(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: ArrayLike) -> Floats:
    """Mean recall over the classes (the ISIC challenges' ranking figure); NaN where a class has no image."""
    return np.asarray(sensitivity(confusion).mean(axis=-1))


def ovr_balanced_accuracy(confusion: ArrayLike) -> Floats:
    """The 2022 paper's "balanced accuracy": (sensitivity + specificity) / 2 of each class against the rest, averaged.

    It lies far above the mean recall, since specificities are near 1 with many classes: the two must not be compared.
    """
    return np.asarray(((sensitivity(confusion) + specificity(confusion)) / 2).mean(axis=-1))


def in_top(targets: ArrayLike, probabilities: ArrayLike, num_guesses: int) -> NDArray[np.bool_]:
    """Whether the true class is surely among the `num_guesses` most probable, (N, C) to (N,): a tie across that line is a miss.

    >>> in_top([0, 0, 0], [[0.2, 0.5, 0.3], [0.3, 0.5, 0.2], [0.25, 0.5, 0.25]], 2).tolist()
    [False, True, False]
    """
    table = np.asarray(probabilities, np.float64)
    own = table[np.arange(len(table)), np.asarray(targets, np.int64)][:, None]
    return np.asarray((table >= own).sum(axis=1) <= num_guesses)


def spread(values: ArrayLike) -> Floats:
    """σ over classes, dividing by C: the 2022 paper's (its Table 6: 0.85 0.75 0.78 0.83 0.63 0.96 1 have 0.116)."""
    return np.asarray(np.asarray(values, np.float64).std(axis=-1))


def roc_auc(positives: ArrayLike, scores: ArrayLike) -> float:
    """The probability that a positive scores above a negative, ties counted half (Mann-Whitney); NaN with one class.

    >>> roc_auc([False, False, True, True], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return float(weighted_auc(np.asarray(positives, np.bool_), np.asarray(scores, np.float64), np.ones((1, np.size(scores))))[0])


def macro_auc(targets: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean over classes of the one-vs-rest AUC; NaN where a class has no image."""
    truth, table = np.asarray(targets), np.asarray(probabilities, np.float64)
    return float(np.mean([roc_auc(truth == index, table[:, index]) for index in range(table.shape[1])]))


def weighted_auc(positives: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """AUC under R different weightings of the same images at once, from one sort: weights (R, N) to (R,)."""
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf))  # the last place of each run of equal scores
    positive, negative = weights[:, order] * positives[order], weights[:, order] * ~positives[order]
    below = np.cumsum(negative, axis=1)[:, ends]
    tied = np.diff(below, axis=1, prepend=0.0)
    gained = np.diff(np.cumsum(positive, axis=1)[:, ends], axis=1, prepend=0.0)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return ratio((gained * (below - tied / 2)).sum(axis=1), pairs)


def roc_curve(positives: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """False-positive rates, true-positive rates and the thresholds (score >= t), from (0, 0) at infinity to (1, 1)."""
    truth, true, false, thresholds = _cumulated(positives, scores)
    rates = (np.concatenate([[0.0], part / max(total, 1)]) for part, total in ((false, (~truth).sum()), (true, truth.sum())))
    false_rate, true_rate = rates
    return false_rate, true_rate, np.concatenate([[np.inf], thresholds])


def precision_recall_curve(positives: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Precisions and recalls at the thresholds (score >= t), falling; recall rises from its first value to 1."""
    truth, true, false, thresholds = _cumulated(positives, scores)
    return true / (true + false), true / max(truth.sum(), 1), thresholds


def _cumulated(positives: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Counts of positives and negatives at or above each distinct score, from the largest score down."""
    truth, values = np.asarray(positives, np.bool_), np.asarray(scores, np.float64)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
    true = np.cumsum(truth[order])[ends].astype(np.float64)
    return truth, true, ends + 1.0 - true, values[order][ends]


def _diagonal(matrix: Floats) -> Floats:
    return np.asarray(np.diagonal(matrix, axis1=-2, axis2=-1))


def _decided(matrix: Floats) -> Floats:
    """How many images were decided to be each class; a last column of undecided ones is no class."""
    return np.asarray(matrix.sum(axis=-2)[..., : matrix.shape[-2]])


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """One through the other, element by element; NaN where the denominator is not above 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    shares: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return shares
