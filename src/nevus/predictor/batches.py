"""How images are put into batches: files are decoded a batch ahead, and a run of the graph holds photos of one shape."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nevus.data.images import Pixels, read_reduced

# Of the photos of one run of the graph, which holds them as float32: a batch of large ones is several runs.
_MAX_PIXELS = 4_000_000


def loaded(
    pool: ThreadPoolExecutor, images: Sequence[Path | str], side: int, batch_size: int
) -> Iterator[tuple[int, list[Pixels]]]:
    """Where each batch begins, and its images; the next one is being decoded while the caller works on this one."""
    waiting = [pool.submit(read_reduced, path, side) for path in images[:batch_size]]
    for start in range(0, len(images), batch_size):
        ahead = [pool.submit(read_reduced, path, side) for path in images[start + batch_size : start + 2 * batch_size]]
        yield start, [future.result() for future in waiting]
        waiting = ahead


def alike(images: Sequence[Pixels]) -> Iterator[list[int]]:
    """The places of images of one shape, for each shape that there is; as many at once as memory is meant to hold.

    >>> import numpy as np
    >>> small, large = np.zeros((4, 4, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> list(alike([small, large, small]))
    [[0, 2], [1]]
    """
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        by_shape.setdefault(image.shape, []).append(place)
    for (height, width, *_), places in by_shape.items():
        num = max(1, _MAX_PIXELS // (height * width))
        for start in range(0, len(places), num):
            yield places[start : start + num]
