"""Crop, rotation, flips and resize composed into one affine warp an image, deterministic by (seed, epoch, image).

One interpolation instead of four keeps more detail and is several times faster. The whole image is fitted to the square
input, as both papers do; beyond its border it is mirrored. Colour, RandAugment, CutOut, hair and ruler follow where a recipe asks
for them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.artefacts import hair, ruler
from nevus.data.images import Pixels
from nevus.data.randaugment import Operation, change_pixels, compose, draw_operations
from nevus.recipe import AugmentRecipe

Matrix = NDArray[np.float64]


# What each of an image's uniform random numbers decides, by its place in the row. The last four hide metadata (see the loader).
DRAWS = (
    *("rotation", "crop", "mirror", "flip", "brightness", "contrast", "saturation", "hue"),
    *("cutout", "cutout_row", "cutout_column", "hair", "ruler", "overlay", "hide_1", "hide_2", "hide_3", "hide_all"),
)
_PLACE = {name: place for place, name in enumerate(DRAWS)}
_LUMA = np.array([0.299, 0.587, 0.114])
# RGB to YIQ (NTSC), in which a change of hue is a rotation of the last two.
_YIQ = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FLAGS = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_MAX_OVERLAY_SEVERITY = 4.0


@dataclass(frozen=True)
class Plan:
    """What happens to each of N images: `warps` (N, 2, 3) from output to image pixels; and, where a recipe asks for them,
    `colours` (N, 3, 4) affine in RGB, `boxes` (N, 4) to cut out as top, left, bottom, right, `overlays` (N, 3) draws, and each
    image's `operations` of RandAugment, whose geometry is in the warps."""

    warps: Matrix
    colours: Matrix | None
    boxes: NDArray[np.int64] | None
    overlays: Matrix | None
    operations: list[tuple[Operation, ...]] | None = None


def centre_matrix(height: int, width: int, size: int, share: float = 1.0) -> Matrix:
    """The 2×3 map from the network's input to the image, or to the central `share` of its sides: what validation uses.

    >>> centre_matrix(100, 200, 100)
    array([[2. , 0. , 0.5],
           [0. , 1. , 0. ]])
    """
    still = np.zeros((1, len(DRAWS)))
    chosen = AugmentRecipe(rotation_degrees=0, min_crop=share, horizontal_flip=0, vertical_flip=0)
    matrix: Matrix = random_matrices(chosen, still, np.array([[height, width]]), size)[0]
    return matrix


def draw(seed: int, epoch: int, num_images: int) -> Matrix:
    """Uniform random numbers (num_images, len(DRAWS)) of an epoch: row k is a function of (seed, epoch, k) alone.

    >>> bool((draw(0, 1, 5)[3] == draw(0, 1, 100)[3]).all())
    True
    """
    return np.random.default_rng([seed, epoch, 1]).random((num_images, len(DRAWS)))


def random_matrices(recipe: AugmentRecipe, draws: Matrix, shapes: NDArray[np.int64], size: int) -> Matrix:
    """Rotation in ±`rotation_degrees`, a central crop in [`min_crop`, 1] and flips (ZooME, section IV.B), as (N, 2, 3).

    Output pixel centres go to [-1/2, 1/2]², are flipped and cropped, stretched to the image's shape, rotated about its centre.
    """
    height, width = shapes[:, 0].astype(np.float64), shapes[:, 1].astype(np.float64)
    crop = recipe.min_crop + (1 - recipe.min_crop) * _of(draws, "crop")
    radians = np.radians(recipe.rotation_degrees * (2 * _of(draws, "rotation") - 1))
    across = crop * width / size * np.where(_of(draws, "mirror") < recipe.horizontal_flip, -1.0, 1.0)
    down = crop * height / size * np.where(_of(draws, "flip") < recipe.vertical_flip, -1.0, 1.0)
    cosine, sine = np.cos(radians), np.sin(radians)
    linear = np.stack([cosine * across, -sine * down, sine * across, cosine * down], axis=1).reshape(-1, 2, 2) + 0.0  # no -0
    centre = np.stack([(width - 1) / 2, (height - 1) / 2], axis=1) - linear.sum(axis=2) * (size - 1) / 2
    return np.concatenate([linear, centre[:, :, None]], axis=2)


