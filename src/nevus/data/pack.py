"""A pack holds every image once, decoded and shrunk, as uint8 in one memory-mapped file: training never decodes again.

A pack's name is the hash of its images' paths, sizes and times, its side and the version of this layout, so a pack of other
images is another file. It appears under its name only when whole, and its checksums are compared before it is used.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels, read_image, shrink
from nevus.errors import DataError, listed
from nevus.files import replacing

VERSION = 1
MAGIC = b"nevus-pack\n"
_CHUNK = 64


@dataclass(frozen=True)
class Pack:
    """Decoded images: `image(k)` is the k-th, uint8 (height, width, 3), a view of the file."""

    path: Path
    shapes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, index: int) -> Pixels:
        """The image at `index` as uint8 RGB (height, width, 3), without a copy."""
        height, width = self.shapes[index]
        start = self.offsets[index]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


def cache_folder() -> Path:
    """Where packs are kept: `NEVUS_CACHE`, or nevus in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nevus"
    return Path(os.environ.get("NEVUS_CACHE") or default)


def pack_images(
    paths: Sequence[Path],
    short_side: int,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pack:
    """Open the pack of these images, or make it first.

    Parameters
    ----------
    paths
        The image files, in the order of the pack.
    short_side
        Pixels of the shorter side; smaller images are kept as they are.
    folder
        Where packs are kept; `cache_folder()` by default.
    progress
        Called with (done, all) as images are decoded.

    Raises
    ------
    DataError
        Names every image that cannot be read; no pack is left behind.
    """
    target = (folder or cache_folder()) / f"pack-{_key(paths, short_side)}.bin"
    pack = _open(target, len(paths)) if target.exists() else None
    if pack is None:
        _build(target, paths, short_side, progress)
        pack = _open(target, len(paths))
    if pack is None:
        raise DataError(f"{target}: the pack does not read back as it was written. Check the disk, then run it again.")
    return pack


def _key(paths: Sequence[Path], short_side: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {short_side}\n".encode())
    missing = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            missing.append(f"{path}: no such file")
            continue
        digest.update(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    if missing:
        raise DataError(
            listed(f"{len(missing)} images are missing:", missing, remedy="Restore them or prepare the manifest anew.")
        )
    return digest.hexdigest()[:24]


def _build(target: Path, paths: Sequence[Path], short_side: int, progress: Callable[[int, int], None] | None) -> None:
    problems: list[str] = []

    def decode(path: Path) -> Pixels | None:
        try:
            return shrink(read_image(path), short_side)
        except DataError as error:
            problems.append(str(error))
            return None

    with replacing(target) as beside:
        with beside.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            shapes, checksums = [], []
            for start in range(0, len(paths), _CHUNK):
                for image in pool.map(decode, paths[start : start + _CHUNK]):
                    if image is None:
                        continue
                    content = image.tobytes()
                    file.write(content)
                    shapes.append(image.shape[:2])
                    checksums.append(zlib.crc32(content))
                if progress:
                    progress(min(start + _CHUNK, len(paths)), len(paths))
            _write_index(file, shapes, checksums)
        if problems:
            remedy = "Mend or remove these images and prepare the manifest anew."
            raise DataError(listed(f"{len(problems)} of {len(paths)} images cannot be read:", sorted(problems), remedy=remedy))


def _write_index(file: BinaryIO, shapes: Sequence[tuple[int, ...]], checksums: Sequence[int]) -> None:
    """The index ends the file: JSON, then its length in 8 bytes, then the magic word."""
    index = json.dumps({"version": VERSION, "shapes": shapes, "checksums": checksums}).encode()
    file.write(index + len(index).to_bytes(8, "little") + MAGIC)


def _open(path: Path, num_images: int) -> Pack | None:
    """The pack at `path`, or None where it is cut short, changed or of another layout."""
    tail = 8 + len(MAGIC)
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < tail:
            return None
        file.seek(size - tail)
        length, magic = int.from_bytes(file.read(8), "little"), file.read()
        if magic != MAGIC or length > size - tail:
            return None
        file.seek(size - tail - length)
        try:
            index = json.loads(file.read(length))
        except ValueError:
            return None
    shapes = np.array(index["shapes"], np.int64).reshape(-1, 2)
    ends = np.cumsum(shapes.prod(axis=1) * 3)
    if index["version"] != VERSION or len(shapes) != num_images or (ends[-1] if len(ends) else 0) != size - tail - length:
        return None
    pixels = np.memmap(path, np.uint8, mode="r") if size else np.zeros(0, np.uint8)
    pack = Pack(path, shapes, np.concatenate([[0], ends[:-1]]).astype(np.int64), pixels)
    whole = all(zlib.crc32(pack.image(k).data) == checksum for k, checksum in enumerate(index["checksums"]))
    return pack if whole else None
