"""The images to answer for, and what is known of each patient: from a table, a list of paths, or the command's own words.

No pandas here: a prediction must start in a moment.
"""

import csv
import io
import itertools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nevus.data import taxonomy
from nevus.data.containers import container_of
from nevus.data.headers import MAX_BYTES
from nevus.data.image_ids import plain_id
from nevus.data.images import find_images
from nevus.errors import DataError, listed

# What tables call each, the one that counts first where there are several: nevus's manifest, the ISIC challenges', the archive's.
IMAGE_COLUMNS = ("path", "image", "image_id", "image_name", "isic_id", "file", "filename")
FIELD_COLUMNS = {
    "age_years": ("age_years", "age", "age_approx"),
    "sex": ("sex",),
    "site": ("site", "localization", "anatom_site_general_challenge", "anatom_site_general", "anatom_site_1"),
}


@dataclass(frozen=True)
class Case:
    """An image, by its path, and what is known: None or "" is unknown. `content` is that of an image without a file."""

    image: Path
    age_years: float | None = None
    sex: str = ""
    site: str = ""
    content: bytes | None = None

    @classmethod
    def of(cls, image: Path | str, age_years: float | None = None, sex: str | None = None, site: str | None = None) -> "Case":
        """A case from a row of a table, where NaN and None are unknown too."""
        return cls(Path(image), None if age_years is None or math.isnan(age_years) else float(age_years), sex or "", site or "")


def read_cases(path: Path | str, images: Path | str | None = None) -> list[Case]:
    """The rows of a CSV with a header: a column of images, and any of age, sex and site, under the names that the field uses.

    An image is a path from the table's folder, or from `images`; or an id whose file is found in `images` or its subfolders.

    Raises
    ------
    DataError
        The file is no such table, or rows are at fault: each is named with its row (the header is row 1), column and value.
        A value that is not understood is a fault, an empty or "unknown" one is not.

    Examples
    --------
    >>> read_cases("cases.csv", "photos")[0].age_years  # doctest: +SKIP
    61.0
    """
    path = Path(path)
    header, rows = _table(path)
    image_column = next((name for name in IMAGE_COLUMNS if name in header), None)
    if image_column is None:
        raise DataError(f"{path}: no column of images. Expected one of {', '.join(IMAGE_COLUMNS)}; it has {', '.join(header)}.")
    columns = {field: next((name for name in names if name in header), None) for field, names in FIELD_COLUMNS.items()}
    find = _Finder(path.parent, None if images is None else Path(images))
    cases, problems = [], []
    for number, cells in rows:
        faults = []
        known: dict[str, float | str | None] = {}
        place = Path()
        row = dict(zip(header, cells, strict=False))
        if len(cells) != len(header):
            faults.append(f"{len(cells)} cells, the header has {len(header)}")
        else:
            try:
                place = find(row[image_column].strip())
            except ValueError as error:
                faults.append(f"{image_column} {row[image_column]!r}: {error}")
            for field, column in columns.items():
                try:
                    known[field] = read_field(field, row[column]) if column else None
                except ValueError as error:
                    faults.append(f"{column} {row[column or '']!r}: {error}")
        problems += [f"row {number}: {fault}" for fault in faults]
        if not faults:
            cases.append(_case(place, known))
    if problems:
        remedy = "Mend these rows, and empty what is not known." + ("" if images else " Images elsewhere: give --images FOLDER.")
        raise DataError(listed(f"{path}: {len(problems)} problems:", problems, remedy=remedy))
    if not cases:
        raise DataError(f"{path}: has a header and no row.")
    return cases


def gather_cases(places: Sequence[Path | str], images: Path | str | None = None) -> list[Case]:
    """The cases of image files, folders of them, tables (`read_cases`) and "-", one image's bytes on standard input; in order.

    Raises
    ------
    DataError
        As for `find_images` and `read_cases`; `images` without a table; or nothing comes on standard input.
    """
    kinds = [(_kind(place), place) for place in places]
    if images is not None and "table" not in dict(kinds):
        raise DataError("--images: is the folder for the images of a table, and no .csv is given. Name folders as they are.")
    cases: list[Case] = []
    for kind, group in itertools.groupby(kinds, key=lambda item: item[0]):
        named = [place for _, place in group]
        if kind == "file":
            cases += map(Case, find_images(named))
        elif kind == "table":
            cases += [case for place in named for case in read_cases(place, images)]
        else:
            cases += [Case(Path("-"), content=_standard_input(len(named)))]
    return cases


def _kind(place: Path | str) -> str:
    if str(place) == "-":
        return "input"
    return "table" if Path(place).suffix.lower() == ".csv" and not Path(place).is_dir() else "file"


