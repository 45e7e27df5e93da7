"""Our figure for a published table's column, out of an evaluation or out of what a run leaves beside it."""

from collections.abc import Mapping
from typing import Any

from nevus.reproduce.published import number

Figure = Mapping[str, Any]

# Averages of the per-class figures that an evaluation does not have, because a bootstrap of them is not drawn.
_MACRO = {"macro_specificity": "specificity"}
_WEIGHTED = {
    "weighted_precision": "precision",
    "weighted_f1": "f1",
    "weighted_sensitivity": "sensitivity",
    "weighted_specificity": "specificity",
}
# Of the network and its training: they are the same on any test images.
FACTS = ("parameters", "size_mb", "depth", "seconds_per_epoch")


def figure(column: str, evaluation: Mapping[str, Any], facts: Mapping[str, Any]) -> Figure:
    """The figure of a column: `value`, `low`, `high`, `fold_mean` and `fold_sd`, each None where there is none.

    Parameters
    ----------
    column
        A metric of the evaluation, "metric/class", an average named macro_ or weighted_, or one of `FACTS`.
    evaluation
        What `evaluation.json` holds.
    facts
        Those of `FACTS` that are known.

    Examples
    --------
    >>> figure("parameters", {}, {"parameters": 2_666_922})["value"]
    2666922
    """
    metric, _, owner = column.partition("/")
    if column in FACTS:
        return _plain(facts.get(column))
    if owner:
        return dict(evaluation["per_class"][owner][metric])
    if column in _MACRO:
        return _plain(_mean(evaluation["per_class"], _MACRO[column], weighted=False))
    if column in _WEIGHTED:
        return _plain(_mean(evaluation["per_class"], _WEIGHTED[column], weighted=True))
    return dict(evaluation["metrics"][column])


def compared(ours: Figure, num_folds: int) -> float | None:
    """What of ours stands beside a published figure: the mean over folds where the paper prints one, else the value."""
    mean: float | None = ours["fold_mean"] if num_folds > 1 else None
    value: float | None = ours["value"]
    return value if mean is None else mean


def difference(ours: float | None, printed: str) -> float | None:
    """Ours less the published figure, None where either is not there.

    >>> round(difference(0.85, "84.59%"), 4)
    0.0041
    """
    theirs = number(printed)
    return None if ours is None or theirs is None else ours - theirs


def written(column: str, value: float | None, *, percent: bool = False, signed: bool = False) -> str:
    """A figure as its column prints it, percentages without their sign.

    >>> written("auc", 0.9223, percent=True), written("accuracy", -0.0204, signed=True), written("parameters", 2_666_922)
    ('92.23', '-0.020', '2.67M')
    """
    if value is None:
        return "–"
    sign = "+" if signed else ""
    if column == "parameters":
        return f"{_rounded(value / 1e6, 2):{sign}.2f}M"
    if column in FACTS:
        return f"{_rounded(value, 0):{sign}.0f}"
    return f"{_rounded(100 * value, 2):{sign}.2f}" if percent else f"{_rounded(value, 3):{sign}.3f}"


def _rounded(value: float, digits: int) -> float:
    """Rounded, and no zero with a minus before it."""
    return round(value, digits) + 0.0


def _mean(per_class: Mapping[str, Any], metric: str, *, weighted: bool) -> float | None:
    """Over classes, each counting alike or by its images; None where one is undefined."""
    values = [figures[metric]["value"] for figures in per_class.values()]
    # An evaluation counts a class's own images beside its sensitivity.
    weights = [figures["sensitivity"]["n"] if weighted else 1 for figures in per_class.values()]
    if any(value is None for value in values):
        return None
    return float(sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights))


def _plain(value: float | None) -> Figure:
    return {"value": value, "low": None, "high": None, "fold_mean": None, "fold_sd": None}
