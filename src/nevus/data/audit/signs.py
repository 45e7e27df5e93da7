"""What disturbs a photograph, measured: black corners, hair, a ruler, ink, exposure.

Each measure is one number of the image at about 150 pixels' height; an image has the artefact where it reaches its cut. Each was
tried on phantoms with and without the artefact and by looking at its strongest finds in HAM10000 and ISIC-2020; what that
showed stands with it and is printed with every figure.
"""

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels

# OpenCV's own type of a result is wider than what it returns.
Channel = NDArray[np.integer[Any] | np.floating[Any]]
Grey = Channel


@dataclass(frozen=True)
class Sign:
    """A measure's name, its cut (present from there on), what it measures, and whether and why it is weak."""

    name: str
    cut: float
    measures: str
    weakness: str = ""

    @property
    def title(self) -> str:
        """The name in words; a sign that is weak never appears without saying so."""
        return self.name.replace("_", " ") + (" (weak)" if self.weakness.startswith("weak") else "")


SIGNS = (
    Sign("black_corners", 0.25, "share of black pixels in the second blackest corner"),
    Sign(
        "hair",
        0.02,
        "share of the image under thin dark lines",
        "weak: it finds dense dark hair alone (1 in 7 of the phantoms with hair)",
    ),
    Sign("ruler", 0.6, "regularity of dark ticks along a border", "it misses faint ticks, and skin ridges can pass for one"),
    Sign(
        "ink", 0.01, "share of the image, outside its middle, that is much bluer than it", "weak: blue parts of lesions count too"
    ),
    Sign(
        "dark",
        0.5,
        "how far from white the lighter quarter of pixels begins",
        "weak: dark skin and lesions that fill the frame count",
    ),
    Sign("overexposed", 0.02, "share of pixels at the upper end of all channels"),
)
NUM_SIGNS = len(SIGNS)
# Said with the figures, so that nobody takes a missing row for a clean data set.
LEFT_OUT = {"blur": "two measures of it were tried; on real images both found smooth skin around a sharp lesion instead"}


def measure(image: Pixels) -> NDArray[np.float32]:
    """The measures of one image, uint8 (height, width, 3) about 150 pixels high, in the order of `SIGNS`: float32 (6,)."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lines = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    lines = lines.astype(np.float32, copy=False)
    red, green, blue = cv2.split(image)
    lightest, darkest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    bluer = blue.astype(np.float32) - red
    overexposed = float((darkest > 235).mean())
    values = (_black_corners(lightest), _hair(lines), _ruler(lines), _ink(bluer, lightest), _dark(grey), overexposed)
    return np.array(values, np.float32)


def _black_corners(lightest: Channel) -> float:
    height, width = lightest.shape
    black = lightest < 50
    rows = (slice(max(2, height // 12)), slice(-max(2, height // 12), None))
    columns = (slice(max(2, width // 12)), slice(-max(2, width // 12), None))
    return sorted(float(black[row, column].mean()) for row in rows for column in columns)[-2]


def _hair(lines: Grey) -> float:
    """Connected lines longer than a sixth of the height, and thin."""
    number, _, stats, _ = cv2.connectedComponentsWithStats((lines > 16).astype(np.uint8), connectivity=8)
    if number < 2:
        return 0.0
    extent = np.hypot(stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT])
    area = stats[1:, cv2.CC_STAT_AREA]
    return float(area[(extent > lines.shape[0] / 6) & (area < 3.5 * extent)].sum() / lines.size)


def _ruler(lines: Grey) -> float:
    """The largest autocorrelation of the lines' darkness along a strip near a border, at lags from 4 pixels to a sixth of it."""
    best = 0.0
    for side in (lines, lines.T):
        depth = max(6, side.shape[0] // 12)
        starts = (*range(0, 3 * depth, depth // 2), *range(side.shape[0] - 4 * depth, side.shape[0] - depth + 1, depth // 2))
        sums = np.concatenate([np.zeros((1, side.shape[1]), np.float32), side.cumsum(axis=0)])
        strips = np.stack(
            [(sums[start + depth] - sums[start]) / depth for start in starts if 0 <= start <= side.shape[0] - depth]
        )
        strips -= cv2.GaussianBlur(strips, (0, 0), sigmaX=6, sigmaY=0.01)
        strips = strips[strips.std(axis=1) >= 1.5]
        length = side.shape[1]
        spectra = np.abs(np.fft.rfft(strips, 2 * length)) ** 2
        correlations = np.fft.irfft(spectra)[:, : length // 6]
        lags = np.arange(length // 6)
        regular = correlations / np.maximum(correlations[:, :1], 1e-9) * length / (length - lags)
        best = max(best, float(regular[:, 4:].max(initial=0.0)))
    return best


def _ink(bluer: Grey, lightest: Channel) -> float:
    seen = _outside(*lightest.shape) & (lightest > 60)
    return float((seen & (bluer > np.median(bluer[seen]) + 45) & (bluer > 10)).mean()) if seen.any() else 0.0


@functools.lru_cache(maxsize=16)
def _outside(height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    outside: NDArray[np.bool_] = np.hypot(x, y) > 0.55
    return outside


def _dark(grey: Grey) -> float:
    return float(1 - np.quantile(grey[::2, ::2], 0.75) / 255)
