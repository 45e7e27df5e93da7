"""How often an epoch shows the images of each class: an augmented data set without its files.

Every showing of an image is a random view of its own, and another one in each epoch.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
# Images of each class, (C,).
Counts = NDArray[np.int64]

# The 2022 paper, section 3.1: augmentation "for all class" makes 18,015 of HAM10000's 10,015 images.
_PAPER_IMAGES, _PAPER_AUGMENTED = 10_015, 18_015
# Datta et al. 2021, the public code: files are added to a class in batches until it has about so many.
_CODE_IMAGES, _CODE_BATCH = 8_000, 50


def _once(class_counts: Counts) -> Counts:
    return class_counts


def _augmented(class_counts: Counts) -> Counts:
    """The paper's figure, alike for all classes: 18,015 / 10,015 times as many, by largest remainders, so the sum is exact."""
    total = (2 * int(class_counts.sum()) * _PAPER_AUGMENTED + _PAPER_IMAGES) // (2 * _PAPER_IMAGES)
    wanted, remainders = np.divmod(class_counts * _PAPER_AUGMENTED, _PAPER_IMAGES)
    wanted[np.argsort(-remainders, kind="stable")[: total - wanted.sum()]] += 1
    return np.asarray(wanted)


def _augmented_code(class_counts: Counts) -> Counts:
    """What Datta et al.'s code does: ⌈(8,000 − n) / 50⌉ more batches of 50, the last of each pass over a class being smaller."""

    def images(num: int) -> int:
        num_batches = max(0, -(-(_CODE_IMAGES - num) // _CODE_BATCH))
        passes, rest = divmod(num_batches, -(-num // _CODE_BATCH)) if num else (0, 0)
        return num + passes * num + rest * _CODE_BATCH

    return np.array([images(num) for num in class_counts.tolist()], np.int64)


def _balanced(class_counts: Counts) -> Counts:
    """As many images an epoch as there are, and of each class as many as of another."""
    present = np.flatnonzero(class_counts)
    each, rest = divmod(int(class_counts.sum()), len(present))
    wanted = np.zeros_like(class_counts)
    wanted[present] = each
    wanted[present[:rest]] += 1
    return wanted


SAMPLERS: dict[str, Callable[[Counts], Counts]] = {
    "once": _once,
    "augmented": _augmented,
    "augmented_code": _augmented_code,
    "balanced": _balanced,
}


def epoch_counts(sampler: str, class_counts: Counts) -> Counts:
    """How many images of each class (C,) an epoch shows, given how many there are to train on.

    >>> ham10000 = np.array([327, 514, 1099, 115, 1113, 6705, 142])
    >>> epoch_counts("augmented", ham10000), epoch_counts("augmented", ham10000).sum()
    (array([  588,   925,  1977,   207,  2002, 12061,   255]), np.int64(18015))
    """
    return SAMPLERS[sampler](class_counts)


def epoch_rows(sampler: str, rows: Rows, targets: Rows, seed: int, epoch: int) -> tuple[Rows, Rows]:
    """The rows that an epoch shows, in no random order yet, and for each which random numbers its view takes; both (M,).

    Every image of a class is shown as often as another, or once more; which ones is drawn from (seed, epoch). The first showing
    of row k takes the k-th random numbers, as without a sampler; further ones take those after the last row's.

    Parameters
    ----------
    sampler
        One of `SAMPLERS`.
    rows
        Row indices of the training images, (N,).
    targets
        Class index of every row there is.
    seed, epoch
        What is drawn is a function of these.
    """
    if sampler == "once":
        return rows, rows
    rng = np.random.default_rng([seed, epoch, 2])
    parts = []
    wanted = epoch_counts(sampler, np.bincount(targets[rows]))
    for index, num in enumerate(wanted.tolist()):
        members = rows[targets[rows] == index]
        if len(members):
            whole, rest = divmod(num, len(members))
            parts += [np.repeat(members, whole), rng.choice(members, rest, replace=False)]
    shown = np.sort(np.concatenate(parts))
    again = np.flatnonzero(shown[1:] == shown[:-1]) + 1
    numbers = shown.copy()
    numbers[again] = len(targets) + np.arange(len(again))
    return shown, numbers
