"""From an image file to uint8 RGB pixels, the same ones in training and in the clinic.

`load_image` is the path from a file to a pack for training, `read_reduced` that to an exported graph; both decode alike.
`read_image` gives the whole image, for pictures that people look at.

What is repaired, and how: EXIF orientation is applied; grayscale is repeated to three channels; palettes and CMYK become
RGB; transparency is laid on black, as outside a dermoscope's field; 16-bit values keep their upper eight bits. What cannot
be trusted is refused: missing, empty, truncated or damaged files, several frames, less than 16 pixels a side, more than 64
megapixels, a header that the pixels do not bear out, a file of more than 512 MiB.
"""

import io
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from nevus.data.containers import CONTAINERS, container_of, list_keys, read_value
from nevus.data.crops import Crop, split_crop
from nevus.data.dicom import decode_dicom, is_dicom
from nevus.data.headers import MAX_BYTES, check_png, check_size, too_large
from nevus.data.jpeg import decode_jpeg, parts_of, plain_jpeg
from nevus.errors import DataError, listed

Pixels = NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm")

# In grey levels. The least of the 11,159 dermoscopy images of HAM10000 and ISIC 2020 that are used here is 4.8.
_LEAST_CONTRAST = 3.0

# The header's size is checked below, against a lower limit and with an error that says what to do.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# EXIF orientation (1 to 8) as: transpose first, then flip rows, then flip columns.
_ORIENTATIONS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def load_image(path: Path | str, short_side: int) -> Pixels:
    """Read an image for a network: uint8 RGB (height, width, 3), upright, its shorter side `short_side` pixels or less.

    Large JPEGs are decoded at a fraction of their size (see `nevus.data.jpeg`), then averaged by area; others are `shrink` of
    `read_image`. The shape is that of `shrink(read_image(path), short_side)` in either case. A part of an image (see
    `nevus.data.crops`) is decoded at full size, cut out, then averaged.

    Raises
    ------
    DataError
        As for `read_image`, or an image whose part is asked for has another size.
    """
    whole, crop = split_crop(path)
    if crop:
        return shrink(_cut(read_image(whole), crop, whole), short_side)
    return load_bytes(read_bytes(path), str(path), short_side)


def load_bytes(content: bytes, name: str, short_side: int) -> Pixels:
    """`load_image` for a file's bytes; `name` is what errors call it.

    >>> import cv2, numpy as np
    >>> jpeg = cv2.imencode(".jpg", np.zeros((900, 1200), np.uint8))[1].tobytes()
    >>> load_bytes(jpeg, "black.jpg", 224).shape
    (224, 299, 3)
    """
    image, full_shape = _decode(content, name, short_side)
    return _area_resize(image, _shrunk(full_shape, short_side))


def read_reduced(path: Path | str, short_side: int) -> Pixels:
    """Read an image for an exported graph, which stretches it itself: uint8 RGB (height, width, 3), upright.

    It is whole, or averaged by 2, 4 or 8 where its shorter side is still twice `short_side` after that: a JPEG as it is decoded,
    any other by area. A part of an image (see `nevus.data.crops`) is cut out of the whole one first.

    Raises
    ------
    DataError
        As for `load_image`.
    """
    whole, crop = split_crop(path)
    if crop:
        return _averaged(_cut(read_image(whole), crop, whole), short_side)
    return decode_reduced(read_bytes(path), str(path), short_side)


def decode_reduced(content: bytes, name: str, short_side: int) -> Pixels:
    """`read_reduced` for a whole image's bytes; `name` is what errors call it."""
    return _averaged(_decode(content, name, short_side)[0], short_side)


