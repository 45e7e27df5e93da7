"""Whether predictions files are about the same rows, and these rows in one order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from nevus.data.splits import label
from nevus.errors import DataError, listed
from nevus.evaluation.evaluate import group_indices
from nevus.evaluation.predictions import Predictions

_KEYS = ["image_id", "fold", "split"]
_REMEDY = "Members answer for the same images of the same folds: run all of them with one manifest and one folds.csv (--folds)."


def matched(tables: Sequence[Predictions]) -> list[Predictions]:
    """The files with the first one's rows in the first one's order.

    Raises
    ------
    DataError
        There is one file only, or they differ in classes, protocol, images, folds, parts, targets or groups, which are named; or
        a file has scores that are no probabilities.
    """
    if len(tables) < 2:
        raise DataError("an ensemble needs two predictions files or more.")
    for table in tables:
        if not table.sum_to_one:
            raise DataError(f"{table.source}: its rows do not sum to 1: scores, which cannot be averaged with probabilities.")
    first = tables[0]
    return [first, *(_as_first(first, table) for table in tables[1:])]


def _as_first(first: Predictions, other: Predictions) -> Predictions:
    both = f"{first.source} and {other.source}"
    if first.classes != other.classes:
        raise DataError(f"{both}: their classes differ: {', '.join(first.classes)}, and {', '.join(other.classes)}.")
    if first.protocol != other.protocol:
        named = " and ".join("an unknown one" if name is None else label(name) for name in (first.protocol, other.protocol))
        raise DataError(f"{both}: their protocols differ, {named}. {_REMEDY}")
    keys = [pd.MultiIndex.from_frame(table.frame[_KEYS]) for table in (first, other)]
    problems = [f"{_named(key)}: only in {first.source}" for key in keys[0].difference(keys[1])]
    problems += [f"{_named(key)}: only in {other.source}" for key in keys[1].difference(keys[0])]
    if problems:
        raise DataError(listed(f"{both}: {len(problems)} rows are in one file only:", sorted(problems), remedy=_REMEDY))
    frame = other.frame.iloc[keys[1].get_indexer(keys[0])].reset_index(drop=True)
    targets = (first.frame["target"].to_numpy(), frame["target"].to_numpy())
    if len(unequal := np.flatnonzero(targets[0] != targets[1])):
        problems = [f"{first.frame['image_id'][row]}: {targets[0][row]!r} and {targets[1][row]!r}" for row in unequal]
        raise DataError(listed(f"{both}: {len(unequal)} targets disagree:", problems, remedy=_REMEDY))
    if "group_id" in first.frame and "group_id" in frame:
        groups = [group_indices(part)[0] for part in (first.frame, frame)]
        if len(unequal := np.flatnonzero(groups[0] != groups[1])):
            one, two = (str(part["group_id"][unequal[0]]) for part in (first.frame, frame))
            image = first.frame["image_id"][unequal[0]]
            raise DataError(f"{both}: they group images differently, as {image} in {one} and in {two}. {_REMEDY}")
    return replace(other, frame=frame)


def _named(key: tuple[str, int, str]) -> str:
    image, fold, part = key
    return f"{image}, {part} of fold {fold}"
