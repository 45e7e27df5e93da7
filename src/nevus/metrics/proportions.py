"""Intervals of proportions: Wilson's, and Wilson's on the number of images that photos in groups are worth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, t

Floats = NDArray[np.float64]


def wilson(share: ArrayLike, size: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """The score interval of proportions of `size` independent images (Wilson 1927); `size` may be a fraction.

    All right of 20 is not surely all right:

    >>> [round(float(limit), 3) for limit in wilson(1.0, 20)]
    [0.839, 1.0]
    """
    p, n = np.asarray(share, np.float64), np.asarray(size, np.float64)
    z = norm.ppf((1 + confidence) / 2)
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    # At the ends the limit is the end itself; rounding would miss it by a hair.
    return np.where(p <= 0, 0.0, low), np.where(p >= 1, 1.0, high)


def clustered_wilson(hits: ArrayLike, sizes: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Low and high limit of Σ hits / Σ sizes, and how many independent images the groups are worth.

    The groups' ratio estimator says by how much more the share varies than that of independent images (the design effect, Rao
    and Scott 1992); the images, divided by it, go into Wilson's interval, with Student's t for the few groups it was estimated
    from (Korn and Graubard 1998). It is at least 1 and at most what groups of equal photos would have; where every photo is
    right, or every one wrong, the groups show no spread to estimate it from, and it is that most. With one image a group it is 1.

    Parameters
    ----------
    hits, sizes
        How many of each group's images are hits, and how many count, (K,); groups of size 0 are ignored.

    Examples
    --------
    >>> low, high, worth = clustered_wilson([2, 0, 2, 2], [2, 2, 2, 2])  # four lesions photographed twice, not eight images
    >>> round(worth, 1), round(low, 2), round(high, 2)
    (1.5, 0.16, 0.98)
    """
    counted = np.asarray(sizes, np.float64) > 0
    x, n = np.asarray(hits, np.float64)[counted], np.asarray(sizes, np.float64)[counted]
    total, num_groups = n.sum(), len(n)
    p = x.sum() / total
    most = np.square(n).sum() / total
    if most == 1:
        worth = total
    elif num_groups < 2:
        return float("nan"), float("nan"), float("nan")
    else:
        binomial = p * (1 - p) / total
        spread = num_groups / (num_groups - 1) * np.square(x - p * n).sum() / total**2
        effect = np.clip(spread / binomial, 1, most) if binomial > 0 else most
        worth = total / effect * (norm.ppf((1 + confidence) / 2) / t.ppf((1 + confidence) / 2, num_groups - 1)) ** 2
    low, high = wilson(p, worth, confidence)
    return float(low), float(high), float(worth)