def _standard_input(num_asked: int) -> bytes:
    if num_asked > 1:
        raise DataError("-: standard input holds one image, and is given more than once. For several paths see --from-list.")
    if sys.stdin.isatty():
        raise DataError("-: nothing comes on standard input. Give an image's bytes, as in: nevus predict - < lesion.jpg")
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(f"-: more than {MAX_BYTES // 2**20} MiB on standard input. Is it one image?")
    return content


def read_list(path: Path | str) -> list[Case]:
    """Paths of images, one a line, from the working directory; empty lines are passed over. "-" is standard input.

    Raises
    ------
    DataError
        The list cannot be read, is empty, or names files that are not there: each with its line.
    """
    name = "standard input" if str(path) == "-" else str(path)
    lines = _decoded(sys.stdin.buffer.read() if str(path) == "-" else _content(Path(path)), name).splitlines()
    given = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not given:
        raise DataError(f"{name}: lists no image. Expected a path a line.")
    if problems := [f"line {number}: {text!r}: no such file" for number, text in given if not _is_image(Path(text))]:
        header = f"{name}: {len(problems)} of {len(given)} images are not there:"
        raise DataError(listed(header, problems, remedy="Mend the list."))
    return [Case(Path(text)) for _, text in given]


def read_field(field: str, text: str) -> float | str | None:
    """A value of `age_years`, `sex` or `site` as people write it; None or "" where it is unknown.

    Raises
    ------
    ValueError
        It is not understood; the message says what is expected.

    Examples
    --------
    >>> read_field("age_years", "85+"), read_field("sex", "F"), read_field("site", "scalp"), read_field("site", "unknown")
    (85.0, 'female', 'head/neck', '')
    """
    if field == "age_years":
        return _read_age(text)
    mapping, words = _WORDS[field]
    word = mapping(text)
    if word is None:
        raise ValueError(f"expected one of {', '.join(words)}, or a common name for one")
    return word


_WORDS: dict[str, tuple[Callable[[str], str | None], Sequence[str]]] = {
    "sex": (taxonomy.sex, taxonomy.SEXES),
    "site": (taxonomy.site, taxonomy.SITES),
}


def _read_age(text: str) -> float | None:
    if taxonomy.is_unknown(text):
        return None
    try:
        # The archive gives ages over 85 as "85+", to protect the oldest.
        age = float(text.strip().removesuffix("+"))
    except ValueError:
        age = -1.0
    if not 0 <= age <= 120:
        raise ValueError("expected years from 0 to 120, or empty where unknown")
    return age


def _case(image: Path, known: dict[str, float | str | None]) -> Case:
    age = known["age_years"]
    return Case(image, None if age is None else float(age), str(known["sex"] or ""), str(known["site"] or ""))


class _Finder:
    """From what a row says to the image's file."""

    def __init__(self, root: Path, images: Path | None) -> None:
        self._roots = [root] if images is None else [images, root]
        self._images = images
        self._by_id: dict[str, list[Path]] | None = None

    def __call__(self, text: str) -> Path:
        """The file.

        Raises
        ------
        ValueError
            There is none, or several are called so.
        """
        if not text:
            raise ValueError("may not be empty")
        for root in self._roots:
            if _is_image(root / text):
                return root / text
        if self._images is None:
            raise ValueError("no such file")
        if self._by_id is None:
            self._by_id = {}
            for path in find_images([self._images]):
                inside = container_of(path)
                self._by_id.setdefault(plain_id(inside[1] if inside else path.name), []).append(path)
        found = self._by_id.get(plain_id(text), [])
        if len(found) != 1:
            raise ValueError(f"{len(found) or 'no'} images in {self._images} are called so")
        return found[0]


def _is_image(path: Path) -> bool:
    inside = container_of(path)
    return inside[0].is_file() if inside else path.is_file()


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and each row that is not empty with its number; the header is row 1."""
    reader = csv.reader(io.StringIO(_decoded(_content(path), str(path)), newline=""), strict=True)
    try:
        rows = [(number, cells) for number, cells in enumerate(reader, start=1) if cells]
    except csv.Error as error:
        raise DataError(f"{path}: not a table: {error}. Save it as CSV with commas.") from error
    if not rows:
        raise DataError(f"{path}: the file is empty.")
    header = [name.strip() for name in rows[0][1]]
    if len(header) == 1 and any(sign in header[0] for sign in ";\t|"):
        raise DataError(f"{path}: its columns are not separated by commas. Save it as CSV with commas.")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path}: several columns are called {', '.join(map(repr, twice))}. Give each its own name.")
    return header, rows[1:]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.") from error
