"""What RandAugment does to pixels: functions of a uint8 view (H, W, 3), a signed strength in a unit of its own, and a generator.

Those that Pillow has give what Pillow gives but for rounding; "equalize" is OpenCV's, which spreads few grey levels otherwise.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels

_GREYS = np.arange(256, dtype=np.float64)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13


def _same(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return view


def _saturation(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    grey = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return _pixels(cv2.addWeighted(view, 1 + level, grey, -level, 0))


def _contrast(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """About the mean of the grey view."""
    mean = np.rint(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).mean())
    return _looked_up(view, mean + (1 + level) * (_GREYS - mean))


def _brightness(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _looked_up(view, (1 + level) * _GREYS)


def _sharpness(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Away from or towards the view smoothed by a 3×3 kernel; pixels at the border stay (as in Pillow)."""
    smooth = cv2.filter2D(view, -1, _SMOOTH)
    sharp = cv2.addWeighted(view, 1 + level, smooth, -level, 0)
    out = view.copy()
    out[1:-1, 1:-1] = sharp[1:-1, 1:-1]
    return out


def _autocontrast(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Each channel from 0 to 255; one of a single value stays."""
    low, high = view.min(axis=(0, 1)).astype(np.float64), view.max(axis=(0, 1)).astype(np.float64)
    gain = np.where(high > low, 255 / np.maximum(high - low, 1), 1)
    return _looked_up(view, gain * (_GREYS[:, None] - np.where(high > low, low, 0)))


def _equalize(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _pixels(np.stack([cv2.equalizeHist(np.ascontiguousarray(view[:, :, channel])) for channel in range(3)], axis=2))


def _equalize_luma(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    luma_and_colour = cv2.cvtColor(view, cv2.COLOR_RGB2YCrCb)
    luma_and_colour[:, :, 0] = cv2.equalizeHist(np.ascontiguousarray(luma_and_colour[:, :, 0]))
    return _pixels(cv2.cvtColor(luma_and_colour, cv2.COLOR_YCrCb2RGB))


def _solarize(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Invert what is as bright as 256 less the level."""
    return _looked_up(view, np.where(np.rint(256 - abs(level)) <= _GREYS, 255 - _GREYS, _GREYS))


def _posterize(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Clear the last bits, as many as the level."""
    bits = round(abs(level))
    return _pixels(view >> bits << bits)


def _colour_cast(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """One channel, and each other with a chance of a third, brighter or darker by the level."""
    cast = rng.choice((-1, 1), 3) * ((rng.random(3) < 1 / 3) | (np.arange(3) == rng.integers(3)))
    return _looked_up(view, _GREYS[:, None] + level * cast)


def _noise(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gaussian, of standard deviation 50 times the level."""
    return _rounded(view + 50 * np.float32(level) * rng.standard_normal(view.shape, np.float32))


def _vignette(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Darker from some way off a point near the centre, by the level in the farthest corner."""
    height, width = view.shape[:2]
    shift_x, shift_y, start = rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.15, 0.35)
    across, down = np.linspace(-0.5, 0.5, width) + shift_x, np.linspace(-0.5, 0.5, height) + shift_y
    distance = np.hypot(across[None, :] * width, down[:, None] * height)
    darkness = abs(level) * ((distance - start * width) / (distance.max() - start * width)).clip(0, 1) ** 1.2
    return _rounded(view * (1 - darkness)[:, :, None])


def _cut(view: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A grey square of twice the level's side about a point of the middle, the level in shares of the view's side."""
    size = np.array(view.shape[:2])
    centre, half = rng.uniform(0.2, 0.8, 2) * size, abs(level) * size.min()
    top, left, bottom, right = np.concatenate([centre - half, centre + half]).clip(0).round().astype(int)
    out = view.copy()
    out[top:bottom, left:right] = 128
    return out


def _pixels(values: NDArray[Any]) -> Pixels:
    return values.astype(np.uint8, copy=False)


def _rounded(values: NDArray[np.floating]) -> Pixels:
    return _pixels(np.rint(values).clip(0, 255))


def _looked_up(view: Pixels, values: NDArray[np.floating]) -> Pixels:
    """Every grey level g as `values[g]`, (256,) for all channels or (256, 3)."""
    table = _rounded(values)
    return _pixels(cv2.LUT(view, table if values.ndim == 1 else table.reshape(1, 256, 3)))


PIXELS: dict[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    "identity": _same,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "equalize_luma": _equalize_luma,
    "solarize": _solarize,
    "saturation": _saturation,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "colour_cast": _colour_cast,
    "noise": _noise,
    "vignette": _vignette,
    "cut": _cut,
}
