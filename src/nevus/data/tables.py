"""CSV and Parquet tables as text, with their faults named."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nevus.errors import DataError


def read_table(path: Path | str, required: Sequence[str] = (), skip_lines: int = 0) -> pd.DataFrame:
    """Read a CSV (UTF-8, comma, a BOM and Windows newlines are fine) or Parquet file with every cell as text, "" where empty.

    The first `skip_lines` lines of a CSV are passed over.

    Raises
    ------
    DataError
        The file is missing, empty, not text, has another separator, rows of unequal length, or lacks required columns.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    frame = _read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _read_csv(path, skip_lines)
    _check_separator(path, frame, required)
    if missing := [name for name in required if name not in frame.columns]:
        raise DataError(f"{path}: no column {', '.join(missing)}. It has {', '.join(frame.columns)}.")
    if len(frame) == 0:
        raise DataError(f"{path}: has a header and no row.")
    return frame


def _read_csv(path: Path, skip_lines: int) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skiprows=skip_lines)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as CSV in UTF-8.") from error
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: not a table: {str(error).strip()}.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path}: its rows have more cells than its header. Add the missing names to the header.")
    return frame.rename(columns=str.strip)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises classes of its own
        raise DataError(f"{path}: not a Parquet file ({error}).") from error
    return frame.astype(object).where(frame.notna(), "").astype(str)


def _check_separator(path: Path, frame: pd.DataFrame, required: Sequence[str]) -> None:
    if len(frame.columns) != 1 or not required:
        return
    header = str(frame.columns[0])
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in header:
            raise DataError(f"{path}: its columns are separated by {name}; commas are expected. Save it as CSV with commas.")
