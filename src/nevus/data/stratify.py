"""Dealing images, or whole groups of them, to folds so that every fold has its share of every class."""

import numpy as np
from numpy.typing import NDArray

from nevus.errors import DataError

Indices = NDArray[np.int64]


def deal_images(targets: Indices, num_folds: int, rng: np.random.Generator) -> Indices:
    """A fold for each image; each class is shuffled and dealt round the folds, going on where the last class ended."""
    folds = np.empty(len(targets), np.int64)
    first = 0
    for target in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == target))
        folds[rows] = (first + np.arange(len(rows))) % num_folds
        first += len(rows)
    return folds


def deal_groups(targets: Indices, groups: Indices, shares: NDArray[np.float64], rng: np.random.Generator) -> Indices:
    """A fold for each image, the same for all images of a group.

    Groups with the same number of images of each class are alike: most are dealt in bulk, `shares` to each fold, and what is
    left over goes one by one, the largest first, to the fold that lacks most of what the group brings. A million rows take
    seconds, since nearly all groups are single images.

    Parameters
    ----------
    targets
        Class indices, (N,).
    groups
        Group indices from 0, (N,).
    shares
        The part of the images that each fold should hold; sums to 1.
    rng
        Shuffles groups that are alike.
    """
    num_groups, num_classes = int(groups.max()) + 1, int(targets.max()) + 1
    contents = np.bincount(groups * num_classes + targets, minlength=num_groups * num_classes).reshape(num_groups, num_classes)
    kinds, kind_of = _unique_rows(contents)
    fold_of = np.empty(num_groups, np.int64)
    held = np.zeros((len(shares), num_classes))
    left: list[tuple[int, int]] = []
    order = np.argsort(kind_of, kind="stable")
    bounds = np.searchsorted(kind_of[order], np.arange(len(kinds) + 1))
    for kind in range(len(kinds)):
        members = rng.permutation(order[bounds[kind] : bounds[kind + 1]])
        counts = np.floor(len(members) * shares).astype(np.int64)
        dealt = np.repeat(np.arange(len(shares)), counts)
        fold_of[members[: len(dealt)]] = dealt
        held += counts[:, None] * kinds[kind]
        left += [(kind, int(group)) for group in members[len(dealt) :]]
    wanted = shares[:, None] * contents.sum(axis=0)
    scale = np.maximum(contents.sum(axis=0), 1)
    left.sort(key=lambda item: -int(kinds[item[0]].max()))
    for kind, group in left:
        brings = kinds[kind]
        # How far the classes it brings would be from their wanted number, as parts of the class: rare classes weigh as much.
        after = ((held + brings - wanted) / scale) ** 2 - ((held - wanted) / scale) ** 2
        size = (held.sum(axis=1) + brings.sum() - wanted.sum(axis=1)) / wanted.sum()
        fold = int(np.lexsort((size, np.round(after.sum(axis=1), 12)))[0])
        fold_of[group] = fold
        held[fold] += brings
    return fold_of[groups]


def _unique_rows(counts: Indices) -> tuple[Indices, Indices]:
    """The distinct rows in ascending order, and each row's place among them: `np.unique(counts, axis=0)`, many times as fast."""
    codes = np.zeros(len(counts), np.int64)
    for column in counts.T:
        # Codes are below the number of rows, and so are counts: the product fits.
        codes = np.unique(codes * (int(column.max()) + 1) + column, return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    return counts[first], codes


def check_counts(targets: Indices, groups: Indices, classes: tuple[str, ...], num_folds: int) -> None:
    """Raise where a class has fewer groups than folds: some fold would be without it."""
    counts = {name: int(np.count_nonzero(np.bincount(groups[targets == index]))) for index, name in enumerate(classes)}
    few = [f"{name} has {count}" for name, count in counts.items() if count < num_folds]
    if few:
        raise DataError(
            f"{num_folds} folds need at least {num_folds} separate groups of images of every class; {', '.join(few)}. "
            "Use fewer folds, or leave the class out."
        )
