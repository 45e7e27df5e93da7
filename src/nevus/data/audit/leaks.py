"""What spans two folds: photographs, lesions, patients and groups; and lesions that contradict themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nevus.data.tables import read_table
from nevus.errors import DataError


def read_folds(path: Path | str) -> pd.DataFrame:
    """The columns `image_id` and `fold` of any program's CSV, as text; a first line that starts with # is passed over.

    Nothing is refused but what cannot be understood: an audit is there to see folds that are wrong.

    Raises
    ------
    DataError
        The file cannot be read, lacks a column, or has rows without an image or a fold.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            commented = file.readline().startswith("#")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    table = read_table(path, required=("image_id", "fold"), skip_lines=int(commented))[["image_id", "fold"]]
    table = table.apply(lambda column: column.str.strip())
    if (empty := (table == "").any(axis=1)).any():
        first = int(empty.idxmax()) + 2 + int(commented)
        raise DataError(f"{path}: {int(empty.sum())} rows have no image_id or no fold, row {first} first. Complete them.")
    distinct: pd.DataFrame = table.drop_duplicates().reset_index(drop=True)
    return distinct


def folds_of(frame: pd.DataFrame, folds: pd.DataFrame) -> dict[int, list[str]]:
    """The folds of each row of a pool that has any; an image in several has all of them.

    Ids are matched with the rows' names, then with their image ids, those of the first manifest before the others'.
    """
    by_id = folds.groupby("image_id")["fold"].agg(lambda found: sorted(set(found), key=_order)).to_dict()
    rows = {image_id: row for row, image_id in reversed(list(enumerate(frame["image_id"])))}
    rows |= {name: row for row, name in enumerate(frame["name"])}
    return {rows[image_id]: found for image_id, found in by_id.items() if image_id in rows}


def crossing(
    frame: pd.DataFrame, assigned: dict[int, list[str]], components: Sequence[Sequence[int]]
) -> dict[str, list[dict[str, Any]]]:
    """What lies in two folds or more.

    Parameters
    ----------
    frame
        The rows of a pool.
    assigned
        `folds_of` them.
    components
        Sets of rows that are copies of one photograph, of two or more.

    Returns
    -------
    dict
        `images` (one image listed in several folds), `duplicates`, `lesions`, `patients` and `groups`: lists of `name`, `ids`
        (only images that have a fold) and `folds`.
    """
    found: dict[str, list[dict[str, Any]]] = {
        "images": _spanning(frame, assigned, {frame["name"][row]: [row] for row in assigned}),
        "duplicates": _spanning(frame, assigned, {frame["name"][rows[0]]: rows for rows in components}),
    }
    for kind, column in (("lesions", "lesion_id"), ("patients", "patient_id"), ("groups", "group_id")):
        known = frame[frame[column] != ""]
        keys = known[column] if column == "group_id" else known["dataset"] + ":" + known[column]
        found[kind] = _spanning(frame, assigned, known.groupby(keys.to_numpy()).groups)
    return found


def contradictions(frame: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Lesions with two diagnoses and lesions with two patients: `lesion_id`, `dataset`, `values` and `ids` of each."""
    found = {}
    for name, column in (("lesions_with_two_diagnoses", "diagnosis"), ("lesions_with_two_patients", "patient_id")):
        known = frame[(frame["lesion_id"] != "") & (frame[column] != "")]
        found[name] = [
            {"lesion_id": lesion, "dataset": dataset, "values": sorted(set(part[column])), "ids": part["name"].tolist()}
            for (dataset, lesion), part in known.groupby(["dataset", "lesion_id"])
            if part[column].nunique() > 1
        ]
    return found


def _spanning(frame: pd.DataFrame, assigned: dict[int, list[str]], sets: Any) -> list[dict[str, Any]]:
    spanning = []
    for name, rows in sets.items():
        members = [int(row) for row in rows if int(row) in assigned]
        folds = sorted({fold for row in members for fold in assigned[row]}, key=_order)
        if len(folds) > 1:
            spanning.append({"name": str(name), "ids": [str(frame["name"][row]) for row in members], "folds": folds})
    return spanning


def _order(fold: str) -> tuple[int, str]:
    """Numbered folds in the order of their numbers, named ones after them."""
    return (int(fold), "") if fold.lstrip("-").isdigit() else (10**9, fold)
