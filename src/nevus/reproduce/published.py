"""The papers' tables, as data."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from nevus.errors import DataError


@dataclass(frozen=True)
class Table:
    """A published table: `rows` by name, each figure as printed with the standard deviation printed beside it.

    `num_images`, `num_positive` and `num_folds` are of the data that its caption names.
    """

    name: str
    title: str
    num_images: int
    num_positive: int
    num_folds: int
    rows: dict[str, dict[str, tuple[str, str]]]


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("published.toml").read_text(encoding="utf-8"))


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
    document = _document()
    if paper not in document:
        raise DataError(f"{paper!r}: no such paper. Choose one of {', '.join(document)}.")
    return [
        Table(
            name,
            table["title"],
            table["images"],
            table["positives"],
            table["folds"],
            {row["name"]: {key: tuple(figure) for key, figure in row.items() if key != "name"} for row in table["rows"]},
        )
        for name, table in document[paper].items()
    ]
