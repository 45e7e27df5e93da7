"""Claim: one warp from the pack is as close to the exact resampling as torchvision's chain of rotation, crop, mirror and resize.

PSNR of views at 224 against a supersampled reference: each output pixel the mean of 64 bicubic samples, spread over it, of the
full 600×450 image. Only pixels whose sources all lie inside the image are compared: borders are filled differently by each.
"""

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import nevus.networks.backbones  # noqa: F401  it mends torchvision where its compiled operators cannot load
from nevus.data.augment import DRAWS, random_matrices, warp
from nevus.data.images import Pixels, pack_side, read_image, shrink
from nevus.recipe import AugmentRecipe
from photographs import originals, write_jpegs
from result import conclude, finish, show

from torchvision.transforms.v2 import functional  # isort: skip

NUM_IMAGES, SIZE, SAMPLES, MARGIN, TILES = 40, 224, 8, 4, 3
OURS, PEER = "one warp from the pack", "torchvision v2, step by step"


def compare(images: list[Pixels]) -> dict[str, list[float]]:
    """PSNR in dB of a random view of each image of 600×450, by ours and by torchvision."""
    figures: dict[str, list[float]] = {OURS: [], PEER: []}
    for number, image in enumerate(images):
        rng = np.random.default_rng(number)
        draws = rng.random((1, len(DRAWS)))
        # Crops of whole, even sizes: torchvision would round others, and be a little beside the reference.
        crop = int(rng.integers(60, 76)) / 75
        draws[0, DRAWS.index("crop")] = (crop - 0.8) / 0.2
        degrees, mirrored = 30 * (2 * draws[0, DRAWS.index("rotation")] - 1), bool(draws[0, DRAWS.index("mirror")] < 0.5)
        small = shrink(image, pack_side(SIZE))
        full, ours = (random_matrices(AugmentRecipe(), draws, np.array([part.shape[:2]]), SIZE)[0] for part in (image, small))
        reference, inside = supersampled(image, full)
        views = {OURS: warp(small, ours, SIZE), PEER: _torchvision(image, degrees, crop, mirrored)}
        for name, view in views.items():
            error = ((view.astype(np.float64) - reference) ** 2)[inside].mean()
            figures[name].append(float(10 * np.log10(255**2 / error)))
    return figures


def supersampled(image: Pixels, matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The view with each pixel the mean of SAMPLES² bicubic samples over its area, and which pixels lie inside the image."""
    height, width = image.shape[:2]
    total = np.zeros((SIZE, SIZE, 3))
    inside = np.ones((SIZE, SIZE), np.bool_)
    offsets = (np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    for down in offsets:
        for across in offsets:
            x, y = (line[0] * (columns + across) + line[1] * (rows + down) + line[2] for line in matrix)
            inside &= (x >= MARGIN) & (x < width - MARGIN) & (y >= MARGIN) & (y < height - MARGIN)
            total += cv2.remap(image.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC)
    return total / SAMPLES**2, inside


def _torchvision(image: Pixels, degrees: float, crop: float, mirrored: bool) -> NDArray[Any]:
    picture = functional.rotate(Image.fromarray(image), degrees, interpolation=functional.InterpolationMode.BILINEAR)
    picture = functional.center_crop(picture, [round(crop * image.shape[0]), round(crop * image.shape[1])])
    picture = functional.horizontal_flip(picture) if mirrored else picture
    return np.asarray(functional.resize(picture, [SIZE, SIZE]))


def mosaic(paths: list[Path]) -> Pixels:
    """Nine images of 200×150 as one of 600×450."""
    images = [read_image(path) for path in paths]
    rows = [np.hstack(images[start : start + TILES]) for start in range(0, TILES**2, TILES)]
    return np.ascontiguousarray(np.vstack(rows))


def summary(figures: dict[str, list[float]]) -> dict[str, float]:
    measured = {}
    for name, values in figures.items():
        measured[f"{name}, mean"], measured[f"{name}, worst"] = float(np.mean(values)), float(np.min(values))
    return measured


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = write_jpegs(Path(folder), NUM_IMAGES)
        figures = compare([read_image(path) for path in paths])
    measured = summary(figures)
    show(f"interpolation against supersampling, {origin}", "dB", measured)
    if tiles := originals(NUM_IMAGES * TILES**2):
        mosaics = [mosaic(tiles[start : start + TILES**2]) for start in range(0, len(tiles), TILES**2)]
        show("the same on mosaics of nine originals, as sharp as their pixels; no claim", "dB", summary(compare(mosaics)))
    for kind in ("mean", "worst"):
        conclude(f"interpolation_{kind}", measured, ours=f"{OURS}, {kind}", peer=f"{PEER}, {kind}", bar=1.0, unit="dB")
    finish()


if __name__ == "__main__":
    main()
