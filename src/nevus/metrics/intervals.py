"""Percentile bootstrap over groups: whole lesions or patients are drawn, never single photos of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# A figure under R weightings of the same N images: weights (R, N) to (R,).
WeightedFigure = Callable[[Floats], Floats]

_CHUNK = 100
_ATTEMPTS = 10


@dataclass(frozen=True)
class Interval:
    """A 95% interval, or the reason why there is none."""

    low: float | None
    high: float | None
    reason: str = ""


def bootstrap(
    figures: dict[str, WeightedFigure],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    num_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of many figures from the same resamples.

    Parameters
    ----------
    figures
        Each takes the images' weights, (R, N), and gives R values; NaN where undefined.
    groups
        Group index of each image, from 0, (N,).
    targets
        Class index of each image, (N,): a resample without one of the classes that are present is drawn again.
    num_resamples, seed, confidence
        2,000 resamples give a 95% limit to about one unit in its second digit.

    Returns
    -------
    dict
        An interval for each figure; without one where less than nine in ten resamples define the figure.
    """
    values: dict[str, list[Floats]] = {name: [] for name in figures}
    num_drawn = 0
    for weights in _resamples(groups, targets, num_resamples, seed):
        num_drawn += len(weights)
        for name, figure in figures.items():
            values[name].append(figure(weights))
    return {name: _interval(parts, num_drawn, num_resamples, confidence) for name, parts in values.items()}


def _resamples(groups: NDArray[np.int64], targets: NDArray[np.int64], num_resamples: int, seed: int) -> Iterator[Floats]:
    """Image weights of `num_resamples` draws of as many groups as there are, in chunks of (R, N)."""
    rng = np.random.default_rng(seed)
    num_groups = int(groups.max()) + 1
    present = np.unique(targets)
    indicator = (targets[:, None] == present).astype(np.float64)
    missing, attempts = num_resamples, 0
    while missing and attempts < _ATTEMPTS * -(-num_resamples // _CHUNK):
        attempts += 1
        size = min(_CHUNK, missing)
        drawn = rng.integers(num_groups, size=(size, num_groups)) + num_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups)
        weights = counts[:, groups].astype(np.float64)
        weights = weights[(weights @ indicator > 0).all(axis=1)]
        missing -= len(weights)
        if len(weights):
            yield weights


def _interval(parts: list[Floats], num_drawn: int, num_resamples: int, confidence: float) -> Interval:
    if num_drawn < num_resamples:
        return Interval(None, None, "too few groups of a class: most resamples are without it")
    values = np.concatenate(parts)
    defined = values[~np.isnan(values)]
    if len(defined) < 0.9 * len(values):
        return Interval(None, None, f"undefined in {len(values) - len(defined)} of {len(values)} resamples")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))
