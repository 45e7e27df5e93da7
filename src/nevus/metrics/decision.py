"""Operating points: from which score on an image counts as positive."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from nevus.metrics.classification import roc_curve


def youden(scores: ArrayLike, positives: ArrayLike) -> float:
    """The threshold with the largest sensitivity + specificity − 1, halfway to the next lower score (Youden 1950)."""
    false_rate, true_rate, thresholds = roc_curve(positives, scores)
    return _between(thresholds, int(np.argmax(true_rate - false_rate)))


def threshold_for_sensitivity(scores: ArrayLike, positives: ArrayLike, wanted: float) -> float:
    """The largest threshold whose sensitivity is at least `wanted`, halfway to the next lower score.

    >>> threshold_for_sensitivity([0.9, 0.8, 0.5, 0.2], [True, False, True, True], 0.6)
    0.35
    """
    _, true_rate, thresholds = roc_curve(positives, scores)
    return _between(thresholds, int(np.argmax(true_rate >= wanted - 1e-12)))


def choose_threshold(rule: str, scores: ArrayLike, positives: ArrayLike) -> float:
    """A threshold by rule: "youden", or "sensitivity:0.90".

    Raises
    ------
    ValueError
        The rule is not one of these, or positives or negatives are missing: then no threshold means anything.
    """
    truth = np.asarray(positives, np.bool_)
    if not 0 < truth.sum() < truth.size:
        raise ValueError(f"a threshold needs positives and negatives; there are {int(truth.sum())} of {truth.size}")
    name, _, argument = rule.partition(":")
    if name not in RULES:
        raise ValueError(f"operating point {rule!r}: expected youden, or a sensitivity as in sensitivity:0.90")
    return RULES[name](scores, truth, argument)


def _sensitivity_rule(scores: ArrayLike, positives: ArrayLike, argument: str) -> float:
    try:
        wanted = float(argument)
    except ValueError:
        wanted = float("nan")
    if not 0 < wanted < 1:
        raise ValueError(f"operating point sensitivity:{argument}: expected a number between 0 and 1, as in sensitivity:0.90")
    return threshold_for_sensitivity(scores, positives, wanted)


RULES: dict[str, Callable[[ArrayLike, ArrayLike, str], float]] = {
    "youden": lambda scores, positives, argument: youden(scores, positives),
    "sensitivity": _sensitivity_rule,
}


def _between(thresholds: "np.ndarray[tuple[int], np.dtype[np.float64]]", index: int) -> float:
    """Halfway between the chosen score and the next lower one: on new images both sides are then equally near."""
    if np.isinf(thresholds[index]):  # nothing is positive: just above the largest score
        return float(np.nextafter(thresholds[index + 1], np.inf))
    if index + 1 == len(thresholds):
        return float(thresholds[index])
    return float((thresholds[index] + thresholds[index + 1]) / 2)
