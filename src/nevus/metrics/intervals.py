"""Intervals of figures over groups: whole lesions or patients vary, never single photos of them.

`analytic`, the default, takes the closed form where there is one, of a share or an area under the ROC curve, and the percentile
bootstrap for all else; `bootstrap` and `bca` resample everything. A bootstrap cannot see what it never draws: of ten right out
of ten it says that all are, which the closed forms do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nevus.metrics.bootstrap import Floats, Interval, WeightedFigure, bca_interval, percentile_interval, resample
from nevus.metrics.classification import ratio
from nevus.metrics.delong import auc_interval
from nevus.metrics.proportions import clustered_wilson
from nevus.metrics.ranking import Ranking

KINDS = ("analytic", "bootstrap", "bca")


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
    """The area under the ROC curve as a figure of weights: `positives` and `among` (all if None) bool (N,), `scores` (N,)."""

    positives: NDArray[np.bool_]
    scores: Floats
    among: NDArray[np.bool_] | None = None

    @property
    def rows(self) -> NDArray[np.int64]:
        """The images that count."""
        return np.arange(len(self.scores)) if self.among is None else np.flatnonzero(self.among)

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to R areas, NaN without positives or negatives."""
        return self._ranking.auc(weights)

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking.of(self.positives[self.rows], self.scores[self.rows], self.rows)


def intervals(
    figures: Mapping[str, WeightedFigure],
    groups: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    kind: str = "analytic",
    num_resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """The interval of each figure, each by the method that suits it.

    Parameters
    ----------
    figures
        Each takes the images' weights, (R, N), and gives R values; NaN where undefined. A `Share` and an `Auc` say what they are.
    groups
        Group index of each image, from 0, (N,).
    targets
        Class index of each image, (N,).
    kind
        "analytic", "bootstrap" or "bca".
    num_resamples, seed, confidence
        Of the bootstraps.

    Raises
    ------
    ValueError
        `kind` is none of these.

    Examples
    --------
    >>> everyone = np.ones(20, bool)
    >>> found = intervals({"sensitivity": Share(everyone, everyone)}, np.arange(20), np.zeros(20, int))["sensitivity"]
    >>> round(found.low, 3), found.method
    (0.839, "Wilson's score interval, 95%")
    """
    if kind not in KINDS:
        raise ValueError(f"intervals {kind!r}: expected one of {', '.join(KINDS)}")
    closed = {name: figure for name, figure in figures.items() if kind == "analytic" and isinstance(figure, Share | Auc)}
    found = {name: _closed(figure, groups, confidence) for name, figure in closed.items()}
    rest = {name: figure for name, figure in figures.items() if name not in closed}
    if not rest:
        return found
    values = resample(rest, groups, targets, num_resamples=num_resamples, seed=seed)
    made = f"over {int(groups.max()) + 1} groups, {num_resamples} resamples, {confidence:.0%}"
    for name, figure in rest.items():
        if kind == "bca":
            limits = bca_interval(figure, values[name], groups, num_resamples, confidence)
            found[name] = replace(limits, method=f"BCa bootstrap {made}")
        else:
            found[name] = replace(
                percentile_interval(values[name], num_resamples, confidence), method=f"percentile bootstrap {made}"
            )
    return found


def _closed(figure: Share | Auc, groups: NDArray[np.int64], confidence: float) -> Interval:
    """Wilson's, DeLong's, or their forms for groups."""
    rows = np.flatnonzero(figure.among) if isinstance(figure, Share) else figure.rows
    if not len(rows):
        return Interval(None, None, "no image counts")
    sizes = np.bincount(groups[rows])
    single = sizes.max() == 1
    over = f"over {int((sizes > 0).sum())} groups"
    if isinstance(figure, Share):
        low, high, _ = clustered_wilson(np.bincount(groups[rows], figure.hits[rows], len(sizes)), sizes, confidence)
        method = "Wilson's score interval" if single else f"Wilson's score interval {over} (design effect by Rao and Scott)"
        alone = "its images are of one group alone"
    else:
        positives = figure.positives[rows]
        if positives.all() or not positives.any():
            return Interval(None, None, "there are no positives or no negatives")
        low, high = auc_interval(positives, figure.scores[rows], groups[rows], confidence)
        method = "DeLong's interval, logit scale" if single else f"Obuchowski's clustered interval {over}, logit scale"
        alone = "positives or negatives are of one group alone"
    if np.isnan(low):
        return Interval(None, None, alone)
    return Interval(low, high, method=f"{method}, {confidence:.0%}")
