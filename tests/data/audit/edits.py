"""Edits that a copy of a photograph may have been through."""

from collections.abc import Callable

import cv2
import numpy as np

from nevus.data.images import Pixels

Edit = Callable[[Pixels, np.random.Generator], Pixels]


def jpeg(image: Pixels, quality: int) -> Pixels:
    encoded = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[:, :, ::-1])


def turned(image: Pixels, number: int) -> Pixels:
    quarter = np.rot90(image, number % 4)
    return np.ascontiguousarray(quarter[:, ::-1] if number >= 4 else quarter)


def cropped(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    tall, wide = round(height * share), round(width * share)
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    return np.ascontiguousarray(image[top : top + tall, left : left + wide])


def scaled(image: Pixels, factor: float) -> Pixels:
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=interpolation).astype(np.uint8, copy=False)


def exposed(image: Pixels, gain: float) -> Pixels:
    return np.clip(image * np.float32(gain), 0, 255).astype(np.uint8)


EDITS: dict[str, Edit] = {
    "JPEG 40": lambda image, rng: jpeg(image, 40),
    "three times as large": lambda image, rng: jpeg(scaled(image, 3), 85),
    "two thirds": lambda image, rng: jpeg(scaled(image, 2 / 3), 85),
    "flipped or turned": lambda image, rng: jpeg(turned(image, int(rng.integers(1, 8))), 85),
    "exposure": lambda image, rng: jpeg(exposed(image, float(rng.choice([0.85, 1.05]))), 85),
    "crop": lambda image, rng: jpeg(cropped(image, 0.95, rng), 85),
}
