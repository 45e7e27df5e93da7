"""What a packing worker does: decode images, append their pixels to the pack's file, answer where they are.

`python -m nevus.data.packer PART SHORT_SIDE` answers each line, a JSON list of paths, with a line, and ends with its input.
"""

import fcntl
import json
import os
import signal
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import cv2

from nevus.data.images import load_image
from nevus.errors import DataError

READY = "ready\n"
# Offset in bytes, height, width, CRC-32; or four zeros and why the image cannot be read.
Entry = tuple[int, int, int, int, str]


def pack_chunk(file: BinaryIO, paths: Sequence[str], short_side: int) -> list[Entry]:
    """Decode, shrink and append images to `file`, which other workers append to as well.

    Raises
    ------
    OSError
        The disk is full, or the file cannot be written.
    """
    read: list[tuple[memoryview | None, int, int, str]] = []
    for path in paths:
        try:
            image = load_image(path, short_side)
            read.append((image.reshape(-1).data, *image.shape[:2], ""))
        except DataError as error:
            read.append((None, 0, 0, str(error)))
    offset = _reserve(file, sum(len(pixels) for pixels, *_ in read if pixels is not None))
    entries = []
    for pixels, height, width, reason in read:
        if pixels is None:
            entries.append((0, 0, 0, 0, reason))
            continue
        written = 0
        while written < len(pixels):
            written += os.pwrite(file.fileno(), pixels[written:], offset + written)
        entries.append((offset, height, width, zlib.crc32(pixels), ""))
        offset += len(pixels)
    return entries


def _reserve(file: BinaryIO, size: int) -> int:
    """Room of `size` bytes at the end of the file, given to one worker at a time; a full disk shows here, before writing."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        offset = file.seek(0, os.SEEK_END)
        if size:
            os.posix_fallocate(file.fileno(), offset, size)
        return offset
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process in order
    cv2.setNumThreads(1)
    part, short_side = Path(sys.argv[1]), int(sys.argv[2])
    with part.open("r+b", buffering=0) as file:
        print(READY, end="", flush=True)
        for line in sys.stdin:
            try:
                answer: object = pack_chunk(file, json.loads(line), short_side)
            except OSError as error:
                answer = {"errno": error.errno, "error": error.strerror}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
