"""Operating points: from which score on an image counts as positive, and what a threshold means for a thousand people."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nevus.metrics.classification import ratio, roc_curve

Floats = NDArray[np.float64]
# Chosen for every run and carried by every bundle.
USUAL_RULES = ("youden", "sensitivity:0.80", "sensitivity:0.90", "sensitivity:0.95")
EXPECTED = "expected youden, a sensitivity as in sensitivity:0.90, or costs as in cost:10 or cost:10@0.02"


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


def threshold_for_cost(scores: ArrayLike, positives: ArrayLike, cost_ratio: float, prevalence: float | None = None) -> float:
    """The threshold of the smallest expected cost, where a missed positive costs as much as `cost_ratio` false alarms.

    The cost of a person is cost_ratio · π (1 − sensitivity) + (1 − π) (1 − specificity), π the prevalence: by default the
    share of positives among these images (Zweig and Campbell 1993). Among equals it is the largest.

    >>> threshold_for_cost([0.9, 0.8, 0.5, 0.2], [True, False, True, True], 1)
    0.2
    >>> threshold_for_cost([1, 0.8, 0.5, 0.2], [True, False, True, True], 1, prevalence=0.01)  # hardly anybody is worth an alarm
    0.9
    """
    false_rate, true_rate, thresholds = roc_curve(positives, scores)
    share = float(np.mean(np.asarray(positives, np.bool_))) if prevalence is None else prevalence
    cost = cost_ratio * share * (1 - true_rate) + (1 - share) * false_rate
    # Equal costs differ in their last bits.
    return _between(thresholds, int(np.argmax(cost <= cost.min() + 1e-12)))


def choose_threshold(rule: str, scores: ArrayLike, positives: ArrayLike) -> float:
    """A threshold by rule: "youden", "sensitivity:0.90", "cost:10", or "cost:10@0.02" at a stated prevalence.

    Raises
    ------
    ValueError
        The rule is not one of these, or positives or negatives are missing: then no threshold means anything.
    """
    truth = np.asarray(positives, np.bool_)
    if not 0 < truth.sum() < truth.size:
        raise ValueError(f"a threshold needs positives and negatives; there are {int(truth.sum())} of {truth.size}")
    name, _, argument = rule.partition(":")
    if name not in RULES or (name == "youden" and rule != name):
        raise ValueError(f"operating point {rule!r}: {EXPECTED}")
    return RULES[name](scores, truth, argument)


def operating_points(rules: Iterable[str], scores: ArrayLike, positives: ArrayLike) -> list[dict[str, Any]]:
    """Each rule with its threshold, and the sensitivity and specificity it has on the images that it was chosen on."""
    values, truth = np.asarray(scores, np.float64), np.asarray(positives, np.bool_)
    points = []
    for rule in dict.fromkeys(rules):
        threshold = choose_threshold(rule, values, truth)
        flags = values >= threshold
        points.append(
            {
                "rule": rule,
                "threshold": threshold,
                "sensitivity": float(flags[truth].mean()),
                "specificity": float((~flags[~truth]).mean()),
                "num_positives": int(truth.sum()),
                "num_negatives": int((~truth).sum()),
            }
        )
    return points


def predictive_values(sensitivity: ArrayLike, specificity: ArrayLike, prevalence: float) -> tuple[Floats, Floats]:
    """PPV and NPV at a prevalence by Bayes' theorem; NaN where nobody is flagged, or everybody.

    >>> ppv, npv = predictive_values(0.9, 0.8, 0.02)
    >>> round(float(ppv), 4), round(float(npv), 4)
    (0.0841, 0.9975)
    """
    hits, rejections = np.asarray(sensitivity, np.float64), np.asarray(specificity, np.float64)
    ill, well = prevalence * hits, (1 - prevalence) * rejections
    return ratio(ill, ill + (1 - prevalence) * (1 - rejections)), ratio(well, well + prevalence * (1 - hits))


def people(sensitivity: float, specificity: float, prevalence: float, total: int = 1000) -> dict[str, int]:
    """The 2 × 2 table as whole people, `total` in all: each share is rounded down, the largest remainders get one more.

    >>> people(0.9, 0.8, 0.02)
    {'true_positives': 18, 'false_negatives': 2, 'false_positives': 196, 'true_negatives': 784}
    """
    ill, well = total * prevalence, total * (1 - prevalence)
    exact = np.array([ill * sensitivity, ill * (1 - sensitivity), well * (1 - specificity), well * specificity])
    whole = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.argsort(whole - exact, kind="stable")
    whole[remainders[: total - whole.sum()]] += 1
    names = ("true_positives", "false_negatives", "false_positives", "true_negatives")
    return dict(zip(names, whole.tolist(), strict=True))


def net_benefit(sensitivity: ArrayLike, specificity: ArrayLike, prevalence: float, threshold: ArrayLike) -> Floats:
    """π · sensitivity − (1 − π) (1 − specificity) · t / (1 − t): true positives a person, less the false alarms at the odds of t.

    t is the probability at which a reader would rather have a lesion looked at than not (Vickers and Elkin 2006).

    >>> round(float(net_benefit(0.9, 0.8, 0.02, 0.05)), 5)  # treating all has 0.02 - 0.98 / 19, which is below nothing
    0.00768
    """
    odds = np.asarray(threshold, np.float64) / (1 - np.asarray(threshold, np.float64))
    gain = prevalence * np.asarray(sensitivity, np.float64)
    return np.asarray(gain - (1 - prevalence) * (1 - np.asarray(specificity, np.float64)) * odds)


def _sensitivity_rule(scores: ArrayLike, positives: ArrayLike, argument: str) -> float:
    wanted = _number(argument)
    if not 0 < wanted < 1:
        raise ValueError(f"operating point sensitivity:{argument}: expected a number between 0 and 1, as in sensitivity:0.90")
    return threshold_for_sensitivity(scores, positives, wanted)


def _cost_rule(scores: ArrayLike, positives: ArrayLike, argument: str) -> float:
    text, at, share = argument.partition("@")
    cost_ratio, prevalence = _number(text), _number(share) if at else None
    if not 0 < cost_ratio < np.inf:
        raise ValueError(f"operating point cost:{argument}: expected how many false alarms a miss costs, above 0, as in cost:10")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"operating point cost:{argument}: expected a prevalence between 0 and 1, as in cost:10@0.02")
    return threshold_for_cost(scores, positives, cost_ratio, prevalence)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


RULES: dict[str, Callable[[ArrayLike, ArrayLike, str], float]] = {
    "youden": lambda scores, positives, argument: youden(scores, positives),
    "sensitivity": _sensitivity_rule,
    "cost": _cost_rule,
}


def _between(thresholds: "np.ndarray[tuple[int], np.dtype[np.float64]]", index: int) -> float:
    """Halfway between the chosen score and the next lower one: on new images both sides are then equally near."""
    if np.isinf(thresholds[index]):  # nothing is positive: just above the largest score
        return float(np.nextafter(thresholds[index + 1], np.inf))
    if index + 1 == len(thresholds):
        return float(thresholds[index])
    return float((thresholds[index] + thresholds[index + 1]) / 2)
