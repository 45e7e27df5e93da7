"""Reading single images out of a pack's file."""

import os
import sys
import weakref
from pathlib import Path

import numpy as np

from nevus.data.images import Pixels
from nevus.errors import DataError


class PackFile:
    """A pack's file, open for reads at random places, by many threads at once.

    Read, not mapped: a page fault in a map reads as much as the disk's read-ahead, megabytes for an image of 260 kB, which pushes
    out of a small memory what other steps need; and a map of a file that was cut short or cannot be read kills the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        if sys.platform == "linux":
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def read(self, start: int, height: int, width: int) -> Pixels:
        """The uint8 (height, width, 3) at byte `start`."""
        pixels = np.empty((height, width, 3), np.uint8)
        unread = pixels.reshape(-1).data
        try:
            while unread and (count := os.preadv(self._descriptor, [unread], start)):
                unread, start = unread[count:], start + count
        except OSError as error:
            raise DataError(f"{self._path}: {error.strerror}. Remove the pack and run it again: it is made anew.") from error
        if unread:
            raise DataError(f"{self._path}: the pack was cut short while it was in use. Run it again: it is made anew.")
        return pixels
