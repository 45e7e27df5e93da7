"""Building a pack so that nothing done is done twice.

Beside the pack lie `.part`, the pixels, and `.journal`, a line for each chunk of images that is done: where their pixels are,
their checksums, and what could not be read. After a kill, Ctrl-C or a full disk the next run compares the checksums and goes on.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nevus.data.crew import Chunk, work
from nevus.data.packer import Entry
from nevus.errors import NevusError
from nevus.files import writing

# Images a chunk: few enough to lose little and to spread over the workers, enough that messages cost nothing.
_CHUNK = 32
# About what the journal says of one image, bytes.
_NOTE_BYTES = 64
# A row an image: where its pixels are in the file, and their CRC-32.
ROW = np.dtype([("offset", "<u8"), ("height", "<u4"), ("width", "<u4"), ("checksum", "<u4")])

Rows = NDArray[np.void]
Problems = dict[int, str]


@dataclass
class _Build:
    """What is done so far: `rows` (N,) of `ROW`, zeros where not; unreadable images by place."""

    rows: Rows
    done: NDArray[np.bool_]
    problems: Problems

    def add(self, chunk: Chunk, entries: Sequence[Entry]) -> None:
        for row, (*place, reason) in zip(chunk, entries, strict=True):
            self.rows[row] = tuple(place)
            self.done[row] = True
            if reason:
                self.problems[row] = reason


def build(
    target: Path,
    paths: Sequence[Path],
    short_side: int,
    lock: int,
    write_index: Callable[[BinaryIO, Rows, Problems], None],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Pack `paths` into `target`, going on from what an interrupted build left. The caller holds the lock.

    Raises
    ------
    NevusError
        The disk is full or may not be written to; what is done is kept.
    """
    num_images = len(paths)
    part, journal = target.with_suffix(".part"), target.with_suffix(".journal")
    state = _Build(np.zeros(num_images, ROW), np.zeros(num_images, np.bool_), {})
    try:
        with writing(target):
            _resume(state, part, journal)
            left = np.flatnonzero(~state.done)
            chunks = [left[start : start + _CHUNK].tolist() for start in range(0, len(left), _CHUNK)]
            with journal.open("r+b") as log:
                # Its room is taken before the pixels can take it: on a disk that has just filled up, what is done is still noted.
                os.posix_fallocate(log.fileno(), log.seek(0, os.SEEK_END), _NOTE_BYTES * (1 + len(left)))
                for chunk, entries in work(chunks, paths, short_side, part, lock):
                    log.write(json.dumps([chunk, entries]).encode() + b"\n")
                    log.flush()
                    state.add(chunk, entries)
                    if progress:
                        progress(int(state.done.sum()), num_images)
            with part.open("ab") as file:
                write_index(file, state.rows, state.problems)
            # Not flushed to the disk first, as other files are: gigabytes would be waited for, and whoever opens the pack
            # compares its checksums, so that what a power cut took away is seen and made again.
            part.replace(target)
            journal.unlink()
    except NevusError as error:
        kept = f"{int(state.done.sum())} of {num_images} images are packed and kept beside it; the next run goes on from there."
        raise NevusError(f"{error} {kept}") from error


def _resume(state: _Build, part: Path, journal: Path) -> None:
    """Enter the chunks of an interrupted build whose pixels are on the disk as they were written, and forget the rest."""
    part.touch()
    end = 0
    kept = []
    with part.open("r+b", buffering=0) as file:
        for line, chunk, entries in _records(journal):
            if all(_reads_back(file, entry) for entry in entries):
                kept.append(line + "\n")
                state.add(chunk, entries)
                end = max(end, *(offset + 3 * height * width for offset, height, width, _, _ in entries))
        file.truncate(end)
    journal.write_text("".join(kept), encoding="utf-8")


def _records(journal: Path) -> Iterator[tuple[str, Chunk, list[Entry]]]:
    if not journal.exists():
        return
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            record: Any = json.loads(line)
        except ValueError:
            return  # the kill cut this line, or the rest is room that was taken and not used
        yield line, record[0], [tuple(entry) for entry in record[1]]


def _reads_back(file: BinaryIO, entry: Entry) -> bool:
    offset, height, width, checksum, _ = entry
    file.seek(offset)
    return zlib.crc32(file.read(3 * height * width)) == checksum
