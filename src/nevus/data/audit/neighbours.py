"""All pairs of points within a radius, without comparing all pairs.

A k-d tree whose leaves hold hundreds of points: a leaf is compared, by one matrix product, only with the points that lie
within the radius of its bounding box. What is skipped is farther away for certain, so no pair within the radius is missed.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
Indices = NDArray[np.int64]
Box = tuple[Points, Points]

_LEAF = 512
# The boxes are compared along the directions in which the points are spread most: the others exclude little.
_BOX_DIMENSIONS = 8


def pairs_within(points: Points, radius: float, *, workers: int = 2) -> Iterator[tuple[Indices, Indices]]:
    """Yield all pairs i < j with Euclidean distance at most `radius`, each once, in chunks of index arrays.

    Parameters
    ----------
    points
        (N, D). Memory is a few times that of the points, plus what the pairs of one leaf take.

    Examples
    --------
    >>> points = np.array([[0, 0], [3, 4], [100, 0]], np.float32)
    >>> [(i.tolist(), j.tolist()) for i, j in pairs_within(points, 5.0)]
    [([0], [1])]
    """
    if len(points) < 2:
        return
    rotated = _principal(points)
    leaves = _leaves(rotated)
    order = np.concatenate(leaves)
    rotated = np.ascontiguousarray(rotated[order])
    bounds = np.cumsum([0, *map(len, leaves)])
    boxes = [_box(rotated[low:high]) for low, high in itertools.pairwise(bounds)]
    lows, highs = np.stack([low for low, _ in boxes]), np.stack([high for _, high in boxes])

    def compare(leaf: int) -> tuple[Indices, Indices]:
        low, high = lows[leaf], highs[leaf]
        gaps = np.maximum(0, np.maximum(lows[leaf:] - high, low - highs[leaf:]))
        near = leaf + np.flatnonzero((gaps**2).sum(axis=1) <= _slack(radius))
        others = np.concatenate([np.arange(bounds[other], bounds[other + 1]) for other in near])
        outside = rotated[others, : lows.shape[1]]
        gap = np.maximum(0, np.maximum(outside - high, low - outside))
        others = others[(gap**2).sum(axis=1) <= _slack(radius)]
        own = np.arange(bounds[leaf], bounds[leaf + 1])
        first, second = _close(rotated, own, others, radius)
        return order[first], order[second]

    with ThreadPoolExecutor(workers) as pool:
        # A window of leaves at a time: what is found does not pile up before it is taken.
        for start in range(0, len(leaves), 4 * workers):
            for first, second in pool.map(compare, range(start, min(start + 4 * workers, len(leaves)))):
                if len(first):
                    yield np.minimum(first, second), np.maximum(first, second)


def _close(points: Points, own: Indices, others: Indices, radius: float) -> tuple[Indices, Indices]:
    """Pairs (i of own, j of others) with i < j and their distance within the radius."""
    ours, theirs = points[own], points[others]
    middle = ours.mean(axis=0)  # distances by a matrix product lose digits far from the origin
    ours, theirs = ours - middle, theirs - middle
    squares = ours @ theirs.T
    squares *= -2
    squares += (theirs**2).sum(axis=1)
    squares += (ours**2).sum(axis=1)[:, None]
    rows, columns = np.nonzero(squares <= _slack(radius))
    first, second = own[rows], others[columns]
    kept = first < second
    first, second = first[kept], second[kept]
    exact = ((points[first] - points[second]) ** 2).sum(axis=1) <= radius**2
    return first[exact], second[exact]


def _principal(points: Points) -> Points:
    """The points along their principal directions, widest first; distances stay."""
    centred = points - points.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    rotated: Points = np.ascontiguousarray(centred @ directions[:, ::-1].astype(np.float32))
    return rotated


def _leaves(points: Points) -> list[Indices]:
    waiting, leaves = [np.arange(len(points), dtype=np.int64)], []
    while waiting:
        members = waiting.pop()
        if len(members) <= _LEAF:
            leaves.append(members)
            continue
        here = points[members, :_BOX_DIMENSIONS]
        half = len(members) // 2
        split = np.argpartition(here[:, here.std(axis=0).argmax()], half)
        waiting += [members[split[half:]], members[split[:half]]]
    return leaves


def _box(points: Points) -> Box:
    return points[:, :_BOX_DIMENSIONS].min(axis=0), points[:, :_BOX_DIMENSIONS].max(axis=0)


def _slack(radius: float) -> float:
    """The squared radius and a little more, for what float32 rounds away; exact distances are checked afterwards."""
    return float(radius**2 * 1.001 + 1e-6)
