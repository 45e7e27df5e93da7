"""What is wrong with the rows of a predictions file: each fault with its row (the header is row 1), column and value."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.splits import PROTOCOLS

SPLITS = ("validation", "test")
TOLERANCE = 1e-3
Problems = list[tuple[int, str]]


def to_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers, NaN where a cell is none."""
    numbers: pd.DataFrame = table.apply(pd.to_numeric, errors="coerce").astype(np.float64)
    return numbers


def rows_where(mask: "NDArray[np.bool_] | pd.Series[bool]") -> list[int]:
    """The places at which a mask is true."""
    return [int(row) for row in np.flatnonzero(np.asarray(mask))]


def value_problems(table: pd.DataFrame, numbers: pd.DataFrame, *, logits: bool = False, sums: bool = True) -> Problems:
    """The cells that are no probabilities (or, with `logits`, no finite numbers), and with `sums` the rows whose sum is not 1."""
    found: Problems = []
    values = numbers.to_numpy()
    good = np.isfinite(values) if logits else (values >= 0) & (values <= 1)
    expected = "expected a finite number" if logits else "expected a probability from 0 to 1"
    for place, column in enumerate(numbers):
        cells = table[column]
        found.extend((row, f"{column} {cells.iloc[row]!r}: {expected}") for row in rows_where(~good[:, place]))
    if sums and not logits:
        totals = values.sum(axis=1)
        wrong = rows_where(good.all(axis=1) & (np.abs(totals - 1) > TOLERANCE))
        found.extend((row, f"the probabilities sum to {totals[row]:.4f}: expected 1") for row in wrong)
    return found


def value_remedy(numbers: pd.DataFrame, *, logits: bool = False) -> str:
    """What the numbers seem to be instead of probabilities, where that is plain from all of them; else "Mend these rows"."""
    plain = "Mend these rows; nothing was evaluated."
    outside = ((numbers < 0) | (numbers > 1)).any(axis=1)
    if logits or outside.mean() < 0.1:
        return plain
    seen = f"Of {len(numbers)} rows {int(outside.sum())} have values outside 0 to 1"
    if not (numbers < 0).any(axis=None) and (numbers.sum(axis=1) - 100).abs().median() < 1:
        return f"{seen}, and they sum to 100: they seem to be percentages. Divide them by 100; nothing was evaluated."
    return f"{seen}: they seem to be logits or other scores. If they are logits, give --logits; nothing was evaluated."


def seem_no_logits(numbers: pd.DataFrame) -> bool:
    """Whether all numbers lie from 0 to 1, as logits would hardly do."""
    return bool(((numbers >= 0) & (numbers <= 1)).all(axis=None))


def row_problems(frame: pd.DataFrame, classes: list[str], folds: "pd.Series[float]", counted: NDArray[np.bool_]) -> Problems:
    """The faults of everything but the probabilities; a row that is not counted needs no target."""
    found: Problems = []

    def add(mask: "NDArray[np.bool_] | pd.Series[bool]", column: str, expected: str) -> None:
        found.extend((row, f"{column} {frame[column][row]!r}: {expected}") for row in rows_where(mask))

    add(~frame["target"].isin(classes) & counted, "target", f"expected one of {', '.join(classes)}")
    add(~frame["split"].isin(SPLITS), "split", "expected validation or test")
    if "fold" in frame:
        add(folds.isna() | (folds % 1 != 0), "fold", "expected a whole number")
    if "protocol" in frame:
        known = frame["protocol"].isin(("", *PROTOCOLS))
        add(~known, "protocol", f"expected one of {', '.join(PROTOCOLS)}")
        add(known & (frame["protocol"] != frame["protocol"].iloc[0]), "protocol", "differs from the first row's")
    test = frame["split"] == "test"
    add(test & frame["image_id"].where(test).duplicated(keep=False), "image_id", "is tested more than once")
    keys = frame[["image_id"]].assign(fold=folds)[frame["split"] == "validation"]
    repeated = keys[keys.duplicated(keep=False)].index
    found.extend((int(row), f"image_id {frame['image_id'][row]!r}: twice among a fold's validation rows") for row in repeated)
    if not (test & counted).any():
        found.append((-1, "no test rows"))
    return found


def with_rows(problems: Problems) -> list[str]:
    """The problems in the order of the rows, each after its row's number."""
    ordered = sorted(problems, key=lambda item: item[0])
    return [f"row {row + 2}: {text}" if row >= 0 else text for row, text in ordered]
