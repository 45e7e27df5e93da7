"""Crop, rotation, flips and resize composed into one affine warp an image, deterministic by (seed, epoch, image).

One interpolation instead of four keeps more detail and is several times faster. The whole image is fitted to the square
input, as both papers do; beyond its border it is mirrored.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels
from nevus.recipe import AugmentRecipe

Matrix = NDArray[np.float64]

# The axes of (N, H, W, 3) that each view of `data.views` is flipped along; a lesion has no upside.
MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (1, 2))


def centre_matrix(height: int, width: int, size: int) -> Matrix:
    """The 2×3 map from the network's input to the whole image: what validation, testing and serving use.

    >>> centre_matrix(100, 200, 100)
    array([[2. , 0. , 0.5],
           [0. , 1. , 0. ]])
    """
    return _matrix(height, width, size, crop=1.0, radians=0.0, mirror=1.0, flip=1.0)


def random_matrix(recipe: AugmentRecipe, rng: np.random.Generator, height: int, width: int, size: int) -> Matrix:
    """Draw rotation in ±`rotation_degrees`, a central crop in [`min_crop`, 1] and flips (ZooME, section IV.B)."""
    degrees, crop, mirror, flip = rng.random(4)
    return _matrix(
        height,
        width,
        size,
        crop=recipe.min_crop + (1 - recipe.min_crop) * crop,
        radians=math.radians(recipe.rotation_degrees * (2 * degrees - 1)),
        mirror=-1.0 if mirror < recipe.horizontal_flip else 1.0,
        flip=-1.0 if flip < recipe.vertical_flip else 1.0,
    )


def warp(image: Pixels, matrix: Matrix, size: int) -> Pixels:
    """Sample `image` at `matrix` (output pixel to image pixel), bilinearly, to uint8 (size, size, 3)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return warped.astype(np.uint8, copy=False)


def augment(image: Pixels, recipe: AugmentRecipe, rng: np.random.Generator, size: int) -> Pixels:
    """One random view of `image` as uint8 (size, size, 3).

    >>> image = np.zeros((90, 120, 3), np.uint8)
    >>> augment(image, AugmentRecipe(), np.random.default_rng([0, 1, 2]), 64).shape
    (64, 64, 3)
    """
    height, width = image.shape[:2]
    warped = warp(image, random_matrix(recipe, rng, height, width, size), size)
    if not (recipe.brightness or recipe.contrast):
        return warped
    brightness, contrast = 2 * rng.random(2) - 1
    gain = (1 + recipe.contrast * contrast) * (1 + recipe.brightness * brightness)
    # Contrast turns about mid-grey and both fit one table of 256 values: exact, and free beside the warp.
    levels = np.arange(256) * gain + 127.5 * (1 + recipe.brightness * brightness - gain)
    return cv2.LUT(warped, np.clip(np.rint(levels), 0, 255).astype(np.uint8)).astype(np.uint8, copy=False)


def _matrix(height: int, width: int, size: int, *, crop: float, radians: float, mirror: float, flip: float) -> Matrix:
    """Output pixel centres to [-1/2, 1/2]², flipped and cropped, stretched to the image's shape, rotated about its centre."""
    to_unit = np.array([[1 / size, 0, 0.5 / size - 0.5], [0, 1 / size, 0.5 / size - 0.5], [0, 0, 1]])
    stretch = np.diag([mirror * crop * width, flip * crop * height, 1.0])
    cosine, sine = math.cos(radians), math.sin(radians)
    rotate = np.array([[cosine, -sine, (width - 1) / 2], [sine, cosine, (height - 1) / 2]])
    matrix: Matrix = rotate @ stretch @ to_unit
    return matrix
