"""Classical paired tests of two answers about the same images, also for groups, and what many of them must allow for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

from nevus.metrics.delong import auc_covariance, macro_auc_covariance


@dataclass(frozen=True)
class Test:
    """A two-sided p, None where the test is undefined, and the test's name; `counts` are McNemar's discordant images."""

    p: float | None
    method: str
    counts: tuple[int, int] | None = None


def delong_test(positives: ArrayLike, first: ArrayLike, second: ArrayLike, groups: NDArray[np.int64]) -> Test:
    """Whether two areas under the ROC curve differ: DeLong et al. 1988, and Obuchowski 1997 where a group has several images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> positives = np.arange(200) < 80
    >>> good, bad = rng.normal(positives * 2.0), rng.normal(positives * 0.5)
    >>> delong_test(positives, bad, good, np.arange(200)).p < 0.001
    True
    """
    truth = np.asarray(positives, np.bool_)
    method = "DeLong's paired test" if len(np.unique(groups)) == len(truth) else "Obuchowski's paired test over groups"
    if truth.all() or not truth.any():
        return Test(None, method)
    areas, covariance = auc_covariance(truth, np.stack([np.asarray(first), np.asarray(second)]), groups)
    return _z_test(areas, covariance, method)


def macro_auc_test(targets: ArrayLike, first: ArrayLike, second: ArrayLike, groups: NDArray[np.int64]) -> Test:
    """`delong_test` of the mean one-vs-rest area: `targets` (N,), probabilities (N, C) of two answers."""
    areas, covariance = macro_auc_covariance(targets, np.stack([np.asarray(first), np.asarray(second)]), groups)
    single = len(np.unique(groups)) == len(groups)
    return _z_test(areas, covariance, f"paired test of the mean area by placements{'' if single else ' over groups'}")


def _z_test(areas: NDArray[np.float64], covariance: NDArray[np.float64], method: str) -> Test:
    """Whether two areas differ, by the normal distribution."""
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = areas[1] - areas[0]
    if np.isnan(variance):
        return Test(None, method)
    if variance <= 1e-15:
        return Test(1.0 if abs(difference) < 1e-12 else None, method)
    return Test(float(2 * norm.sf(abs(difference) / np.sqrt(variance))), method)


def mcnemar_test(first: ArrayLike, second: ArrayLike, groups: NDArray[np.int64]) -> Test:
    """Whether two answers are right equally often on the same images; `first` and `second` bool (N,), right or not.

    McNemar's exact test of the images that only one answers rightly; with several images a group Durkalski et al. 2003 (Stat.
    Med. 22:2417): z = Σ d_k / √Σ d_k², d_k the difference of the group's two shares.

    Examples
    --------
    >>> one, other = np.array([True] * 9 + [False] * 9), np.array([True] * 8 + [False] + [True] * 8 + [False])
    >>> found = mcnemar_test(one, other, np.arange(18))  # 1 image against 8
    >>> found.counts, round(found.p, 4)
    ((1, 8), 0.0391)
    """
    one, other = np.asarray(first, np.bool_), np.asarray(second, np.bool_)
    counts = int((one & ~other).sum()), int((other & ~one).sum())
    if len(np.unique(groups)) == len(one):
        p = 1.0 if not sum(counts) else float(binomtest(counts[0], sum(counts)).pvalue)
        return Test(p, "McNemar's exact test", counts)
    _, places = np.unique(groups, return_inverse=True)
    differences = np.bincount(places, other.astype(np.float64) - one) / np.bincount(places)
    spread = np.square(differences).sum()
    p = 1.0 if spread == 0 else float(2 * norm.sf(abs(differences.sum()) / np.sqrt(spread)))
    return Test(p, "McNemar's test over groups (Durkalski)", counts)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p adjusted for how many were looked at (Holm 1979); None stays None and is not counted.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = largest
    return adjusted


def groups_needed(difference: float, error: float, num_groups: int, power: float = 0.8, confidence: float = 0.95) -> int | None:
    """How many groups would tell a true difference of this size from none: its error falls with the root of their number.

    num_groups · ((z_{1−α/2} + z_power) · error / difference)². None where there is no difference or no error.

    >>> groups_needed(0.02, 0.02, 500)
    3925
    """
    if difference == 0 or not error > 0:
        return None
    wanted = norm.ppf((1 + confidence) / 2) + norm.ppf(power)
    return ceil(num_groups * (wanted * error / difference) ** 2)
