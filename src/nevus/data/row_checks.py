"""The checks of a manifest's rows. Each distinct value is judged once, so that a million rows take seconds."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.grouping import number_owners
from nevus.data.tables import number_values
from nevus.data.taxonomy import DIAGNOSES, MALIGNANT, SEXES, SITES

_LOG = logging.getLogger("nevus")
_VOCABULARIES = {"diagnosis": DIAGNOSES, "sex": SEXES, "site": SITES}
_UNKNOWN, _WRONG = -1, -2

Flags = NDArray[np.bool_]


def find_problems(frame: pd.DataFrame, *, without_images: bool = False) -> list[str]:
    """Every fault of every row, in the order of the rows; the header is row 1, and the index counts from the row after it.

    A path may be empty only `without_images`.
    """
    found: list[tuple[int, str]] = []

    def add(mask: Flags, column: str, expected: str) -> None:
        rows = frame.index.to_numpy(np.int64)[mask]
        found.extend((int(row), f"{column} {value!r}: {expected}") for row, value in zip(rows, frame[column][mask], strict=True))

    add((frame["image_id"] == "").to_numpy(), "image_id", "may not be empty")
    if not without_images:
        remedy = "only `nevus baselines --inputs metadata` uses rows without an image"
        add((frame["path"] == "").to_numpy(), "path", f"may not be empty: {remedy}")
    codes, ids = number_values(frame["image_id"])
    if len(ids) < len(frame):
        add((np.bincount(codes)[codes] > 1) & (frame["image_id"] != "").to_numpy(), "image_id", "appears more than once")
    for column, vocabulary in _VOCABULARIES.items():
        known = {"", *vocabulary}
        unknown = _judge(frame[column], lambda value, known=known: value not in known, np.bool_)  # type: ignore[misc]
        add(unknown, column, f"expected {', '.join(vocabulary)}, or empty where unknown")
    targets, implied = target_codes(frame)
    add(targets == _WRONG, "target", "expected 0 (benign), 1 (malignant), or empty where unknown")
    add((targets >= 0) & (implied >= 0) & (targets != implied), "target", "contradicts the row's diagnosis")
    ages = parse_ages(frame)
    given = (frame["age_years"] != "").to_numpy()
    add(given & ~((ages >= 0) & (ages <= 120)), "age_years", "expected years from 0 to 120, or empty where unknown")
    return [f"row {index + 2}: {text}" for index, text in sorted(found, key=lambda item: item[0])]


def target_codes(frame: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row's target as it is written, and as its diagnosis implies it: 0, 1, -1 unknown, -2 none of these."""
    written = {"0": 0, "1": 1, "": _UNKNOWN}
    implied = {name: int(name in MALIGNANT) for name in DIAGNOSES}
    return (
        _judge(frame["target"], lambda value: written.get(value, _WRONG), np.int64),
        _judge(frame["diagnosis"], lambda value: implied.get(value, _UNKNOWN), np.int64),
    )


def parse_ages(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Ages in years, NaN where a text is empty or no number."""
    codes, texts = number_values(frame["age_years"])
    return pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(np.float64)[codes]


def warn_of_contradictions(frame: pd.DataFrame, path: Path) -> None:
    """Real archives hold a few lesions with two diagnoses or two patients: said once, grouped together, not refused."""
    with_lesion = (frame["lesion_id"] != "").to_numpy()
    lesions = number_owners(frame, "lesion_id")
    for column in ("diagnosis", "patient_id"):
        rows = np.flatnonzero(with_lesion & (frame[column] != "").to_numpy())
        pairs = pd.DataFrame({"lesion": lesions[rows], "value": number_values(frame[column].iloc[rows])[0], "row": rows})
        pairs = pairs.drop_duplicates(["lesion", "value"])
        several = pairs[pairs["lesion"].duplicated()].drop_duplicates("lesion")["row"]
        if len(several):
            examples = ", ".join(sorted(frame["lesion_id"].iloc[several])[:5])
            _LOG.warning("%s: %d lesions have more than one %s: %s.", path, len(several), column, examples)


def _judge(column: "pd.Series[str]", judge: Callable[[str], Any], kind: Any) -> NDArray[Any]:
    codes, values = number_values(column)
    return np.array([judge(value) for value in values], kind)[codes]
