"""Percentile bootstrap over groups: whole lesions or patients are drawn, never single photos of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nevus.metrics.classification import ratio, weighted_auc

Floats = NDArray[np.float64]
# A figure under R weightings of the same N images: weights (R, N) to (R,).
WeightedFigure = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Share:
    """The share of `hits` among the images that count, as a figure of weights; both bool (N,). Sensitivity is one.

    >>> sensitivity = Share(hits=np.array([True, False, True]), among=np.array([True, True, False]))
    >>> sensitivity(np.ones((1, 3)))
    array([0.5])
    """

    hits: NDArray[np.bool_]
    among: NDArray[np.bool_]

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to R shares, NaN where no image counts."""
        return ratio(weights @ (self.hits & self.among).astype(np.float64), weights @ self.among.astype(np.float64))


@dataclass(frozen=True)
class Auc:
    """The area under the ROC curve as a figure of weights: `positives` bool (N,), `scores` (N,)."""

    positives: NDArray[np.bool_]
    scores: Floats

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to R areas, NaN without positives or negatives."""
        return weighted_auc(self.positives, self.scores, weights)


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
    values = resample(figures, groups, targets, num_resamples=num_resamples, seed=seed)
    return {name: percentile_interval(part, num_resamples, confidence) for name, part in values.items()}


def resample(
    figures: dict[str, WeightedFigure],
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
        counts = np.bincount(drawn.ravel(), minlength=size * num_groups).reshape(size, num_groups)
        weights = counts[:, groups].astype(np.float64)
        weights = weights[(weights @ indicator > 0).all(axis=1)]
        missing -= len(weights)
        if len(weights):
            yield weights
