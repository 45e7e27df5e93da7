"""What an interval promises, over a thousand simulated studies whose truth is known: it covers the truth in 93 to 97 of 100."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from nevus.metrics.bootstrap import WeightedFigure
from nevus.metrics.classification import balanced_accuracy
from nevus.metrics.intervals import Auc, Share, intervals
from nevus.metrics.paired import delong_test, macro_auc_test

Study = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]
NUM_STUDIES, NUM_RESAMPLES = 1000, 600
AUC, PREVALENCE, THRESHOLD = 0.85, 0.3, 0.9
SHIFT = np.sqrt(2) * norm.ppf(AUC)
SENSITIVITY, SPECIFICITY = norm.sf(THRESHOLD - SHIFT), norm.cdf(THRESHOLD)


class Kind(NamedTuple):
    study: Callable[[np.random.Generator], Study]
    correlation: float


def single(rng: np.random.Generator, num_images: int = 400) -> Study:
    """Every image of a group of its own."""
    positives = rng.random(num_images) < PREVALENCE
    return np.arange(num_images), positives, rng.normal(0, 1, num_images) + SHIFT * positives


def lesions(rng: np.random.Generator, num_groups: int = 250) -> Study:
    """One to four photos of a lesion, alike in their target and, by half, in their score."""
    sizes = rng.integers(1, 5, num_groups)
    groups = np.repeat(np.arange(num_groups), sizes)
    positives = (rng.random(num_groups) < PREVALENCE)[groups]
    return groups, positives, _scores(rng, groups, positives)


def patients(rng: np.random.Generator, num_groups: int = 250) -> Study:
    """One to four lesions of a patient, each with its own target, alike by half in their score."""
    groups = np.repeat(np.arange(num_groups), rng.integers(1, 5, num_groups))
    positives = rng.random(len(groups)) < PREVALENCE
    return groups, positives, _scores(rng, groups, positives)


def _scores(rng: np.random.Generator, groups: NDArray[np.int64], positives: NDArray[np.bool_]) -> NDArray[np.float64]:
    shared = rng.normal(0, np.sqrt(0.5), groups.max() + 1)[groups]
    return shared + rng.normal(0, np.sqrt(0.5), len(groups)) + SHIFT * positives


def balanced(positives: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    cells = np.eye(4)[2 * positives + flagged]
    return lambda weights: balanced_accuracy((weights @ cells).reshape(-1, 2, 2))


TRUTH = {"auc": AUC, "sensitivity": SENSITIVITY, "specificity": SPECIFICITY, "balanced": (SENSITIVITY + SPECIFICITY) / 2}
STUDIES = {"single": single, "lesions": lesions, "patients": patients}


def coverage(study: Callable[[np.random.Generator], Study], kind: str) -> dict[str, float]:
    held = dict.fromkeys(TRUTH, 0)
    for seed in range(NUM_STUDIES):
        groups, positives, scores = study(np.random.default_rng(seed))
        flagged = scores >= THRESHOLD
        figures: dict[str, WeightedFigure] = {
            "auc": Auc(positives, scores),
            "sensitivity": Share(flagged, positives),
            "specificity": Share(~flagged, ~positives),
            "balanced": balanced(positives, flagged),
        }
        found = intervals(figures, groups, positives.astype(np.int64), kind=kind, num_resamples=NUM_RESAMPLES, seed=seed)
        for name, interval in found.items():
            assert interval.low is not None
            assert interval.high is not None
            held[name] += interval.low <= TRUTH[name] <= interval.high
    return {name: count / NUM_STUDIES for name, count in held.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["analytic", "bootstrap", "bca"])
@pytest.mark.parametrize("name", list(STUDIES))
def test_intervals_cover_the_truth(name: str, kind: str) -> None:
    covered = coverage(STUDIES[name], kind)
    assert all(0.93 <= share <= 0.97 for share in covered.values()), covered


@pytest.mark.slow
@pytest.mark.parametrize("name", list(STUDIES))
def test_two_equal_systems_differ_significantly_in_one_study_of_twenty(name: str) -> None:
    """The type-I error of the paired test, over five thousand studies of two answers that are equally good and correlated."""
    rejected = 0
    for seed in range(5000):
        rng = np.random.default_rng(seed)
        groups, positives, scores = STUDIES[name](rng)
        noise = rng.normal(0, 0.6, (2, len(scores)))
        first, second = scores + noise
        p = delong_test(positives, first, second, groups).p
        assert p is not None
        rejected += p < 0.05
    assert 0.04 <= rejected / 5000 <= 0.06, rejected / 5000


@pytest.mark.slow
def test_so_do_two_equal_systems_of_three_classes_by_their_mean_area() -> None:
    rejected = 0
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(120), rng.integers(1, 4, 120))
        targets = (np.arange(120) % 3)[groups]
        shared = rng.normal(0, 0.7, (120, 3))[groups] + rng.normal(0, 0.7, (len(groups), 3)) + 1.5 * np.eye(3)[targets]
        first, second = shared + rng.normal(0, 0.6, (2, len(groups), 3))
        p = macro_auc_test(targets, first, second, groups).p
        assert p is not None
        rejected += p < 0.05
    assert 0.04 <= rejected / 3000 <= 0.06, rejected / 3000
