"""CSV and Parquet tables as text, with their faults named; and what is done with columns of a million texts, by Arrow."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from nevus.errors import DataError, listed


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
    if path.suffix.lower() in (".parquet", ".pq"):
        frame = _read_parquet(path)
    elif (table := _read_plain_csv(path, skip_lines)) is not None:
        frame = table
    else:
        frame = _read_csv(path, skip_lines)
    _check_separator(path, frame)
    if missing := [name for name in required if name not in frame.columns]:
        raise DataError(f"{path}: no column {', '.join(missing)}. It has {', '.join(frame.columns)}.")
    if len(frame) == 0:
        raise DataError(f"{path}: has a header and no row.")
    return frame


def as_arrow(texts: Any) -> Any:
    """A column of texts as one Arrow array; pandas' own text columns are such already, in pieces."""
    if isinstance(texts, pyarrow.Array):
        return texts
    array = pyarrow.array(texts, pyarrow.large_string())
    return array.combine_chunks() if isinstance(array, pyarrow.ChunkedArray) else array


def number_values(column: "pd.Series[Any] | pd.Index[Any]") -> tuple[NDArray[np.int64], Any]:
    """A number from 0 for each distinct text, in the order they come in, and the distinct texts.

    >>> number_values(pd.Series(["b", "a", "b"]))[0].tolist()
    [0, 1, 0]
    """
    codes, values = pd.factorize(column)
    return codes.astype(np.int64), values


def sort_order(texts: Any) -> NDArray[np.int64]:
    """The places of texts in ascending order of their characters, as Python compares them.

    >>> sort_order(pd.Series(["b", "B", "a"])).tolist()
    [1, 2, 0]
    """
    # Arrow compares UTF-8 byte by byte, which is the order of the characters' numbers.
    return np.asarray(pyarrow.compute.sort_indices(as_arrow(texts)).to_numpy().astype(np.int64))


def _read_plain_csv(path: Path, skip_lines: int) -> pd.DataFrame | None:
    """What Arrow reads, several times as fast as pandas; None for anything unusual, for pandas to read or to find fault with."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for _ in range(skip_lines):
                file.readline()
            header = next(csv.reader(file), [])
        if not all(header) or len(set(header)) < len(header):
            return None
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(skip_rows=skip_lines),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pyarrow.large_string()), strings_can_be_null=False
            ),
        )
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, csv.Error):
        return None
    if table.column_names != header or not _ends_closed(path, table):
        return None
    frame: pd.DataFrame = table.combine_chunks().to_pandas()
    return frame.rename(columns=str.strip)


def _ends_closed(path: Path, table: Any) -> bool:
    """Whether the last cell ends as it must. Arrow lets a quote that is never closed swallow the rest of the file."""
    if len(table) == 0:
        return True
    cell = str(table.column(table.num_columns - 1)[-1].as_py())
    ends = [sign + cell.rstrip("\r\n") for sign in ",\r\n"] + ['"' + cell.replace('"', '""') + '"']
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4 * len(cell) - 1024))
        tail = file.read().rstrip(b"\r\n")
    return tail.endswith(tuple(text.encode() for text in ends))


def _read_csv(path: Path, skip_lines: int) -> pd.DataFrame:
    try:
        # By its content: pandas would unpack what is only called .gz, and only here.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skiprows=skip_lines, compression=None)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as CSV in UTF-8.") from error
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: not a table: {str(error).strip()}.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path}: its rows have more cells than its header. Add the missing names to the header.")
    # pandas fills a short row with empty cells; it may be where a file was cut off.
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lengths = [len(row) for row in csv.reader(list(file)[skip_lines:]) if row]
    except csv.Error as error:
        raise DataError(f"{path}: not a table: {error}.") from error
    if problems := [f"row {row + skip_lines + 1}: {length}" for row, length in enumerate(lengths) if length < len(frame.columns)]:
        header = f"{path}: rows with fewer cells than the {len(frame.columns)} of the header:"
        raise DataError(listed(header, problems, remedy="Copy the file again, or write an empty cell where a value is unknown."))
    return frame.rename(columns=str.strip)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pyarrow.parquet.read_table(path)
        return pd.DataFrame({name: _as_text(table[name]) for name in table.column_names if not name.startswith("__index_level")})
    except Exception as error:  # pyarrow raises classes of its own
        raise DataError(f"{path}: not a Parquet file ({error}).") from error


def _as_text(column: Any) -> Any:
    """An Arrow column as pandas' text; numbers as Python writes them, nothing and NaN as ""."""
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_integer(kind):
        return pyarrow.compute.fill_null(column.cast(pyarrow.large_string()), "").to_pandas()
    # Few values are told apart by most other columns, so each is written once.
    codes, values = pd.factorize(column.to_pandas())
    texts = np.array([*(str(value) for value in values), ""], object)
    return pd.Series(texts[codes]).astype(str)


def _check_separator(path: Path, frame: pd.DataFrame) -> None:
    if len(frame.columns) != 1:
        return
    header = str(frame.columns[0])
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in header:
            raise DataError(f"{path}: its columns are separated by {name}; commas are expected. Save it as CSV with commas.")
