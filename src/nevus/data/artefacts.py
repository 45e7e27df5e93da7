"""Hair, ruler, ink, bubbles, vignette, colour cast, blur, noise, exposure, JPEG, low resolution and rotation of an image.

The only place that draws them: for phantoms, for augmentation and for robustness. Each function takes an image uint8
(height, width, 3), a generator and a severity from 0 (nothing) to 5, and returns a new image of the same shape.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels

Artefact = Callable[[Pixels, np.random.Generator, float], Pixels]
# Coordinates are drawn in sixteenths of a pixel, so that thin hairs are smooth.
_SHIFT = 4


def hair(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Curved dark hairs, some light, six a degree of severity at most."""
    height, width = image.shape[:2]
    drawn = image.copy()
    for _ in range(rng.integers(1, 3 + int(4 * severity)) if severity else 0):
        start = rng.uniform(-0.1, 1.1, 2) * (width, height)
        angle, bend, length = rng.uniform(0, 2 * np.pi), rng.normal(0, 1.0), rng.uniform(0.4, 1.2) * width
        steps = np.linspace(0, 1, 24)
        directions = angle + bend * steps
        line = start + np.stack([np.cos(directions), np.sin(directions)], 1).cumsum(axis=0) * length / len(steps)
        shade = rng.uniform(15, 70) if rng.random() < 0.85 else rng.uniform(170, 220)
        colour = np.clip(shade * np.array([1.1, 0.95, 0.85]), 0, 255)
        thickness = max(1, round(width / 220 * rng.uniform(0.7, 2.0)))
        overlay = cv2.polylines(drawn.copy(), [_fixed(line)], False, colour.tolist(), thickness, cv2.LINE_AA, _SHIFT)
        drawn = cv2.addWeighted(overlay, 0.8, drawn, 0.2, 0).astype(np.uint8, copy=False)
    return drawn


def ruler(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """The scale of a dermoscope along one border: a tick a millimetre, longer each fifth."""
    if not severity:
        return image.copy()
    height, width = image.shape[:2]
    drawn, gap = image.copy(), width / rng.uniform(14, 24)
    along = rng.random() < 0.5
    edge = rng.uniform(0.02, 0.1) if rng.random() < 0.5 else rng.uniform(0.9, 0.98)
    for number in range(int((width if along else height) / gap) + 1):
        length = (0.06 if number % 5 == 0 else 0.03) * height
        position, side = number * gap, edge * (height if along else width)
        inward = side + (length if edge < 0.5 else -length)
        ends = [(position, side), (position, inward)] if along else [(side, position), (inward, position)]
        thickness = max(1, round(width / 300))
        cv2.polylines(drawn, [_fixed(np.array(ends))], False, (30, 30, 35), thickness, cv2.LINE_AA, _SHIFT)
    return _mixed(image, drawn, min(1.0, 0.4 + 0.15 * severity))


def ink(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """A surgeon's marker, blue or violet, beside the middle."""
    height, width = image.shape[:2]
    drawn = image.astype(np.float32)
    for _ in range(int(np.ceil(severity / 2))):
        angle = rng.uniform(0, 2 * np.pi)
        centre = np.array([width, height]) * (0.5 + 0.45 * np.array([np.cos(angle), np.sin(angle)]))
        points = centre + rng.normal(0, 0.04 * width, (6, 2)).cumsum(axis=0)
        colour = np.array([70 + 40 * rng.random(), 60, 140 + 40 * rng.random()])
        stroke = np.zeros((height, width), np.float32)
        cv2.polylines(stroke, [_fixed(points)], False, 1.0, max(2, width // 30), cv2.LINE_8, _SHIFT)
        # Ink runs a little at its edge, and the skin shows through it.
        cover = 0.6 * cv2.GaussianBlur(stroke, (0, 0), width / 200)[:, :, None]
        drawn += cover * (colour - drawn)
    return _clipped(drawn)


def bubbles(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Air in the gel: bright rings with a darker inside."""
    height, width = image.shape[:2]
    drawn = image.astype(np.float32)
    for _ in range(rng.integers(0, 1 + int(4 * severity)) if severity else 0):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), width * rng.uniform(0.008, 0.035)
        distance = np.hypot(*np.meshgrid(np.arange(width) - x, np.arange(height) - y)) / radius
        ring = np.exp(-(((distance - 1) / 0.25) ** 2)) * 60 - (distance < 0.8) * 12
        drawn += ring[:, :, None].astype(np.float32)
    return _clipped(drawn)


def vignette(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """The dark round border of a dermoscope's field; at 4 and beyond the corners are black."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height) * height / width)
    distance = np.hypot(x - rng.normal(0, 0.04), y - rng.normal(0, 0.04)) / np.hypot(1, height / width)
    shade = 1 - 0.12 * severity * np.clip(distance, 0, 1) ** 3
    if severity >= 4:
        shade *= 1 / (1 + np.exp((distance - rng.uniform(0.82, 0.9)) * 60))
    return _clipped(image * shade[:, :, None].astype(np.float32))


def colour_cast(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Another camera's white balance."""
    return _clipped(image * (1 + rng.normal(0, 0.025 * severity, 3)).astype(np.float32))


def blur(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Out of focus, by up to a hundredth of the width."""
    radius = severity * image.shape[1] / 600
    return image.copy() if radius < 0.1 else cv2.GaussianBlur(image, (0, 0), radius).astype(np.uint8, copy=False)


def noise(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """A sensor's noise, the same in all channels and some of each."""
    grain = rng.normal(0, 1.6 * severity, (*image.shape[:2], 1)) + rng.normal(0, 0.8 * severity, image.shape)
    return _clipped(image + grain.astype(np.float32))


def exposure(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Too dark or too light."""
    return _clipped(image * np.float32(1 + rng.choice([-1, 1]) * rng.uniform(0.5, 1) * 0.08 * severity))


def jpeg(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Saved once more as JPEG, of quality 61 at severity 1 and 10 at 5."""
    if not severity:
        return image.copy()
    quality = round(95 * np.exp(-0.45 * severity))
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: Any = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def resolution(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Taken with fewer pixels and enlarged again, up to four times fewer a side."""
    height, width = image.shape[:2]
    factor = 1 + 0.6 * severity
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    if small == (width, height):
        return image.copy()
    fewer = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(fewer, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def rotation(image: Pixels, rng: np.random.Generator, severity: float) -> Pixels:
    """Held at another angle, up to a quarter turn to either side; beyond its border the image is mirrored."""
    if not severity:
        return image.copy()
    height, width = image.shape[:2]
    angle = rng.choice([-1, 1]) * rng.uniform(0.8, 1) * 18 * severity
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    turned = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return turned.astype(np.uint8, copy=False)


ARTEFACTS: dict[str, Artefact] = {
    "hair": hair,
    "ruler": ruler,
    "ink": ink,
    "bubbles": bubbles,
    "vignette": vignette,
    "colour_cast": colour_cast,
    "blur": blur,
    "noise": noise,
    "exposure": exposure,
    "jpeg": jpeg,
    "resolution": resolution,
    "rotation": rotation,
}


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(points * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def _mixed(image: Pixels, drawn: Pixels, share: float) -> Pixels:
    return cv2.addWeighted(drawn, share, image, 1 - share, 0).astype(np.uint8, copy=False)


def _clipped(values: NDArray[Any]) -> Pixels:
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels
