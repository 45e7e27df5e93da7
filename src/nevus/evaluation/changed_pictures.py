"""What the changes look like: a strip a kind for the report, of one photo."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from nevus.data.images import read_image
from nevus.evaluation.changed_images import CLEAN, Condition, changed
from nevus.files import write

_SIDE = 110


def write_strips(folder: Path, paths: dict[str, Path], kinds: Sequence[str], severities: Sequence[int], seed: int) -> None:
    """KIND.jpg for each kind: one photo of `paths` (image id to file) unchanged and at each severity, side by side."""
    name = sorted(paths)[zlib.crc32(str(seed).encode()) % len(paths)]
    image = read_image(paths[name])
    size = (round(image.shape[1] * _SIDE / image.shape[0]), _SIDE)
    for kind in kinds:
        levels = [Condition(CLEAN, ""), *(Condition(kind, str(severity)) for severity in severities)]
        tiles = [cv2.resize(changed(image, name, level, seed), size, interpolation=cv2.INTER_AREA) for level in levels]
        _, content = cv2.imencode(".jpg", cv2.cvtColor(np.hstack(tiles), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
        write(folder / f"{kind}.jpg", content.tobytes())
