"""Pictures and image files that several tests write."""

import io

import numpy as np
from PIL import Image

from nevus.data.images import Pixels


def picture(height: int = 40, width: int = 60) -> Pixels:
    """Smooth, asymmetric in every direction, coloured: a flip, a swap of channels or a wrong range shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [rows * 200 // height + 20, columns * 200 // width + 30, (rows + 2 * columns) * 60 // (height + width) + 10]
    return np.stack(channels, axis=2).astype(np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