def plan(recipe: AugmentRecipe, draws: Matrix, shapes: NDArray[np.int64], size: int) -> Plan:
    """What `recipe` does to images of `shapes` (N, 2), given their uniform numbers `draws` (N, len(DRAWS))."""
    coloured = recipe.brightness or recipe.contrast or recipe.saturation or recipe.hue_degrees
    names = ("hair", "ruler", "overlay")
    warps, operations = random_matrices(recipe, draws, shapes, size), None
    if recipe.randaugment.kind != "none":
        # The overlays' number and a 1 seed generators of their own: another column would change all other numbers.
        generators = [np.random.default_rng([int(number * 2**53), 1]) for number in _of(draws, "overlay")]
        operations = [draw_operations(recipe.randaugment, rng) for rng in generators]
        warps = np.stack([compose(*each) for each in zip(warps, operations, shapes[:, 0], shapes[:, 1], strict=True)])
    return Plan(
        warps,
        _colours(recipe, draws) if coloured else None,
        _boxes(recipe, draws, size) if recipe.cutout else None,
        np.stack([_of(draws, name) for name in names], axis=1) if recipe.hair or recipe.ruler else None,
        operations,
    )


def apply(steps: Plan, index: int, image: Pixels, recipe: AugmentRecipe, out: Pixels) -> None:
    """Write the view of `image`, the plan's `index`-th, to `out` (size, size, 3) uint8."""
    size = out.shape[0]
    cv2.warpAffine(image, steps.warps[index], (size, size), dst=out, flags=_FLAGS, borderMode=cv2.BORDER_REFLECT_101)
    if steps.overlays is not None:
        with_hair, with_ruler, seed = steps.overlays[index]
        rng = np.random.default_rng(int(seed * 2**53))
        if with_hair < recipe.hair:
            out[:] = hair(out, rng, rng.uniform(1, _MAX_OVERLAY_SEVERITY))
        if with_ruler < recipe.ruler:
            out[:] = ruler(out, rng, rng.uniform(1, _MAX_OVERLAY_SEVERITY))
    if steps.colours is not None:
        cv2.transform(out, steps.colours[index], dst=out)
    if steps.operations is not None:
        out[:] = change_pixels(out, steps.operations[index])
    if steps.boxes is not None:
        top, left, bottom, right = steps.boxes[index]
        out[top:bottom, left:right] = np.rint(out.mean(axis=(0, 1)))


def warp(image: Pixels, matrix: Matrix, size: int) -> Pixels:
    """Sample `image` at `matrix` (output pixel to image pixel), bilinearly, to uint8 (size, size, 3)."""
    warped = cv2.warpAffine(image, matrix, (size, size), flags=_FLAGS, borderMode=cv2.BORDER_REFLECT_101)
    return warped.astype(np.uint8, copy=False)


def augment(image: Pixels, recipe: AugmentRecipe, rng: np.random.Generator, size: int) -> Pixels:
    """One random view of `image` as uint8 (size, size, 3).

    >>> augment(np.zeros((40, 60, 3), np.uint8), AugmentRecipe(), np.random.default_rng(0), 32).shape
    (32, 32, 3)
    """
    out = np.empty((size, size, 3), np.uint8)
    steps = plan(recipe, rng.random((1, len(DRAWS))), np.array([image.shape[:2]]), size)
    apply(steps, 0, image, recipe, out)
    return out


def hidden(draws: Matrix, rate: float, num_fields: int) -> NDArray[np.bool_]:
    """Which metadata fields are hidden, (N, num_fields): each with probability `rate`, and all at once as often."""
    first = _PLACE["hide_1"]
    return (draws[:, first : first + num_fields] < rate) | (_of(draws, "hide_all")[:, None] < rate)


def _of(draws: Matrix, name: str) -> Matrix:
    column: Matrix = draws[:, _PLACE[name]]
    return column


def _colours(recipe: AugmentRecipe, draws: Matrix) -> Matrix:
    """Hue, then saturation about the grey of equal luma, then contrast about mid-grey and brightness: one 3×4 map an image."""

    def change(name: str, largest: float) -> Matrix:
        return largest * (2 * _of(draws, name) - 1)

    angle = np.radians(change("hue", recipe.hue_degrees))
    turn = np.zeros((len(draws), 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
    hue = np.linalg.inv(_YIQ) @ turn @ _YIQ
    share = 1 + change("saturation", recipe.saturation)[:, None, None]
    saturation = (1 - share) * np.tile(_LUMA, (3, 1)) + share * np.eye(3)
    light = 1 + change("brightness", recipe.brightness)
    gain = (1 + change("contrast", recipe.contrast)) * light
    shift = np.repeat(127.5 * (light - gain)[:, None, None], 3, axis=1)
    return np.concatenate([gain[:, None, None] * (saturation @ hue), shift], axis=2)


def _boxes(recipe: AugmentRecipe, draws: Matrix, size: int) -> NDArray[np.int64]:
    """A square of `cutout_side` of the input's side about a random pixel, cut at the borders (DeVries and Taylor 2017)."""
    half = recipe.cutout_side * size / 2
    centres = np.stack([_of(draws, "cutout_row"), _of(draws, "cutout_column")], axis=1) * size
    corners = np.concatenate([centres - half, centres + half], axis=1).clip(0, size).round().astype(np.int64)
    corners[_of(draws, "cutout") >= recipe.cutout] = 0
    return corners
