"""The tested rows with all that a section of the evaluation needs: decisions, groups, and how intervals are made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.evaluation.figures import Judged, value
from nevus.evaluation.operating_point import OperatingPoint
from nevus.evaluation.predictions import Predictions
from nevus.metrics.bootstrap import Interval, WeightedFigure
from nevus.metrics.intervals import intervals

Document = dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """`test` are the N rows of `judged`, `groups` the index of each one's group; the seed gives every section the same draws.

    `kind` is that of the intervals, one of `nevus.metrics.intervals.KINDS`.
    `prevalence` of the positive class and `cost_ratio` (false alarms that a miss costs) are what the reader stated, if anything.
    """

    predictions: Predictions
    test: pd.DataFrame
    point: OperatingPoint
    judged: Judged
    groups: NDArray[np.int64]
    num_groups: int
    kind: str = "analytic"
    num_resamples: int = 2000
    seed: int = 0
    prevalence: float | None = None
    cost_ratio: float | None = None

    def measure(
        self, figures: Mapping[str, WeightedFigure | None], reason: str = "undefined on these images"
    ) -> dict[str, Document]:
        """Each figure as `{value, low, high, n, method}`; one that is undefined or None is null, with its reason.

        `n` are the images that a figure says to count `among`, as a share's denominator; else all.
        """
        numbers = {name: value(figure, len(self.test)) for name, figure in figures.items()}
        defined = {name: figure for name, figure in figures.items() if figure is not None and numbers[name] is not None}
        targets = self.judged.targets
        found = intervals(defined, self.groups, targets, kind=self.kind, num_resamples=self.num_resamples, seed=self.seed)
        return {name: self._document(figure, numbers[name], found.get(name), reason) for name, figure in figures.items()}

    def _document(self, figure: WeightedFigure | None, number: float | None, interval: Interval | None, reason: str) -> Document:
        among = getattr(figure, "among", None)
        count = len(self.test) if among is None else int(among.sum())
        if interval is None:
            none = dict.fromkeys(("value", "low", "high"))
            return {**none, "n": count, "method": f"no interval: {reason}", "reason": reason}
        method = interval.method if interval.low is not None else f"no interval: {interval.reason}"
        return {"value": number, "low": interval.low, "high": interval.high, "n": count, "method": method}
