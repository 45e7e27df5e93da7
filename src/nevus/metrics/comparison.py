"""Whether two systems differ on the same images: the paired bootstrap over groups, with its interval and its p."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nevus.metrics.bootstrap import Floats, WeightedFigure, percentile_interval, resample, why_undefined


@dataclass(frozen=True)
class Effect:
    """A difference, its 95% interval, two-sided p and standard error; None where undefined, with the reason."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str = ""
    error: float | None = None


def compare_figures(
    first: dict[str, WeightedFigure],
    second: dict[str, WeightedFigure],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Effect]:
    """Second minus first of each figure, both of them on every resample.

    Parameters
    ----------
    first, second
        The same figures of two systems, each from the weights (R, N) of the same N images to R values.
    groups
        Group index of each image, from 0, (N,): whole groups are drawn.
    targets
        Class index of each image, (N,).

    Examples
    --------
    >>> right, wrong = np.ones(40), np.tile([1.0, 1.0, 1.0, 0.0], 10)
    >>> def share(outcomes):
    ...     return {"accuracy": lambda weights: weights @ outcomes / weights.sum(axis=1)}
    >>> effect = compare_figures(share(wrong), share(right), np.arange(40), np.zeros(40, int))["accuracy"]
    >>> effect.value, effect.low > 0.1, effect.p < 0.01
    (0.25, True, True)
    """
    differences = {name: _difference(first[name], second[name]) for name in first}
    values = resample(differences, groups, targets, num_resamples=num_resamples, seed=seed)
    whole = np.ones((1, len(targets)))
    return {name: effect(float(differences[name](whole)[0]), part, num_resamples) for name, part in values.items()}


def effect(value: float, resampled: Floats, num_resamples: int, confidence: float = 0.95) -> Effect:
    """A contrast's interval and p from its values (R,) on the resamples: any contrast of what `metrics.intervals.resample` made.

    p = 2 · (1 + the smaller of the numbers of resamples at or below 0 and at or above 0) / (R + 1), at most 1: the test that the
    percentile interval inverts (Davison and Hinkley 1997, sections 4.4 and 5.4). It is never below 2 / (R + 1).
    """
    if np.isnan(value):
        return Effect(None, None, None, None, "undefined on these images")
    if reason := why_undefined(resampled, num_resamples):
        return Effect(value, None, None, None, reason)
    interval = percentile_interval(resampled, num_resamples, confidence)
    known = resampled[~np.isnan(resampled)]
    fewer = 1 + min(int((known <= 0).sum()), int((known >= 0).sum()))
    return Effect(value, interval.low, interval.high, min(1.0, 2 * fewer / (len(known) + 1)), error=float(known.std()))


def _difference(first: WeightedFigure, second: WeightedFigure) -> WeightedFigure:
    return lambda weights: second(weights) - first(weights)
