"""Which image file belongs to which row: files on the disk, and those inside HDF5 containers, by the ids that tables use."""

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.compute

from nevus.data.containers import CONTAINERS, list_keys, split_name
from nevus.data.image_ids import plain_id
from nevus.data.images import SUFFIXES
from nevus.data.tables import as_arrow, number_values
from nevus.errors import DataError, NevusError, listed

_LOG = logging.getLogger("nevus")


def index_images(folders: Sequence[Path]) -> dict[str, Path]:
    """Image files by id (their name without suffix and "_downsampled"), found in folders and their subfolders.

    The keys of HDF5 containers are image files too. One that is there as a file as well is taken from the file.

    Raises
    ------
    DataError
        There is no image, a container is damaged, or two files have one id; both are named.
    """
    found: dict[str, Path] = {}
    twice = []
    containers = []
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.suffix.lower() in CONTAINERS and path.is_file():
            containers.append(path.absolute())
        if path.suffix.lower() not in SUFFIXES:
            continue
        image_id = plain_id(path.name)
        if image_id in found:
            twice.append(f"{image_id}: {found[image_id]} and {path}")
        found[image_id] = path.absolute()
    inside, also = _index_containers(containers)
    twice += also
    if twice:
        raise DataError(
            listed(f"{len(twice)} image ids have two files:", twice, remedy="Remove one of each, or narrow --images.")
        )
    if both := len(found.keys() & inside.keys()):
        _LOG.warning("%d images are in a container and as a file too; the files are used.", both)
    found = {**inside, **found}
    if not found:
        looked = ", ".join((*SUFFIXES, *CONTAINERS))
        raise DataError(f"--images {', '.join(map(str, folders))}: no image in it. Looked for {looked}.")
    return found


def _index_containers(containers: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    inside: dict[str, Path] = {}
    twice = []
    for container in containers:
        for key in list_keys(container):
            image_id, path = plain_id(key), Path(f"{container}#{key}")
            if image_id in inside:
                twice.append(f"{image_id}: {inside[image_id]} and {path}")
            inside[image_id] = path
    return inside, twice


def with_files(frame: pd.DataFrame, images: Mapping[str, Path], origin: Path, missing: str) -> pd.DataFrame:
    """The frame with each row's path; rows without a file are all named where `missing` is "error", left out where it is "drop",
    and have an empty path where it is "keep"."""
    paths = frame["image_id"].map({name: str(path) for name, path in images.items()}).astype(object)
    absent = paths.isna()
    if absent.all() and missing != "keep":
        raise DataError(f"{origin}: none of its {len(frame)} images is in --images. Its first is {frame['image_id'].iloc[0]}.")
    if absent.any() and missing == "error":
        problems = [f"row {index + 2}: {frame['image_id'][index]}" for index in absent.to_numpy().nonzero()[0]]
        remedy = "Complete --images, or give --missing drop to use the images that are there."
        raise DataError(listed(f"{origin}: {len(problems)} of {len(frame)} rows have no image file:", problems, remedy=remedy))
    if missing == "keep":
        _LOG.warning("%s: %d of %d rows have no image file; they serve metadata alone.", origin, int(absent.sum()), len(frame))
        return frame.assign(path=paths.fillna(""))
    if absent.any():
        _LOG.warning("%s: %d of %d rows have no image file and are left out.", origin, int(absent.sum()), len(frame))
    return frame.assign(path=paths)[~absent]  # the index still says which row of the table each is


def find_missing(root: Path, paths: "pd.Series[str]") -> list[tuple[int, str]]:
    """The rows whose image is not there, as the index of each and what to say of it; `paths` start from `root`.

    One listing a folder, or a container, takes the place of a question an image: a million take seconds.
    """
    names, folders = _split(paths)
    there: list[str] = []
    for folder in folders.unique().to_pylist():
        with contextlib.suppress(OSError):  # not there, or a folder that may be entered and not listed
            there.extend(folder + entry for entry in os.listdir(root / folder))  # noqa: PTH208
    listed_there = pyarrow.compute.is_in(names, pyarrow.array(there, pyarrow.large_string())).to_numpy(zero_copy_only=False)
    missing: list[tuple[int, str]] = []
    inside: dict[str, list[tuple[int, str, str]]] = {}
    for index, name in paths[~listed_there].items():
        if parts := split_name(name):
            inside.setdefault(parts[0], []).append((int(str(index)), name, parts[1]))
        elif not (root / name).is_file():
            missing.append((int(str(index)), f"{name!r}: no such file"))
    for container, rows in inside.items():
        missing += _missing_inside(root, container, rows)
    return sorted(missing)


def move_paths(paths: "pd.Series[str]", root: Path, folder: Path) -> "pd.Series[str]":
    """Paths that start from `root` as paths that start from `folder`; both are absolute."""
    names, folders = _split(paths)
    codes, values = number_values(folders.to_pandas())
    moved = [os.path.relpath(root / value, folder) + "/" for value in values]
    prefixes = pyarrow.array(["" if prefix == "./" else prefix for prefix in moved], pyarrow.large_string()).take(codes)
    entries = pyarrow.compute.replace_substring_regex(names, "(?s)^.*/", "")
    text = pyarrow.compute.binary_join_element_wise(prefixes, entries, pyarrow.scalar("", pyarrow.large_string()))
    return pd.Series(text.to_pandas().to_numpy(), index=paths.index).astype(str)


def _split(paths: "pd.Series[str]") -> tuple[Any, Any]:
    """Paths as an Arrow array, and the folder of each, which ends in a stroke or is empty."""
    names = as_arrow(paths)
    return names, pyarrow.compute.replace_substring_regex(names, "[^/]*$", "")


def _missing_inside(root: Path, container: str, rows: list[tuple[int, str, str]]) -> list[tuple[int, str]]:
    """What a container lacks; a container that is not there or cannot be read is said once, not for each of its images."""
    try:
        if not (root / container).is_file():
            rows = [row for row in rows if not (root / row[1]).is_file()]
            return [(rows[0][0], f"{rows[0][1]!r}: no such container; {len(rows)} rows name it")] if rows else []
        keys = set(list_keys(root / container))
    except NevusError as error:
        return [(rows[0][0], f"{rows[0][1]!r}: {error}")]
    return [(index, f"{name!r}: no such image in it") for index, name, key in rows if key.partition("/")[0] not in keys]
