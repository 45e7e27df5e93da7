"""The closer check: do two images show the same photograph, detail by detail?

Both are squeezed to 64 × 64; what is broad (the lesion's blob, the light) and the finest grain (what a re-save changes) are
filtered out, which leaves hair, vessels, dots and borders. One is slid and scaled over the other, by up to 6%, then fitted to it
by an affine map. Three things tell a copy from another photograph of the lesion: how well the details correlate, what is left
where one is taken from the other (a bubble that moved is many grey levels in one place), and how far the map is from a mere shift
and scale, since a camera held anew turns and shears the picture and a crop does not.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.audit.fingerprint import oriented
from nevus.data.images import Pixels

# OpenCV's own type of a result is wider than what it returns.
Square = NDArray[np.integer[Any] | np.floating[Any]]

SIDE = 64
# Of 300 images of HAM10000 under ten edits (crop, resize, JPEG 40, exposure, turns) 95% to 100% lie on this side; second shots of
# a lesion, inspected by eye, on the other.
MAX_DISTORTION = 0.025
MAX_PEAK = 12.0
CLEAR_CORRELATION = 0.99
# An empty stretch of skin has few details, and JPEG's noise is a larger part of them: there the difference itself must be small.
MIN_CORRELATION, MAX_DIFFERENCE = 0.95, 1.0
_MARGIN = 7
_INSIDE = slice(_MARGIN, SIDE - _MARGIN)
_SLIDE = 4
_SCALES = (66, 62, 68, 60)
# Of 600 images and their edits none correlates with less than 0.69 before it is scaled; five pairs in six of others do.
_SCREEN = 0.65
# Of an image cropped from a frame of 16:9 to one of 4:3 and of the whole squeezed to a square, say.
_FRAMES = (1.0, 4 / 3, 3 / 2, 16 / 9)
_STRETCHES = tuple(sorted({one / other for one in _FRAMES for other in _FRAMES}))
_FINE, _BROAD = 0.8, 4.0
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)


@dataclass(frozen=True)
class Alignment:
    """What tells a copy from another photograph.

    `correlation` of details, -1 to 1; `distortion`, what the fitted map turns, shears or stretches, 0 for a copy; `difference`
    and `peak`, root mean square and largest difference of details where one lies on the other, grey levels.
    """

    correlation: float
    distortion: float = 1.0
    difference: float = 255.0
    peak: float = 255.0

    @property
    def same_photograph(self) -> bool:
        """Whether the two are copies of one photograph."""
        if self.distortion > MAX_DISTORTION or self.peak > MAX_PEAK:
            return False
        faint = self.correlation >= MIN_CORRELATION and self.difference <= MAX_DIFFERENCE
        return faint or self.correlation >= CLEAR_CORRELATION


def square(image: Pixels) -> Pixels:
    """What `align` takes of an image: grey, squeezed to uint8 (64, 64)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def align(first: Pixels, second: Pixels, orientation: int, aspect: float = 1.0) -> Alignment:
    """Fit the second square, flipped and turned as `fingerprint.oriented` says, to the first; see `square`.

    Parameters
    ----------
    aspect
        The first image's width to height, divided by the turned second's: how much the squares stretch one against the other. A
        copy keeps its pixels' shape, or its frame's, or was squeezed from one usual frame to another.

    Returns
    -------
    Alignment
        Only a correlation where no fit was tried, since the details hardly correlate under any shift and scale.
    """
    second = oriented(second, orientation)
    details = _details(second)
    template = np.ascontiguousarray(details[_INSIDE, _INSIDE])
    found = [_slide(first, template, SIDE)]
    if found[0][0] < _SCREEN:
        return Alignment(found[0][0])
    found += [_slide(first, template, width) for width in _SCALES]
    correlation, start = max(found, key=lambda item: item[0])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[_INSIDE, _INSIDE] = 1
    try:
        _, fitted = cv2.findTransformECC(details, _details(first), start, cv2.MOTION_AFFINE, _CRITERIA, mask, 3)
    except cv2.error:  # the fit ran off: the details have nothing to do with each other
        return Alignment(correlation)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(first, fitted, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REFLECT)
    stretch = float(fitted[0, 0] / fitted[1, 1])
    turned = max(abs(float(fitted[0, 1])), abs(float(fitted[1, 0])))
    distortion = max(turned, min(abs(stretch * usual - 1) for usual in (aspect, *_STRETCHES)))
    return _compared(_details(moved)[_INSIDE, _INSIDE], template, distortion)


def _compared(first: NDArray[np.float32], second: NDArray[np.float32], distortion: float) -> Alignment:
    first, second = first - first.mean(), second - second.mean()
    power, shared = float((first**2).sum()), float((first * second).sum())
    correlation = shared / max(np.sqrt(power * float((second**2).sum())), 1e-9)
    left = second - first * (shared / max(power, 1e-9))  # the gain is exposure's
    return Alignment(float(correlation), distortion, float(left.std()), float(np.abs(left).max()))


def _slide(first: Pixels, template: NDArray[np.float32], width: int) -> tuple[float, NDArray[np.float32]]:
    """The best correlation of the template with the first image scaled to `width`, and the map from the second to the first."""
    scaled = first if width == SIDE else cv2.resize(first, (width, width), interpolation=cv2.INTER_LINEAR)
    room = width - len(template)
    low, high = max(0, room // 2 - _SLIDE), min(room, -(-room // 2) + _SLIDE) + len(template)
    window = np.ascontiguousarray(_details(scaled)[low:high, low:high])
    _, correlation, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED))
    scale = SIDE / width
    shift = [(low + place - _MARGIN + 0.5) * scale - 0.5 for place in (x, y)]
    return float(correlation), np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)


def _details(grey: Square) -> NDArray[np.float32]:
    values = grey.astype(np.float32)
    broad = cv2.GaussianBlur(values, (0, 0), _BROAD)
    return (cv2.GaussianBlur(values, (0, 0), _FINE) - broad).astype(np.float32, copy=False)