def _averaged(image: Pixels, short_side: int) -> Pixels:
    height, width = image.shape[:2]
    parts = parts_of(height, width, short_side)
    return _area_resize(image, ((height + parts // 2) // parts, (width + parts // 2) // parts))


def read_image(path: Path | str) -> Pixels:
    """Read one image file as uint8 RGB of shape (height, width, 3), upright.

    Raises
    ------
    DataError
        The file is missing, empty, not an image, damaged or truncated, has several frames, or is too small or too large.
    """
    return decode_image(read_bytes(path), str(path))


def read_bytes(path: Path | str) -> bytes:
    """The bytes of an image file, or of one inside an HDF5 file (`container.hdf5#KEY`); their number is checked first.

    Raises
    ------
    DataError
        The file or the key is missing, cannot be read, or is larger than `MAX_BYTES`.
    """
    if inside := container_of(path):
        return read_value(*inside, MAX_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  of every image of a data set: pathlib takes twice the time
            if (size := os.fstat(file.fileno()).st_size) > MAX_BYTES:
                limit = MAX_BYTES // 2**20
                raise DataError(f"{path}: {size // 2**20} MiB; an image file of at most {limit} MiB is read. Is it an image?")
            return file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error


def decode_image(content: bytes, name: str) -> Pixels:
    """Decode an image file's bytes whole; `name` is what errors call it. See `read_image`.

    >>> import cv2, numpy as np
    >>> png = cv2.imencode(".png", np.zeros((20, 30), np.uint8))[1].tobytes()
    >>> decode_image(png, "black.png").shape
    (20, 30, 3)
    """
    return _decode(content, name, None)[0]


def shrink(image: Pixels, short_side: int) -> Pixels:
    """Area-average an image so that its shorter side is `short_side` pixels; a smaller image is returned as it is.

    >>> shrink(np.zeros((450, 600, 3), np.uint8), 280).shape
    (280, 373, 3)
    """
    return _area_resize(image, _shrunk(image.shape[:2], short_side))


def is_blank(image: Pixels) -> bool:
    """Whether an image is almost of one colour: its grey levels deviate by less than `_LEAST_CONTRAST` from their mean.

    Of a large image every other, third, … row and column is looked at, 200 a side or more.

    >>> is_blank(np.full((150, 200, 3), 220, np.uint8))
    True
    """
    step = max(1, min(image.shape[:2]) // 200)
    some = Image.fromarray(np.ascontiguousarray(image[::step]))
    if step > 1:
        # NumPy's copy of every other column, three bytes at a time, takes longer than all the rest.
        some = some.resize((-(-some.width // step), some.height), Image.Resampling.NEAREST)
    counts, levels = np.array(some.convert("L").histogram()), np.arange(256)
    mean = counts @ levels / counts.sum()
    return float(counts @ (levels - mean) ** 2 / counts.sum()) < _LEAST_CONTRAST**2


def find_images(places: Sequence[Path | str]) -> list[Path]:
    """The files named, and the images in the folders named with their subfolders, sorted within each folder.

    An HDF5 file stands for the images in it; one of them is named `container.hdf5#KEY`.

    Raises
    ------
    DataError
        A place does not exist, or a folder holds no image; all such places are named.
    """
    found: list[Path] = []
    problems = []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
            found.extend(inside)
            if not inside:
                problems.append(f"{place}: a folder without images")
        elif place.suffix.lower() in CONTAINERS and place.is_file():
            found.extend(Path(f"{place}#{key}") for key in list_keys(place))
        elif place.is_file() or container_of(place):
            found.append(place)
        else:
            problems.append(f"{place}: no such file")
    if problems:
        raise DataError(listed("nothing to read:", problems, remedy=f"Give image files or folders: {', '.join(SUFFIXES)}."))
    return found


def pack_side(size: int) -> int:
    """The shorter side images are stored at for a network's input of `size`: a quarter more, so that crops stay sharp."""
    return math.ceil(1.25 * size)


def _decode(content: bytes, name: str, short_side: int | None) -> tuple[Pixels, tuple[int, ...]]:
    """The pixels, upright, and the full image's (height, width); the pixels may be fewer where `short_side` allows."""
    if not content:
        raise DataError(f"{name}: the file is empty (0 bytes). Copy it again from its source.")
    try:
        if plain_jpeg(content):
            height, width = simplejpeg.decode_jpeg_header(content)[:2]
            check_size(height, width, name)
            return decode_jpeg(content, height, width, short_side), (height, width)
        if is_dicom(content):
            return decode_dicom(content, name, short_side)
        with Image.open(io.BytesIO(content)) as header:
            width, height = header.size
            check_size(height, width, name)
            _check_frames(header, name)
            orientation = header.getexif().get(ExifTags.Base.Orientation, 1)
            if header.format == "JPEG" and header.mode in ("RGB", "L"):
                image = decode_jpeg(content, height, width, short_side)
            else:
                check_png(content)
                image = _rgb(header, name)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image that can be read. Expected {', '.join(SUFFIXES)}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(too_large(name, str(error).rstrip("."))) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{name}: the image is damaged or cut short ({error}). Copy it again from its source.") from error
    transposed = _ORIENTATIONS.get(orientation, (False,))[0]
    return _upright(image, orientation), (width, height) if transposed else (height, width)


def _cut(image: Pixels, crop: Crop, name: str) -> Pixels:
    if image.shape[:2] != (crop.height, crop.width):
        found, expected = (f"{height}x{width}" for height, width in (image.shape[:2], (crop.height, crop.width)))
        raise DataError(f"{name}: {found} pixels, but its mask has {expected}. Give the mask of this very file.")
    return np.ascontiguousarray(image[crop.top : crop.bottom, crop.left : crop.right])


def _shrunk(shape: tuple[int, ...], short_side: int) -> tuple[int, int]:
    height, width = shape
    scale = min(1.0, short_side / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _area_resize(image: Pixels, shape: tuple[int, int]) -> Pixels:
    if image.shape[:2] == shape:
        return image
    import cv2  # slow to import, and most photos that are predicted need no resizing here

    return cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _check_frames(header: Image.Image, name: str) -> None:
    if (num_frames := getattr(header, "n_frames", 1)) > 1:
        raise DataError(f"{name}: holds {num_frames} frames; one is expected. Save the one that is meant as a file.")


def _rgb(header: Image.Image, name: str) -> Pixels:
    if header.mode.startswith("I;16"):
        grey = (np.asarray(header).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if header.mode in ("I", "F"):
        raise DataError(f"{name}: {header.mode} pixels (32 bits) have no known range. Save it with 8 or 16 bits a channel.")
    if "A" in header.getbands() or "transparency" in header.info:
        with_alpha = header.convert("RGBA")
        black = Image.new("RGBA", header.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, with_alpha).convert("RGB"))
    return np.asarray(header.convert("RGB"))


def _upright(image: Pixels, orientation: int) -> Pixels:
    transpose, flip_rows, flip_columns = _ORIENTATIONS.get(orientation, (False, False, False))
    if transpose:
        image = image.transpose(1, 0, 2)
    return np.ascontiguousarray(image[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])
