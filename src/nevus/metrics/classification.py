"""Figures of decisions and of scores, as pure functions on arrays. Undefined is NaN, never a free 0 or 1."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def confusion_matrix(targets: ArrayLike, decisions: ArrayLike, num_classes: int) -> Counts:
    """How often class i (row) was decided to be class j (column), int64 (C, C).

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    pairs = np.asarray(targets, np.int64) * num_classes + np.asarray(decisions, np.int64)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def sensitivity(confusion: ArrayLike) -> Floats:
    """Recall of each class, TP / (TP + FN); any leading axes, (…, C, C) to (…, C)."""
    matrix = np.asarray(confusion, np.float64)
    return ratio(_diagonal(matrix), matrix.sum(axis=-1))


def specificity(confusion: ArrayLike) -> Floats:
    """TN / (TN + FP) of each class against the rest, (…, C, C) to (…, C)."""
    matrix = np.asarray(confusion, np.float64)
    total = matrix.sum(axis=(-2, -1))[..., None]
    others = total - matrix.sum(axis=-1)
    return ratio(others - (matrix.sum(axis=-2) - _diagonal(matrix)), others)


def precision(confusion: ArrayLike) -> Floats:
    """TP / (TP + FP) of each class, (…, C, C) to (…, C); NaN for a class that was never decided."""
    matrix = np.asarray(confusion, np.float64)
    return ratio(_diagonal(matrix), matrix.sum(axis=-2))


def f1(confusion: ArrayLike) -> Floats:
    """2TP / (2TP + FP + FN) of each class. (The 2022 paper's equation has TN in the denominator too; its code does not.)"""
    matrix = np.asarray(confusion, np.float64)
    return ratio(2 * _diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


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


def partial_auc(positives: ArrayLike, scores: ArrayLike, min_sensitivity: float = 0.8) -> float:
    """The area between the ROC curve and `min_sensitivity`, from 0 to 1 − min_sensitivity (ISIC 2024's figure)."""
    false_rate, true_rate, _ = roc_curve(positives, scores)
    if not 0 < np.sum(np.asarray(positives, np.bool_)) < np.size(scores):
        return float("nan")
    # The curve's parts above the line, with the point where it crosses the line put in.
    crossing = np.interp(min_sensitivity, true_rate, false_rate)
    above = true_rate > min_sensitivity
    x = np.concatenate([[crossing], false_rate[above]])
    y = np.concatenate([[min_sensitivity], true_rate[above]]) - min_sensitivity
    return float(np.trapezoid(y, x))


def _cumulated(positives: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Counts of positives and negatives at or above each distinct score, from the largest score down."""
    truth, values = np.asarray(positives, np.bool_), np.asarray(scores, np.float64)
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
    true = np.cumsum(truth[order])[ends].astype(np.float64)
    return truth, true, ends + 1.0 - true, values[order][ends]


def _diagonal(matrix: Floats) -> Floats:
    return np.asarray(np.diagonal(matrix, axis1=-2, axis2=-1))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """One through the other, element by element; NaN where the denominator is not above 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    shares: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return shares
