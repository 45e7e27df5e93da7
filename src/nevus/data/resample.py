"""The stretch of a photo to a network's square input, with antialiasing: the reference of what exported graphs do inside.

Every output pixel is a weighted mean of the input pixels about its centre, by a triangle as much wider as the input is larger:
what Pillow, torchvision (`antialias=True`) and ONNX's Resize (`antialias=1`) call bilinear, unrounded.
"""

import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels


def weights(length: int, size: int, share: float = 1.0) -> NDArray[np.float32]:
    """Of `length` input pixels in each of `size` output pixels, which cover their central `share`: float32 (size, length).

    Rows sum to 1. Pixel centres lie at halves; the triangle reaches max(share · length / size, 1) input pixels to either side,
    beyond the share too.

    >>> weights(4, 2)
    array([[0.42857143, 0.42857143, 0.14285715, 0.        ],
           [0.        , 0.14285715, 0.42857143, 0.42857143]], dtype=float32)
    """
    scale = share * length / size
    centres = (np.arange(size) + 0.5) * scale + (1 - share) / 2 * length - 0.5
    distances = np.abs(np.arange(length) - centres[:, None]) / max(scale, 1.0)
    triangle = np.clip(1 - distances, 0, None)
    return np.asarray(triangle / triangle.sum(axis=1, keepdims=True), np.float32)


def stretch(image: Pixels, size: int, share: float = 1.0) -> NDArray[np.float32]:
    """A photo (height, width, 3) of any size, or the central `share` of its sides, as float32 (size, size, 3), 0 to 255.

    Its proportions are given up.

    >>> stretch(np.full((40, 60, 3), 7, np.uint8), 16).round(4).max()
    np.float32(7.0)
    """
    height, width = image.shape[:2]
    rows = np.tensordot(weights(height, size, share), image.astype(np.float32), axes=1)
    return np.ascontiguousarray(np.tensordot(rows, weights(width, size, share), axes=([1], [1])).transpose(0, 2, 1))
