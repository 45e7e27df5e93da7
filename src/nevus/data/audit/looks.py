"""One pass over the image files: what an audit keeps of each, about half a kilobyte."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nevus.data.audit.fingerprint import Fingerprints, fingerprints, joined, thumbnail
from nevus.data.audit.signs import NUM_SIGNS, measure
from nevus.data.images import Pixels, load_bytes, read_bytes
from nevus.errors import DataError
from nevus.processors import num_processors

# Hairs are still a pixel wide here, and HAM10000's small copies are not enlarged.
SHORT_SIDE = 150
_CHUNK = 512

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Looks:
    """What was seen of N files; rows of unreadable ones hold zeros and "".

    `digests` SHA-256 of the bytes; `sizes` (N, 2) width and height as stored, pixels; `num_bytes` (N,); `signs` float32 (N, S),
    see `signs.measure`; `problems` the reason by row for what could not be read.
    """

    digests: list[str]
    sizes: NDArray[np.int64]
    num_bytes: NDArray[np.int64]
    fingerprints: Fingerprints
    signs: NDArray[np.float32]
    problems: dict[int, str]

    @property
    def readable(self) -> NDArray[np.int64]:
        """The rows that could be read."""
        return np.array([row for row in range(len(self.digests)) if row not in self.problems], np.int64)


@dataclass(frozen=True)
class _Look:
    digest: str
    size: tuple[int, int]
    num_bytes: int
    thumbnail: Pixels
    signs: NDArray[np.float32]
    problem: str = ""


_NOTHING = np.zeros((32, 32, 3), np.uint8)


def look(
    paths: Sequence[Path], *, with_signs: bool = True, progress: Progress | None = None, workers: int | None = None
) -> Looks:
    """Read every image once, on all processors (threads: the decoders let others run); a bad one is noted, not raised.

    Without signs it takes half the time; they are zeros then.
    """
    seen: list[_Look] = []
    prints: list[Fingerprints] = [fingerprints(np.zeros((0, 32, 32, 3), np.uint8))]
    for chunk in _chunks(paths, with_signs, workers):
        prints.append(fingerprints(np.stack([one.thumbnail for one in chunk])))
        # The thumbnail goes as soon as it has a fingerprint: three kilobytes an image would be a gigabyte for ISIC-2024.
        seen += [_Look(one.digest, one.size, one.num_bytes, _NOTHING, one.signs, one.problem) for one in chunk]
        if progress:
            progress(len(seen), len(paths))
    return Looks(
        digests=[one.digest for one in seen],
        sizes=np.array([one.size for one in seen], np.int64).reshape(-1, 2),
        num_bytes=np.array([one.num_bytes for one in seen], np.int64),
        fingerprints=joined(prints),
        signs=np.array([one.signs for one in seen], np.float32).reshape(-1, NUM_SIGNS),
        problems={row: one.problem for row, one in enumerate(seen) if one.problem},
    )


def _chunks(paths: Sequence[Path], with_signs: bool, workers: int | None) -> Iterator[list[_Look]]:
    # OpenCV's own threads and ours would fight for the same processors.
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(workers or num_processors()) as pool:
            for start in range(0, len(paths), _CHUNK):
                yield list(pool.map(partial(_look, with_signs=with_signs), paths[start : start + _CHUNK]))
    finally:
        cv2.setNumThreads(before)


def _look(path: Path, with_signs: bool) -> _Look:
    try:
        content = read_bytes(path)
        image = load_bytes(content, str(path), SHORT_SIDE)
    except DataError as error:
        return _Look("", (0, 0), 0, _NOTHING, np.zeros(NUM_SIGNS, np.float32), str(error))
    digest = hashlib.sha256(content).hexdigest()
    signs = measure(image) if with_signs else np.zeros(NUM_SIGNS, np.float32)
    return _Look(digest, _size(content, image), len(content), thumbnail(image), signs)


def _size(content: bytes, image: Pixels) -> tuple[int, int]:
    """Width and height as stored; those of the pixels where Pillow cannot tell (DICOM)."""
    try:
        with Image.open(io.BytesIO(content)) as header:
            return header.size
    except (UnidentifiedImageError, OSError):
        return image.shape[1], image.shape[0]
