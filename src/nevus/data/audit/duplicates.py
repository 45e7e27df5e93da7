"""Exact duplicates by their bytes, near ones by fingerprint, spectrum and alignment, each stage looking at what the last left."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nevus.data.audit.alignment import SIDE, Alignment, align, square
from nevus.data.audit.fingerprint import Fingerprints, spectral_distances
from nevus.data.audit.looks import Looks, Progress, look
from nevus.data.audit.neighbours import pairs_within
from nevus.data.images import load_image, read_image
from nevus.data.manifest import Manifest
from nevus.processors import num_processors

# Within these lie 97.7% of the hardest edits tried (crop, resize, turn, exposure and JPEG together), over 99% of the others.
FINGERPRINT_RADIUS = 12.0
SPECTRAL_RADIUS = 0.42
_CHUNK = 10_000
_MAX_CLIQUE = 20


@dataclass(frozen=True)
class Pair:
    """Two rows, the lower first, and what the closer check found; `same_pixels` where the decoded images are equal."""

    first: int
    second: int
    alignment: Alignment
    same_pixels: bool = False


@dataclass(frozen=True)
class Duplicates:
    """`exact` pairs of rows with equal bytes; `near` pairs of other copies; how many pairs each stage of the search left."""

    exact: list[tuple[int, int]]
    near: list[Pair]
    num_candidates: dict[str, int]

    @property
    def links(self) -> list[tuple[int, int]]:
        """All pairs of rows that are copies of one photograph."""
        return self.exact + [(pair.first, pair.second) for pair in self.near]


def near_duplicate_links(
    manifest: Manifest, *, progress: Progress | None = None, workers: int | None = None
) -> list[tuple[str, str]]:
    """Pairs of image ids of one manifest that are copies of one photograph, for `Manifest.build(links=...)`.

    Images that cannot be read have no link.

    Examples
    --------
    >>> links = near_duplicate_links(Manifest.read("manifest.csv"))  # doctest: +SKIP
    """
    paths, ids = manifest.paths(), manifest.frame["image_id"].tolist()
    looks = look(paths, with_signs=False, progress=progress, workers=workers)
    found = find_duplicates(paths, looks, workers=workers)
    return [(ids[first], ids[second]) for first, second in found.links]


def find_duplicates(paths: Sequence[Path], looks: Looks, *, workers: int | None = None) -> Duplicates:
    """Copies among files that `look` has seen; both lists are sorted by rows."""
    exact, representatives = _exact(looks)
    prints = Fingerprints(looks.fingerprints.invariants[representatives], looks.fingerprints.spectra[representatives])
    near: list[Pair] = []
    counts = {"fingerprint": 0, "spectrum": 0}
    for pairs in _batched(candidates(prints, counts, workers=workers)):
        rows = np.stack([representatives[pairs[:, 0]], representatives[pairs[:, 1]], pairs[:, 2]], axis=1)
        near += _checked(paths, looks, rows, workers)
    counts["alignment"] = len(near)
    return Duplicates(exact, sorted(near, key=lambda pair: (pair.first, pair.second)), counts)


def candidates(
    prints: Fingerprints, counts: dict[str, int] | None = None, *, workers: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Pairs that a fingerprint cannot tell apart: arrays (P, 3) of both rows and the orientation of the second.

    No pair of fingerprints within `FINGERPRINT_RADIUS` and spectra within `SPECTRAL_RADIUS` is missed. `counts` adds up the pairs
    that the two stages leave.
    """
    counts = counts if counts is not None else {}
    for first, second in pairs_within(prints.invariants, FINGERPRINT_RADIUS, workers=workers or num_processors()):
        distances, orientations = spectral_distances(prints.spectra[first], prints.spectra[second])
        close = distances <= SPECTRAL_RADIUS
        counts["fingerprint"] = counts.get("fingerprint", 0) + len(first)
        counts["spectrum"] = counts.get("spectrum", 0) + int(close.sum())
        yield np.stack([first[close], second[close], orientations[close].astype(np.int64)], axis=1)


def _exact(looks: Looks) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Pairs of equal bytes, and one row of each set of equals."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row in looks.readable:
        rows_of[looks.digests[row]].append(int(row))
    pairs = []
    for rows in rows_of.values():
        # A thousand copies of one file are said by a thousand pairs, not by half a million.
        several = len(rows) if len(rows) <= _MAX_CLIQUE else 1
        pairs += [(first, second) for place, first in enumerate(rows[:several]) for second in rows[place + 1 :]]
    return sorted(pairs), np.array(sorted(rows[0] for rows in rows_of.values()), np.int64)


def _batched(chunks: Iterator[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
    """The same rows, about ten thousand at a time: images that several pairs need are read once."""
    waiting: list[NDArray[np.int64]] = []
    for chunk in chunks:
        waiting.append(chunk)
        if sum(map(len, waiting)) >= _CHUNK:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _checked(paths: Sequence[Path], looks: Looks, pairs: NDArray[np.int64], workers: int | None) -> list[Pair]:
    needed = np.unique(pairs[:, :2])
    aspects = looks.sizes[:, 0] / np.maximum(looks.sizes[:, 1], 1)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(workers or num_processors()) as pool:
            squares = dict(zip(needed.tolist(), pool.map(lambda row: square(load_image(paths[row], SIDE)), needed), strict=True))

            def check(pair: NDArray[np.int64]) -> Pair:
                first, second, orientation = map(int, pair)
                turned = 1 / aspects[second] if orientation & 4 else aspects[second]
                found = align(squares[first], squares[second], orientation, float(aspects[first] / turned))
                same = found.same_photograph and orientation == 0 and _same_pixels(paths, looks, first, second)
                return Pair(min(first, second), max(first, second), found, same)

            checked = list(pool.map(check, pairs))
    finally:
        cv2.setNumThreads(before)
    return [pair for pair in checked if pair.alignment.same_photograph]


def _same_pixels(paths: Sequence[Path], looks: Looks, first: int, second: int) -> bool:
    if (looks.sizes[first] != looks.sizes[second]).any():
        return False
    return bool(np.array_equal(read_image(paths[first]), read_image(paths[second])))
