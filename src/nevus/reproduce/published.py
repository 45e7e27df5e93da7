"""The papers' tables, as data."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from nevus.errors import DataError


@dataclass(frozen=True)
class Note:
    """What an audit of the paper found: of a whole table, or of those cells of it whose row and column are named."""

    text: str
    row: str = ""
    column: str = ""


@dataclass(frozen=True)
class Table:
    """A published table: `rows` by name, each figure as printed with the standard deviation printed beside it.

    `columns` are the figures' names here, and the names printed above them. `systems` is what each row is a row of: a system of
    systems.toml, or "backbone:" and a backbone's name where the row is about a network before any training. `percent` is true
    where figures are of a hundred. `num_images`, `num_positive` and `num_folds` are of the data that the caption names; they are
    None where it names none.
    """

    name: str
    title: str
    columns: dict[str, str]
    rows: dict[str, dict[str, tuple[str, str]]]
    systems: dict[str, str]
    notes: tuple[Note, ...]
    percent: bool = False
    num_images: int | None = None
    num_positive: int | None = None
    num_folds: int | None = None


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("published.toml").read_text(encoding="utf-8"))


def papers() -> tuple[str, ...]:
    """The papers' names.

    >>> papers()
    ('zoome', 'soft-attention')
    """
    return tuple(_document())


def published(paper: str) -> list[Table]:
    """The tables of a paper.

    Raises
    ------
    DataError
        There is no such paper; those there are are named.

    Examples
    --------
    >>> published("zoome")[0].rows["ZooME"]["accuracy"]
    ('84.59%', '2.94')
    """
    return [_table(name, table) for name, table in _paper(paper)["tables"].items()]


def paper_notes(paper: str) -> list[str]:
    """What an audit found of the paper as a whole; raises as `published` does."""
    return list(_paper(paper)["notes"])


def number(printed: str) -> float | None:
    """A printed figure as a number, of a hundred as a share; None where none is printed.

    >>> number("84.59%"), number("25.6M"), number("Unknown")
    (0.8459, 25600000.0, None)
    """
    if printed == "Unknown":
        return None
    if printed.endswith("%"):
        return round(float(printed[:-1]) / 100, 10)
    return float(printed.removesuffix("M")) * (1e6 if printed.endswith("M") else 1)


def _paper(paper: str) -> dict[str, Any]:
    if paper not in _document():
        raise DataError(f"{paper!r}: no such paper. Choose one of {', '.join(_document())}.")
    return dict(_document()[paper])


def _table(name: str, table: dict[str, Any]) -> Table:
    percent = table.get("percent", False)
    return Table(
        name,
        table["title"],
        table["columns"],
        {
            row: {key: _figure(text, percent) for key, text in zip(table["columns"], figures, strict=True)}
            for _, row, *figures in table["rows"]
        },
        {row: system for system, row, *_ in table["rows"]},
        tuple(Note(**note) for note in table.get("notes", ())),
        percent,
        table.get("images"),
        table.get("positives"),
        table.get("folds"),
    )


def _figure(text: str, percent: bool) -> tuple[str, str]:
    value, _, deviation = text.partition("±")
    return value + "%" * percent, deviation
