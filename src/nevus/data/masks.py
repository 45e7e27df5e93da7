"""Lesion masks: from a folder of black-and-white images to the part of each photo that a network is shown."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nevus.data.crops import Crop
from nevus.data.images import read_image
from nevus.errors import DataError, RecipeError, listed
from nevus.recipe import DataRecipe

# A mask's file is called after its image; HAM10000's and the ISIC archive's have a word more.
_NAMES = ("{}.png", "{}_segmentation.png")
# Pixels of a crop's shorter side, as of any image.
_MIN_SIDE = 16


def input_paths(data: DataRecipe, paths: Sequence[Path], image_ids: Sequence[str]) -> list[Path]:
    """What a recipe's network is shown of each image: the whole, or with `data.crop = "mask"` the part that its mask says.

    Raises
    ------
    RecipeError
        Crops are asked for and no folder of masks is named.
    DataError
        As for `crop_paths`.
    """
    if data.crop == "none":
        return list(paths)
    if not data.masks:
        raise RecipeError('data.crop = "mask": name the folder of the masks, as in --set data.masks=HAM10000/masks.')
    return crop_paths(paths, image_ids, data.masks, data.crop_margin)


def crop_paths(paths: Sequence[Path], image_ids: Sequence[str], masks: Path | str, margin: float) -> list[Path]:
    """The names of the lesions' parts of images (see `nevus.data.crops`). Whether a mask has its image's size is seen on reading.

    Parameters
    ----------
    paths
        The images.
    image_ids
        Their names, which their masks' files are called after: `ID.png` or `ID_segmentation.png`.
    masks
        The masks' folder. A lesion is where a mask is brighter than half of its brightest pixel.
    margin
        As for `lesion_crop`.

    Raises
    ------
    DataError
        Names every mask that is missing, cannot be read or is empty.
    """
    folder = Path(masks)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of masks. Give the folder that holds {_NAMES[0].format(image_ids[0])}.")

    def crop(image_id: str) -> Crop | str:
        found = [path for path in (folder / name.format(image_id) for name in _NAMES) if path.is_file()]
        if not found:
            return f"{image_id}: neither {' nor '.join(name.format(image_id) for name in _NAMES)} is there"
        try:
            brightness = read_image(found[0]).max(axis=2)
        except DataError as error:
            return str(error)
        if not brightness.any():
            return f"{found[0]}: empty, no pixel is the lesion's"
        return lesion_crop(brightness > brightness.max() / 2, margin)

    with ThreadPoolExecutor() as pool:
        crops = list(pool.map(crop, image_ids))
    if problems := [problem for problem in crops if isinstance(problem, str)]:
        remedy = "Supply or mend them, or leave these images out of the manifest."
        raise DataError(listed(f"{folder}: {len(problems)} of {len(crops)} masks cannot be used:", problems, remedy=remedy))
    return [part.of(path) for path, part in zip(paths, crops, strict=True) if isinstance(part, Crop)]


def lesion_crop(mask: NDArray[np.bool_], margin: float) -> Crop:
    """The smallest part with the lesion and a margin that has the whole image's proportions, and lies in the image.

    In its proportions, because inputs are stretched to a square: a crop is stretched as the whole image would be, so that a
    lesion's roundness is not lost.

    Parameters
    ----------
    mask
        (H, W), at least one pixel true.
    margin
        Of the lesion's height or width, whichever fills more of the image; added on each side.

    >>> mask = np.zeros((100, 200), np.bool_)
    >>> mask[40:60, 80:100] = True
    >>> lesion_crop(mask, 0.0)
    Crop(top=40, left=70, bottom=60, right=110, height=100, width=200)
    """
    height, width = mask.shape
    (top, bottom), (left, right) = ((at[0], at[-1] + 1) for at in (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)))
    share = max((bottom - top) / height, (right - left) / width) * (1 + 2 * margin)
    share = min(1.0, max(share, _MIN_SIDE / min(height, width)))
    first_row, num_rows = _span(int(top), int(bottom), share, height)
    first_column, num_columns = _span(int(left), int(right), share, width)
    return Crop(first_row, first_column, first_row + num_rows, first_column + num_columns, height, width)


def _span(first: int, last: int, share: float, length: int) -> tuple[int, int]:
    """Where `share` of `length` begins about the middle of `first` to `last` and within the image, and how long it is."""
    num = min(length, math.ceil(share * length - 1e-9))
    return min(max(0, (first + last - num) // 2), length - num), num
