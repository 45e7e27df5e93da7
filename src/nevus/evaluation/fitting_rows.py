"""The rows that a threshold, a quantile or a scale may be fitted on: each fold's validation rows, never its test rows."""

from dataclasses import dataclass, field

import pandas as pd

from nevus.data.splits import OPTIMISTIC
from nevus.evaluation.predictions import Predictions


@dataclass(frozen=True)
class FittingRows:
    """Rows by fold, and whether they are "validation" or (a paper's protocol, optimistic) "test"; or the reason for none."""

    part: str
    by_fold: dict[int, pd.DataFrame] = field(default_factory=dict)
    reason: str = ""


def fitting_rows(predictions: Predictions) -> FittingRows:
    """Each tested fold's validation rows; under a paper's protocol its test rows, as the paper chose its threshold."""
    part = "test" if predictions.protocol in OPTIMISTIC else "validation"
    rows = predictions.test if part == "test" else predictions.validation
    by_fold = {int(fold): rows[rows["fold"] == fold] for fold in sorted(predictions.test["fold"].unique())}
    without = [fold for fold, chosen in by_fold.items() if chosen.empty]
    return FittingRows(part, reason=f"fold {without[0]} has no validation rows") if without else FittingRows(part, by_fold)


def group_names(frame: pd.DataFrame) -> "pd.Series[str]":
    """The group of each row that has a `group_id`; an image without one is its own."""
    return frame["group_id"].where(frame["group_id"].fillna("") != "", "image " + frame["image_id"])
