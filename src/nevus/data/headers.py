"""What Pillow does not ask of a file: whether its size is one we read, and whether a PNG's data bear its header out."""

import struct
import zlib

from nevus.errors import DataError

MIN_SIDE = 16
MAX_PIXELS = 64_000_000
MAX_BYTES = 512 * 2**20  # 64 megapixels of 16-bit RGB, uncompressed, are 366 MiB

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Where each of the seven passes of an interlaced PNG starts, and its steps: x, y, step x, step y.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_STEP = 2**18


def check_size(height: int, width: int, name: str) -> None:
    """Refuse an image by its declared size, before memory is taken for its pixels.

    Raises
    ------
    DataError
        More than `MAX_PIXELS`, or less than `MIN_SIDE` a side.
    """
    if width * height > MAX_PIXELS:
        raise DataError(too_large(name, f"{width} x {height} pixels"))
    if min(width, height) < MIN_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels; at least {MIN_SIDE} a side are needed. Give the original image.")


def too_large(name: str, size: str) -> str:
    """The message for an image that declares too many pixels."""
    return f"{name}: {size}; at most {MAX_PIXELS // 1_000_000} megapixels are read. Save it smaller: 1,000 pixels a side suffice."


def check_png(content: bytes) -> None:
    """Refuse a PNG whose compressed data are more or fewer than its header's size needs.

    Pillow leaves missing rows black and passes over what is too much. Nothing is kept: a bomb takes no memory.

    Raises
    ------
    ValueError
        Says how many bytes there are, and how many are needed.
    """
    if content[:8] != _PNG_SIGNATURE or content[12:16] != b"IHDR":
        return
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    bits = depth * _PNG_CHANNELS.get(colour, 0)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(width - x) // step_x), -(-(height - y) // step_y)) for x, y, step_x, step_y in passes]
    # A row is a byte that names its filter, then its pixels; a pass without columns or rows is left out.
    needed = sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)
    inflater, found, place = zlib.decompressobj(), 0, 8
    while place + 12 <= len(content) and found <= needed:
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == b"IDAT":
            rest = content[place + 8 : place + 8 + length]
            while rest and found <= needed and not inflater.eof:
                found += len(_inflated(inflater, rest))
                rest = inflater.unconsumed_tail
        place += 12 + length
    if found != needed:
        more = "more than " if found > needed else ""
        raise ValueError(f"its header needs {needed} bytes of pixels, it holds {more}{min(found, needed)}")


def _inflated(inflater: "zlib._Decompress", content: bytes) -> bytes:
    try:
        return inflater.decompress(content, _STEP)
    except zlib.error as error:
        raise ValueError(str(error)) from error
