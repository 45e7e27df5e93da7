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
from nevus.metrics.intervals import Interval, WeightedFigure, bootstrap

Document = dict[str, Any]


@dataclass(frozen=True)
class Tested:
    """`test` are the N rows of `judged`, `groups` the index of each one's group; the seed gives every section the same draws.

    `prevalence` of the positive class and `cost_ratio` (false alarms that a miss costs) are what the reader stated, if anything.
    """

    predictions: Predictions
    test: pd.DataFrame
    point: OperatingPoint
    judged: Judged
    groups: NDArray[np.int64]
    num_groups: int
    num_resamples: int = 2000
    seed: int = 0
    prevalence: float | None = None
    cost_ratio: float | None = None

    @property
    def method(self) -> str:
        """How the intervals of `measure` are made."""
        return f"percentile bootstrap over {self.num_groups} groups, {self.num_resamples} resamples, 95%"

    def measure(
        self, figures: Mapping[str, WeightedFigure | None], reason: str = "undefined on these images"
    ) -> dict[str, Document]:
        """Each figure as `{value, low, high, n, method}`; one that is undefined or None is null, with its reason."""
        defined = {name: figure for name, figure in figures.items() if figure is not None}
        intervals = bootstrap(defined, self.groups, self.judged.targets, num_resamples=self.num_resamples, seed=self.seed)
        return {name: self._document(figure, intervals.get(name), reason) for name, figure in figures.items()}

    def _document(self, figure: WeightedFigure | None, interval: Interval | None, reason: str) -> Document:
        number = value(figure, len(self.test))
        if number is None or interval is None:
            return {
                "value": None,
                "low": None,
                "high": None,
                "n": len(self.test),
                "method": f"no interval: {reason}",
                "reason": reason,
            }
        method = self.method if interval.low is not None else f"no interval: {interval.reason}"
        return {"value": number, "low": interval.low, "high": interval.high, "n": len(self.test), "method": method}
