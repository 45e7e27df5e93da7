"""A pack holds every image once, decoded and shrunk, as uint8 in one file: training never decodes again.

A pack's name is the hash of its images' paths, sizes and times, its side and the version of this layout, so a pack of other
images is another file, and every recipe, fold and process that asks for the same images gets the same one. It takes its name
only when whole, and its checksums are compared before it is used.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nevus.data.containers import container_of
from nevus.data.crew import CRASHED
from nevus.data.crops import split_crop
from nevus.data.images import Pixels, load_image
from nevus.data.pack_file import PackFile
from nevus.data.packing import ROW, Problems, Rows, build
from nevus.errors import DataError, listed
from nevus.files import writing
from nevus.processors import num_processors

VERSION = 2
MAGIC = b"nevus-pack\n"
_TAIL = 8 + len(MAGIC)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pack:
    """Decoded images: `image(k)` is the k-th, uint8 (height, width, 3), read from the file.

    `problems` says, by place, which images could not be read and why; they have no pixels here.
    """

    path: Path
    shapes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    checksums: NDArray[np.uint32]
    file: PackFile
    problems: Problems = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, index: int) -> Pixels:
        """The image at `index` as uint8 RGB (height, width, 3)."""
        height, width = self.shapes[index]
        return self.file.read(int(self.offsets[index]), int(height), int(width))

    def rows(self, indices: NDArray[np.int64]) -> "Pack":
        """The images at `indices` as a pack of their own, in that order, on the same file."""
        places = {int(row): place for place, row in enumerate(indices)}
        problems = {places[row]: reason for row, reason in self.problems.items() if row in places}
        return Pack(self.path, self.shapes[indices], self.offsets[indices], self.checksums[indices], self.file, problems)

    def twins(self) -> list[tuple[int, int]]:
        """Pairs of images that are the same pixel for pixel, each with the first of its kind."""
        first: dict[tuple[int, int, int], int] = {}
        pairs = []
        for index, key in enumerate(zip(*self.shapes.T.tolist(), self.checksums.tolist(), strict=True)):
            twin = first.setdefault(key, index)
            if twin != index and index not in self.problems and np.array_equal(self.image(twin), self.image(index)):
                pairs.append((twin, index))
        return pairs


def cache_folder() -> Path:
    """Where packs are kept: `NEVUS_CACHE`, or nevus in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nevus"
    return Path(os.environ.get("NEVUS_CACHE") or default)


def pack_images(
    paths: Sequence[Path],
    short_side: int,
    folder: Path | None = None,
    progress: Progress | None = None,
    *,
    unreadable: str = "refuse",
    say: Callable[[str], None] = lambda text: None,
) -> Pack:
    """Open the pack of these images, or make it first; begun and interrupted, it is gone on with.

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
    unreadable
        "refuse": images that cannot be read are an error. "skip": they are in `Pack.problems`. The pack is the same in both.
    say
        Called with a sentence where another process is packing the same images, or a damaged pack is made anew.

    Raises
    ------
    DataError
        Names every image that is missing, or that cannot be read where that is refused.
    NevusError
        The disk is full; what was packed is kept and gone on with.
    """
    if not paths:
        raise DataError("there is no image to pack.")
    folder = folder or cache_folder()
    target = folder / f"pack-{_key(paths, short_side)}.bin"
    pack = _open(target, len(paths), say)
    if pack is not None and (mended := _mended(pack, paths, short_side)):
        say(f"{mended}: can be read now; packing anew")
        pack = None
        target.unlink(missing_ok=True)
    if pack is None:
        with _alone(target, say) as lock:
            # Another process may have made it while this one waited.
            pack = _open(target, len(paths), say)
            if pack is None:
                build(target, paths, short_side, lock, _write_index, progress)
                # The checksums are of the pixels in memory a moment ago; whoever opens the pack next compares them.
                pack = _open(target, len(paths), say, compare=False)
    if pack is None:
        raise DataError(f"{target}: the pack does not read back as it was written. Check the disk, then run it again.")
    if unreadable == "refuse":
        refuse_unreadable(pack)
    return pack


def _mended(pack: Pack, paths: Sequence[Path], short_side: int) -> Path | None:
    """An image that could not be read when it was packed and now can: its permissions changed, say, and nothing in the key did.

    One that crashed its decoder is not tried here, in the caller's own process.
    """
    for row, reason in pack.problems.items():
        if CRASHED not in reason:
            with contextlib.suppress(DataError):
                load_image(paths[row], short_side)
                return paths[row]
    return None


