"""The photos that an export is compared on: a folder of them, or a manifest, which knows the patients and the diagnoses too."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.image_ids import images_sha256
from nevus.data.images import find_images
from nevus.data.manifest import Manifest
from nevus.data.masks import crop_paths
from nevus.data.metadata import COLUMNS
from nevus.errors import DataError


@dataclass(frozen=True)
class Photos:
    """N photos: `paths`, and `columns` (`age_years`, `sex`, `site`), each of N values, "" or NaN where unknown.

    `targets` int64 (N,), places in the bundle's classes, and the N `groups` are None of a folder, which names no diagnoses.
    `trained_on` says that a manifest holds the very images that the bundle was trained on.
    """

    place: Path
    paths: Sequence[Path]
    columns: dict[str, NDArray[Any]]
    targets: NDArray[np.int64] | None = None
    groups: NDArray[Any] | None = None
    trained_on: bool = False

    def __len__(self) -> int:
        return len(self.paths)


def read_photos(place: Path, bundle: Bundle, masks: Path | None = None) -> Photos:
    """Read a folder or a manifest for a bundle; `masks` is the folder of the lesions' masks, for one trained on crops.

    Raises
    ------
    DataError
        There is nothing to read, or the manifest has a diagnosis that the bundle does not know.
    """
    if place.is_dir():
        paths = find_images([place])
        unknown = {"age_years": np.full(len(paths), np.nan), "sex": np.full(len(paths), ""), "site": np.full(len(paths), "")}
        return Photos(place, _shown(paths, [path.stem for path in paths], bundle, masks), unknown)
    rows, classes, targets = Manifest.read(place).for_task(bundle.document["task"])
    if strange := [name for name in classes if name not in bundle.classes]:
        raise DataError(
            f"{place}: has {', '.join(strange)}, which {bundle.path} does not know (it tells {', '.join(bundle.classes)} apart). "
            "Leave these rows out."
        )
    places = np.array([bundle.classes.index(name) for name in classes], np.int64)
    columns = {name: rows.frame[name].to_numpy() for name in COLUMNS.values()}
    names = rows.frame["image_id"].tolist()
    paths = _shown(rows.paths(), names, bundle, masks)
    trained_on = images_sha256(names) == bundle.document["training_data"].get("images_sha256")
    return Photos(place, paths, columns, places[targets], rows.frame["group_id"].to_numpy(), trained_on)


def _shown(paths: list[Path], names: list[str], bundle: Bundle, masks: Path | None) -> list[Path]:
    preprocessing = bundle.document["preprocessing"]
    if preprocessing.get("crop", "none") == "none":
        if masks:
            raise DataError(f"--masks {masks}: {bundle.path} was trained on whole images. Give no masks.")
        return paths
    if not masks:
        raise DataError(f"{bundle.path}: trained on lesions cropped by their masks. Give them: --masks FOLDER.")
    return crop_paths(paths, names, masks, float(preprocessing["crop_margin"]))
