"""From an image file to uint8 RGB pixels, the same ones in training and in the clinic.

What is repaired, and how: EXIF orientation is applied; grayscale is repeated to three channels; palettes and CMYK become
RGB; transparency is laid on black, as outside a dermoscope's field; 16-bit values keep their upper eight bits. What cannot
be trusted is refused: missing, empty, truncated or damaged files, several frames, less than 16 pixels a side, more than 64
megapixels.
"""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from nevus.errors import DataError, listed

Pixels = NDArray[np.uint8]

MIN_SIDE = 16
MAX_PIXELS = 64_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

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


def read_image(path: Path | str) -> Pixels:
    """Read one image file as uint8 RGB of shape (height, width, 3), upright.

    Raises
    ------
    DataError
        The file is missing, empty, not an image, damaged or truncated, has several frames, or is too small or too large.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> Pixels:
    """Decode an image file's bytes; `name` is what errors call it. See `read_image`.

    >>> import cv2, numpy as np
    >>> png = cv2.imencode(".png", np.zeros((20, 30), np.uint8))[1].tobytes()
    >>> decode_image(png, "black.png").shape
    (20, 30, 3)
    """
    if not content:
        raise DataError(f"{name}: the file is empty (0 bytes). Copy it again from its source.")
    try:
        with Image.open(io.BytesIO(content)) as header:
            _check_header(header, name)
            orientation = header.getexif().get(ExifTags.Base.Orientation, 1)
            if header.format == "JPEG" and header.mode in ("RGB", "L"):
                image: Pixels = simplejpeg.decode_jpeg(content, strict=True)
            else:
                image = _rgb(header, name)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image that can be read. Expected {', '.join(SUFFIXES)}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_too_large(name, str(error))) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{name}: the image is damaged or cut short ({error}). Copy it again from its source.") from error
    return _upright(image, orientation)


def shrink(image: Pixels, short_side: int) -> Pixels:
    """Area-average an image so that its shorter side is `short_side` pixels; a smaller image is returned as it is.

    >>> shrink(np.zeros((450, 600, 3), np.uint8), 280).shape
    (280, 373, 3)
    """
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def find_images(places: Sequence[Path | str]) -> list[Path]:
    """The files named, and the images in the folders named with their subfolders, sorted within each folder.

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
        elif place.is_file():
            found.append(place)
        else:
            problems.append(f"{place}: no such file")
    if problems:
        raise DataError(listed("nothing to read:", problems, remedy=f"Give image files or folders: {', '.join(SUFFIXES)}."))
    return found


def pack_side(size: int) -> int:
    """The shorter side images are stored at for a network's input of `size`: a quarter more, so that crops stay sharp."""
    return math.ceil(1.25 * size)


def _check_header(header: Image.Image, name: str) -> None:
    width, height = header.size
    if width * height > MAX_PIXELS:
        raise DataError(_too_large(name, f"{width} x {height} pixels"))
    if min(width, height) < MIN_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels; at least {MIN_SIDE} a side are needed. Give the original image.")
    if (num_frames := getattr(header, "n_frames", 1)) > 1:
        raise DataError(f"{name}: holds {num_frames} frames; one is expected. Save the one that is meant as a file.")


def _too_large(name: str, size: str) -> str:
    return f"{name}: {size}; at most {MAX_PIXELS // 1_000_000} megapixels are read. Save it smaller: 1,000 pixels a side suffice."


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
