"""Two predictions files about the same images: how far each figure differs, with its interval and p."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nevus.data.splits import label
from nevus.errors import DataError, listed
from nevus.evaluation.evaluate import group_indices, judge
from nevus.evaluation.figures import overall, value
from nevus.evaluation.operating_point import operating_point as choose_point
from nevus.evaluation.predictions import Predictions
from nevus.metrics.comparison import compare_figures

Document = dict[str, Any]
# Those that images' weights say without repeating them: a debiased calibration error has no place in a difference.
FIGURES = (
    *("auc", "macro_auc", "balanced_accuracy", "accuracy", "macro_f1", "recall_sd"),
    *("sensitivity", "specificity", "precision", "brier"),
)
_METHOD = "second - first on the same images; percentile bootstrap over {} groups, {} resamples shared by both, 95%; two-sided p"


def compare(
    first: Predictions | Path | str,
    second: Predictions | Path | str,
    *,
    operating_point: str = "youden",
    num_resamples: int = 2000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """The difference of each figure between two systems that answered for the same images.

    Parameters
    ----------
    first, second
        Predictions, ours or other programs'. Between two classes each is decided at its own operating point.
    operating_point
        "youden", or a sensitivity as in "sensitivity:0.90".
    num_resamples, seed
        Of the bootstrap over groups. p is 2 / (num_resamples + 1) at least.

    Raises
    ------
    DataError
        The files test different images, or disagree about an image's target, the classes or the groups.

    Examples
    --------
    >>> compare("runs/a/predictions.csv", "runs/b/predictions.csv")["differences"]["auc"]["p"]  # doctest: +SKIP
    0.013
    """
    tables = [part if isinstance(part, Predictions) else Predictions.read(part) for part in (first, second)]
    tests = _matched(tables)
    groups, num_groups, notes = _shared_groups(tables, tests)
    protocols = [table.protocol for table in tables]
    if protocols[0] != protocols[1]:
        named = " and ".join("an unknown one" if name is None else label(name) for name in protocols)
        notes.insert(0, f"The protocols differ, {named}: the difference is that of both systems and protocols.")
    judged = [judge(table, test, choose_point(table, operating_point, None)) for table, test in zip(tables, tests, strict=True)]
    figures = [overall(part) for part in judged]
    known = [name for name in FIGURES if all(part.get(name) is not None for part in figures)]
    chosen = [{name: figure for name in known if (figure := part[name]) is not None} for part in figures]
    one, other = chosen
    effects = compare_figures(one, other, groups, judged[0].targets, num_resamples=num_resamples, seed=seed)
    method = _METHOD.format(num_groups, num_resamples)
    return {
        "first": tables[0].source,
        "second": tables[1].source,
        "protocols": protocols,
        "num_images": len(groups),
        "num_groups": num_groups,
        "differences": {
            name: {
                "first": value(one[name], len(groups)),
                "second": value(other[name], len(groups)),
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "p": found.p,
                "n": len(groups),
                "method": method if found.p is not None else f"no interval: {found.reason}",
            }
            for name, found in effects.items()
        },
        "notes": notes,
        "provenance": provenance or {},
    }


def comparison_table(document: Document) -> str:
    """The document in words and columns, for people."""
    lines = [
        f"first: {document['first']}; second: {document['second']}",
        f"{document['num_images']} images in {document['num_groups']} groups",
        f"{'':20}{'first':>8}{'second':>8}  difference, 95% interval, p",
    ]
    for name, found in document["differences"].items():
        if found["value"] is None:
            lines.append(f"{name:20}{'–':>8}")
            continue
        test = "–" if found["p"] is None else f"[{found['low']:+.3f}, {found['high']:+.3f}]  p = {found['p']:.4f}"
        lines.append(f"{name:20}{found['first']:8.3f}{found['second']:8.3f}  {found['value']:+.3f} {test}")
    return "\n".join([*lines, *document["notes"]])


def _matched(tables: list[Predictions]) -> list[pd.DataFrame]:
    """The test rows of both, in one order."""
    first, second = tables
    if first.classes != second.classes:
        raise DataError(
            f"{second.source}: its classes are {', '.join(second.classes)}; those of {first.source} are "
            f"{', '.join(first.classes)}. Only answers to one question can be compared."
        )
    one, other = (table.test.sort_values("image_id", ignore_index=True) for table in tables)
    ids = [set(one["image_id"]), set(other["image_id"])]
    problems = [f"{name}: only in {first.source}" for name in sorted(ids[0] - ids[1])]
    problems += [f"{name}: only in {second.source}" for name in sorted(ids[1] - ids[0])]
    if problems:
        remedy = "A paired test needs the same images in both: run both with one folds.csv (--folds)."
        raise DataError(listed(f"{len(problems)} images are tested in one file only:", problems, remedy=remedy))
    unequal = np.flatnonzero((one["target"] != other["target"]).to_numpy())
    if len(unequal):
        problems = [f"{one['image_id'][row]}: {one['target'][row]!r} and {other['target'][row]!r}" for row in unequal]
        raise DataError(listed(f"{first.source} and {second.source}: {len(unequal)} targets disagree:", problems))
    return [one, other]


def _shared_groups(tables: list[Predictions], tests: list[pd.DataFrame]) -> "tuple[np.ndarray[Any, Any], int, list[str]]":
    """The groups that both files name, or that one of them does."""
    named = [group_indices(test) for test in tests if "group_id" in test] or [group_indices(tests[0])]
    if not np.array_equal(named[0][0], named[-1][0]):
        raise DataError(
            f"{tables[0].source} and {tables[1].source}: they put the same images in different groups (group_id). "
            "Predict both from one manifest."
        )
    return named[0]
