"""RandAugment (Cubuk et al. 2020) and its form for few and unbalanced skin images (Yao et al. 2021).

Operations of geometry become part of the one warp; the others change the uint8 view that it gives. Beyond the border the image is
mirrored, where both papers fill with a colour, and geometry turns about the centre of the whole image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels
from nevus.data.pixel_operations import PIXELS
from nevus.recipe import RandAugmentRecipe

Matrix = NDArray[np.float64]


class Operation(NamedTuple):
    """An operation that was drawn: its signed strength, in its own unit, and the seed of what else it draws."""

    name: str
    level: float
    seed: int


@dataclass(frozen=True)
class Policy:
    """Groups of operations, taken in turn, with each operation's strength at magnitude 10; `varied` draws below that."""

    groups: tuple[dict[str, float], ...]
    varied: bool


def draw_operations(recipe: RandAugmentRecipe, rng: np.random.Generator) -> tuple[Operation, ...]:
    """The operations of one view, in order: each is drawn from the next group, with a sign, and done with `probability`.

    >>> [step.name for step in draw_operations(RandAugmentRecipe(kind="cubuk"), np.random.default_rng(1))]
    ['posterize', 'rotate']
    """
    policy = POLICIES[recipe.kind]
    drawn = []
    for position in range(recipe.num_operations):
        group = policy.groups[position % len(policy.groups)]
        name = list(group)[rng.integers(len(group))]
        share, sign, done, seed = rng.random(), 2 * rng.integers(2) - 1, rng.random(), int(rng.integers(2**53))
        if done < recipe.probability:
            strength = group[name] * recipe.magnitude / 10 * (share if policy.varied else 1.0)
            drawn.append(Operation(name, float(sign * strength), seed))
    return tuple(drawn)


def compose(warp: Matrix, operations: tuple[Operation, ...], height: int, width: int) -> Matrix:
    """`warp` (2, 3), from output to image pixels, of the image that the operations of geometry make, in their order."""
    centre, extent = np.array([(width - 1) / 2, (height - 1) / 2]), np.array([width, height])
    for name, level, seed in reversed(operations):
        if name in GEOMETRY:
            change = GEOMETRY[name](level, np.random.default_rng(seed))
            shift = change[:, :2] @ (warp[:, 2] - centre) + change[:, 2] * extent + centre
            warp = np.column_stack([change[:, :2] @ warp[:, :2], shift])
    return warp


def change_pixels(view: Pixels, operations: tuple[Operation, ...]) -> Pixels:
    """The view (H, W, 3) uint8 after all operations that are not geometry, in their order."""
    for name, level, seed in operations:
        if name in PIXELS:
            view = PIXELS[name](view, level, np.random.default_rng(seed))
    return view


def _rotate(degrees: float, rng: np.random.Generator) -> Matrix:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0], [sine, cosine, 0]])


def _shear_x(level: float, rng: np.random.Generator) -> Matrix:
    return np.array([[1, level, 0], [0, 1, 0]])


def _shear_y(level: float, rng: np.random.Generator) -> Matrix:
    return np.array([[1, 0, 0], [level, 1, 0]])


def _translate_x(level: float, rng: np.random.Generator) -> Matrix:
    return np.array([[1, 0, level], [0, 1, 0]])


def _translate_y(level: float, rng: np.random.Generator) -> Matrix:
    return np.array([[1, 0, 0], [0, 1, level]])


def _scale(level: float, rng: np.random.Generator) -> Matrix:
    return np.array([[1 / (1 + level), 0, 0], [0, 1 / (1 + level), 0]])


def _stretch(level: float, rng: np.random.Generator) -> Matrix:
    """Across by the level, down by up to a fifth, whatever the magnitude (as published)."""
    return np.array([[1 / (1 + level), 0, 0], [0, 1 / rng.uniform(0.8, 1.2), 0]])


def _flip(level: float, rng: np.random.Generator) -> Matrix:
    """Left to right, top to bottom or both."""
    across, down = ((-1, 1), (1, -1), (-1, -1))[rng.integers(3)]
    return np.array([[across, 0, 0], [0, down, 0]])


# From an output pixel's place about the centre to where it is read: (2, 3), the shift in shares of width and height.
GEOMETRY: dict[str, Callable[[float, np.random.Generator], Matrix]] = {
    "rotate": _rotate,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "scale": _scale,
    "stretch": _stretch,
    "flip": _flip,
}
# Cubuk et al.: fourteen operations with AutoAugment's ranges, at one magnitude. Shears and shifts are shares of the image.
_CUBUK = {
    **{"identity": 0.0, "autocontrast": 0.0, "equalize": 0.0, "rotate": 30.0, "solarize": 256.0, "saturation": 0.9},
    **{"posterize": 4.0, "contrast": 0.9, "brightness": 0.9, "sharpness": 0.9},
    **{"shear_x": 0.3, "shear_y": 0.3, "translate_x": 150 / 331, "translate_y": 150 / 331},
}
# Yao et al.'s published code, method v1_1: one of colour, then one of shape. Left out are Mixup with another image, which is
# `training.mixup` here, and the lens's distortion, which is no affine map.
_YAO_COLOUR = {
    **{"vignette": 0.6, "noise": 0.2, "saturation": 0.4, "contrast": 0.4, "brightness": 0.4, "sharpness": 0.4},
    **{"colour_cast": 30.0, "equalize_luma": 0.0, "posterize": 3.0, "autocontrast": 0.0, "solarize": 127.0, "equalize": 0.0},
}
_YAO_SHAPE = {
    **{"rotate": 40.0, "flip": 0.0, "cut": 50 / 450},
    **{"shear_x": float(np.tan(np.radians(15))), "shear_y": float(np.tan(np.radians(15))), "scale": 0.2, "stretch": 0.2},
}
POLICIES = {"cubuk": Policy((_CUBUK,), varied=False), "yao": Policy((_YAO_COLOUR, _YAO_SHAPE), varied=True)}
