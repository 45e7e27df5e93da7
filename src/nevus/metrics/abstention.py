"""Answering only where one is sure: how wrong the answers are that are given, against how many are given."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from nevus.metrics.classification import ratio

Floats = NDArray[np.float64]


def largest_probability(probabilities: ArrayLike) -> Floats:
    """The probability of the most probable class, (N, C) to (N,) (Hendrycks & Gimpel 2017)."""
    return np.asarray(np.asarray(probabilities, np.float64).max(axis=1))


def margin(probabilities: ArrayLike) -> Floats:
    """How far the most probable class is ahead of the next, (N, C) to (N,)."""
    highest = np.sort(np.asarray(probabilities, np.float64), axis=1)
    return np.asarray(highest[:, -1] - highest[:, -2])


def distance_from_threshold(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """How far probabilities lie from the threshold they are decided at, |logit(p) − logit(t)|, (N,).

    With two classes this, and not the larger probability, is how sure a decision is, unless the threshold is 0.5.
    """
    return np.asarray(np.abs(_logit(scores) - _logit(thresholds)))


def threshold_for_coverage(confidence: ArrayLike, coverage: float) -> float:
    """The confidence from which on images are answered, so that at least the share `coverage` of these is.

    >>> threshold_for_coverage([0.9, 0.8, 0.6, 0.5], 0.75)
    0.6
    """
    values = np.sort(np.asarray(confidence, np.float64))[::-1]
    num_answered = int(np.ceil(coverage * len(values) - 1e-9))
    return float(values[num_answered - 1]) if num_answered else float("inf")


def selective_risk_area(confidence: ArrayLike, errors: ArrayLike, weights: ArrayLike) -> Floats:
    """AURC, the mean error rate among the answers over all numbers of answers (Geifman & El-Yaniv 2017), under weights (R, N).

    Each image in turn sets the threshold, and those at least as sure are answered: images of equal confidence stay together, so
    that a constant confidence gives the error rate itself. `confidence` and `errors` (bool) are (N,); R values.
    """
    values, table = np.asarray(confidence, np.float64), np.asarray(weights, np.float64)
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    last = np.searchsorted(-ordered, -ordered, side="right") - 1
    table = table[:, order]
    answered = np.cumsum(table, axis=1)[:, last]
    wrong = np.cumsum(table * np.asarray(errors, np.bool_)[order], axis=1)[:, last]
    return ratio(
        (table * np.divide(wrong, answered, out=np.zeros_like(wrong), where=answered > 0)).sum(axis=1), table.sum(axis=1)
    )


def least_risk_area(errors: ArrayLike, weights: ArrayLike) -> Floats:
    """The AURC of a confidence that puts every right answer before every wrong one: the least with these answers, (R,).

    (E − C (H(W) − H(C))) / W with E the weight of the wrong answers, C of the right ones, W of all, and H the harmonic numbers.
    AURC less this is the excess, E-AURC (Geifman, Uziel & El-Yaniv 2019), which only the order of the images decides.
    """
    table = np.asarray(weights, np.float64)
    total, wrong = table.sum(axis=1), table @ np.asarray(errors, np.float64)
    right = total - wrong
    return ratio(wrong - right * (digamma(total + 1) - digamma(right + 1)), total)


def _logit(probability: ArrayLike) -> Floats:
    """Log odds, finite at 0 and 1 too."""
    values = np.clip(np.asarray(probability, np.float64), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(values) - np.log1p(-values))