def refuse_unreadable(pack: Pack) -> None:
    """Raise where images could not be read, and name them all."""
    if pack.problems:
        remedy = "Mend or remove them and prepare the manifest anew, or leave them out with --set data.unreadable=skip."
        problems = sorted(pack.problems.values())
        raise DataError(listed(f"{len(problems)} of {len(pack)} images cannot be read:", problems, remedy=remedy))


def _key(paths: Sequence[Path], short_side: int) -> str:
    digest = hashlib.sha256(f"{VERSION} {short_side}\n".encode())
    missing = []
    stats: dict[str, os.stat_result] = {}
    for path in paths:
        plain = split_crop(path)[0]
        inside = container_of(plain)
        file = str(inside[0] if inside else plain)
        try:
            stat = stats.get(file) or os.stat(file)  # noqa: PTH116  a million paths: pathlib would take most of the time
        except OSError:
            missing.append(f"{path}: no such file")
            continue
        if inside:
            stats[file] = stat  # one question a container, not one an image in it
        digest.update(f"{os.path.abspath(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())  # noqa: PTH100
    if missing:
        raise DataError(
            listed(f"{len(missing)} images are missing:", missing, remedy="Restore them or prepare the manifest anew.")
        )
    return digest.hexdigest()[:24]


@contextmanager
def _alone(target: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the pack's lock: of several processes one packs and the others wait. A killed process lets go of it by itself."""
    path = target.with_suffix(".lock")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{target}: another process is packing these images; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _write_index(file: BinaryIO, rows: Rows, problems: Problems) -> None:
    """The index ends the file: a row an image, JSON, the JSON's length in 8 bytes, the magic word."""
    table = rows.tobytes()
    document = {
        "version": VERSION,
        "num_images": len(rows),
        "index_checksum": zlib.crc32(table),
        "problems": {str(row): reason for row, reason in problems.items()},
    }
    text = json.dumps(document).encode()
    file.write(table + text + len(text).to_bytes(8, "little") + MAGIC)


def _open(path: Path, num_images: int, say: Callable[[str], None], *, compare: bool = True) -> Pack | None:
    """The pack at `path`, or None where it is not there, cut short, changed or of another layout."""
    if not path.exists():
        return None
    read = _read_index(path, num_images)
    if read is not None and (not compare or _whole(path, read[0])):
        rows, problems = read
        shapes = np.stack([rows["height"], rows["width"]], axis=1).astype(np.int64)
        return Pack(path, shapes, rows["offset"].astype(np.int64), rows["checksum"].copy(), PackFile(path), problems)
    say(f"{path}: the pack is damaged and is made anew")
    return None


def _read_index(path: Path, num_images: int) -> tuple[Rows, Problems] | None:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        length, magic = int.from_bytes(file.read(8), "little"), file.read()
        start = size - _TAIL - length
        if magic != MAGIC or start < num_images * ROW.itemsize:
            return None
        file.seek(start)
        try:
            document = json.loads(file.read(length))
        except ValueError:
            return None
        if document.get("version") != VERSION or document.get("num_images") != num_images:
            return None
        end = start - num_images * ROW.itemsize
        file.seek(end)
        table = file.read(num_images * ROW.itemsize)
    if zlib.crc32(table) != document["index_checksum"]:
        return None
    rows = np.frombuffer(table, ROW)
    if num_images and int((rows["offset"] + _sizes(rows)).max()) > end:
        return None
    return rows, {int(row): reason for row, reason in document["problems"].items()}


def _whole(path: Path, rows: Rows) -> bool:
    """Whether every image has its checksum."""
    order = np.argsort(rows["offset"], kind="stable")
    sizes = _sizes(rows)

    def matches(part: NDArray[np.int64]) -> bool:
        with path.open("rb", buffering=0) as file:
            for row in part:
                file.seek(int(rows["offset"][row]))
                if zlib.crc32(file.read(int(sizes[row]))) != rows["checksum"][row]:
                    return False
        return True

    num_threads = num_processors()
    with ThreadPoolExecutor(num_threads) as pool:
        return all(pool.map(matches, np.array_split(order, min(len(order), 8 * num_threads))))


def _sizes(rows: Rows) -> NDArray[np.uint64]:
    return np.asarray(rows["height"].astype(np.uint64) * rows["width"] * np.uint64(3))
