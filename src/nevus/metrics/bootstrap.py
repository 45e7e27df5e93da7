"""The bootstrap over groups: whole lesions or patients are drawn, never single photos of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]
# A figure under R weightings of the same N images: weights (R, N) to (R,).
WeightedFigure = Callable[[Floats], Floats]


_CHUNK = 100
_JACKKNIFE_PARTS = 200
_ATTEMPTS = 10


@dataclass(frozen=True)
class Interval:
    """An interval and how it was made, or the reason why there is none."""

    low: float | None
    high: float | None
    reason: str = ""
    method: str = ""


def resample(
    figures: Mapping[str, WeightedFigure],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Floats]:
    """The values (R,) of each figure on the same resamples, in the same order, so that any contrast of them is a paired one.

    R is `num_resamples`, and less where most resamples are without one of the classes.
    """
    values: dict[str, list[Floats]] = {name: [np.zeros(0)] for name in figures}
    for weights in _resamples(groups, targets, num_resamples, seed):
        for name, figure in figures.items():
            values[name].append(figure(weights))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def percentile_interval(values: Floats, num_resamples: int, confidence: float = 0.95) -> Interval:
    """The interval of values (R,) that `resample` made, or the reason why there is none."""
    if reason := why_undefined(values, num_resamples):
        return Interval(None, None, reason)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values[~np.isnan(values)], [tail, 1 - tail])
    return Interval(float(low), float(high))


def bca_interval(
    figure: WeightedFigure, values: Floats, groups: NDArray[np.int64], num_resamples: int, confidence: float = 0.95
) -> Interval:
    """The bias-corrected and accelerated interval (Efron 1987) of values (R,) that `resample` made of a figure.

    The acceleration comes from a jackknife over groups; beyond 200 of them, over 200 parts of them, which leaves it as it is.
    """
    if reason := why_undefined(values, num_resamples):
        return Interval(None, None, reason)
    known = values[~np.isnan(values)]
    value = figure(np.ones((1, len(groups))))[0]
    num_groups = int(groups.max()) + 1
    part = np.random.default_rng(0).permutation(num_groups) % min(num_groups, _JACKKNIFE_PARTS)
    left_out = part[groups][None, :] == np.arange(part.max() + 1)[:, None]
    without = np.concatenate(
        [figure((~rows).astype(np.float64)) for rows in np.array_split(left_out, -(-len(left_out) // _CHUNK))]
    )
    if np.isnan(without).any():
        return Interval(None, None, "undefined without one of the groups")
    away = without.mean() - without
    spread = np.square(away).sum()
    acceleration = 0.0 if spread == 0 else float((away**3).sum() / (6 * spread**1.5))
    below = ((known < value).mean() + (known <= value).mean()) / 2
    if not 0 < below < 1:
        return Interval(None, None, "all resamples lie on one side of the figure")
    bias = norm.ppf(below)
    shifted = bias + norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = np.quantile(known, norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    return Interval(float(low), float(high))


def why_undefined(values: Floats, num_resamples: int) -> str:
    """Why values (R,) that `resample` made support no statement; empty where they do."""
    if len(values) < num_resamples:
        return "too few groups of a class: most resamples are without it, or all are alike"
    num_undefined = int(np.isnan(values).sum())
    return f"undefined in {num_undefined} of {len(values)} resamples" if num_undefined > 0.1 * len(values) else ""


def _resamples(groups: NDArray[np.int64], targets: NDArray[np.int64], num_resamples: int, seed: int) -> Iterator[Floats]:
    """Image weights of `num_resamples` draws of as many groups as there are, in chunks of (R, N)."""
    rng = np.random.default_rng(seed)
    num_groups = int(groups.max()) + 1
    present = np.unique(targets)
    indicator = (targets[:, None] == present).astype(np.float64)
    # Resamples of a single group are all the same: an interval without width would look certain.
    missing, attempts = num_resamples if num_groups > 1 else 0, 0
    while missing and attempts < _ATTEMPTS * -(-num_resamples // _CHUNK):
        attempts += 1
        size = min(_CHUNK, missing)
        drawn = rng.integers(num_groups, size=(size, num_groups)) + num_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups).astype(np.float64)
        # An image's weights lie side by side in memory, which is how figures read them.
        weights = np.ascontiguousarray(counts.T)[groups].T
        whole = (weights @ indicator > 0).all(axis=1)
        weights = weights if whole.all() else np.asfortranarray(weights[whole])
        missing -= len(weights)
        if len(weights):
            yield weights
