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
from nevus.errors import DataError, NevusError

READY = "ready\n"
# Offset in bytes, height, width, CRC-32; or four zeros and why the image cannot be read.
Entry = tuple[int, int, int, int, str]


class Packer:
    """Decodes, shrinks and appends images to a file, which other packers append to as well."""

    def __init__(self, part: Path, short_side: int) -> None:
        self._file: BinaryIO = part.open("r+b", buffering=0)
        self._short_side = short_side

    def __call__(self, paths: Sequence[str]) -> list[Entry]:
        """Pack some images.

        Raises
        ------
        OSError
            The disk is full, or the file cannot be written.
        """
        entries: list[Entry] = []
        for path in paths:
            try:
                image = load_image(path, self._short_side)
            except DataError as error:
                entries.append((0, 0, 0, 0, str(error)))
                continue
            content = image.reshape(-1).data
            checksum = zlib.crc32(content)
            # At once, while the pixels are in the processor's cache.
            entries.append((self._append(content), *image.shape[:2], checksum, ""))
        return entries

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, content: memoryview) -> int:
        """Write at the end of the file, one packer at a time; the place it was written to."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            offset = self._file.seek(0, os.SEEK_END)
            written = 0
            while written < len(content):
                written += self._file.write(content[written:])
            return offset
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process in order
    cv2.setNumThreads(1)
    packer = Packer(Path(sys.argv[1]), int(sys.argv[2]))
    print(READY, end="", flush=True)
    for line in sys.stdin:
        try:
            answer: object = packer(json.loads(line))
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror}
        except NevusError as error:  # a package that is not installed: no fault of the image
            answer = {"errno": 0, "error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
