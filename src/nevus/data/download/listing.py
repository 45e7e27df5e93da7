"""What a source has to offer: its files, each with what is known about it, before anything is fetched."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from nevus.errors import DataError


@dataclass(frozen=True)
class Checksum:
    """A published checksum: a name that `hashlib` knows, and lower-case hex digits."""

    algorithm: str
    hexdigest: str


@dataclass(frozen=True)
class Remote:
    """One file to fetch.

    `name` is its place below the output folder; `size` is in bytes, None where the source does not say. `renew` gives a fresh
    address where an address can expire.
    """

    name: str
    url: str
    size: int | None = None
    checksum: Checksum | None = None
    renew: Callable[[], str] | None = field(default=None, compare=False)


@dataclass
class Listing:
    """All files of a source.

    `tables` are fetched whole, `archives` are unpacked into images, `images` are fetched one by one. `ids` is the file among the
    tables, and its column, that names every image of the archives; `inside` is a table that comes in an archive only. `rows` is
    the ISIC archive's metadata, one an image. `licenses` counts the images by their own licence, `left_out` those that
    `--license` leaves out.
    """

    tables: list[Remote] = field(default_factory=list)
    archives: list[Remote] = field(default_factory=list)
    images: list[Remote] = field(default_factory=list)
    ids: tuple[str, str] | None = None
    inside: str | None = None
    rows: list[dict[str, str]] = field(default_factory=list)
    licenses: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def plain_name(name: object, source: str) -> str:
    """A file name that a server gave, refused where it could lead out of the folder it is meant for.

    Raises
    ------
    DataError
        It is no plain file name.
    """
    text = str(name)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]*", text) or text != PurePosixPath(text).name:
        raise DataError(f"{source}: it names a file {text!r}, which is no plain file name; nothing of it is fetched.")
    return text
