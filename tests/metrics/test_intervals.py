"""Closed-form intervals against statsmodels, a loop over pairs, scipy's BCa, and what the ends must look like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from nevus.metrics.bootstrap import WeightedFigure
from nevus.metrics.delong import auc_covariance, auc_interval
from nevus.metrics.intervals import Auc, Share, intervals
from nevus.metrics.proportions import clustered_wilson, wilson


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilson_is_that_of_statsmodels(hits: int, missed: int) -> None:
    size = hits + missed
    expected = proportion_confint(hits, size, method="wilson")
    assert [float(limit) for limit in wilson(hits / size, size)] == pytest.approx(expected, abs=1e-12)


def test_photos_of_one_group_each_are_worth_themselves() -> None:
    hits = np.array([1, 0, 1, 1, 0, 1])
    low, high, worth = clustered_wilson(hits, np.ones(6))
    assert worth == 6
    assert (low, high) == tuple(float(limit) for limit in wilson(4 / 6, 6))


def test_equal_photos_are_worth_their_group() -> None:
    """Copies must not narrow the interval: of 40 lesions in triplicate it is about that of 40, a little wider by Student's t."""
    hits = (np.arange(40) % 4 > 0).astype(float)
    low, high, worth = clustered_wilson(3 * hits, np.full(40, 3))
    alone_low, alone_high = wilson(0.75, 40)
    assert 36 < worth <= 40
    assert low == pytest.approx(alone_low, abs=0.01)
    assert high == pytest.approx(alone_high, abs=0.01)


def test_all_right_is_not_surely_right() -> None:
    everyone = np.ones(12, bool)
    groups = np.repeat(np.arange(6), 2)
    found = intervals({"all": Share(everyone, everyone)}, groups, np.zeros(12, int))["all"]
    assert found.high == 1
    assert found.low is not None
    assert found.low < wilson(1.0, 6)[0] < 0.7
    resampled = intervals({"all": Share(everyone, everyone)}, groups, np.zeros(12, int), kind="bootstrap")["all"]
    assert resampled.low == 1


def by_pairs(
    positives: NDArray[np.bool_], first: NDArray[np.float64], second: NDArray[np.float64], groups: NDArray[np.int64]
) -> float:
    """Obuchowski's covariance of two areas, pair by pair and group by group, as the paper's equations are printed."""
    x, y = np.flatnonzero(positives), np.flatnonzero(~positives)
    psi = [np.array([[(s[i] > s[j]) + 0.5 * (s[i] == s[j]) for j in y] for i in x]) for s in (first, second)]
    areas = [table.mean() for table in psi]
    names = np.unique(groups)
    sums = []
    for table, area in zip(psi, areas, strict=True):
        v10, v01 = table.mean(axis=1), table.mean(axis=0)
        sums.append(
            [(sum(v10[groups[x] == k] - area), sum(v01[groups[y] == k] - area)) for k in names],
        )
    one, other = np.array(sums[0]), np.array(sums[1])
    i10, i01, i = len(np.unique(groups[x])), len(np.unique(groups[y])), len(names)
    s10 = i10 / ((i10 - 1) * len(x)) * (one[:, 0] @ other[:, 0])
    s01 = i01 / ((i01 - 1) * len(y)) * (one[:, 1] @ other[:, 1])
    s11 = i / (i - 1) * (one[:, 0] @ other[:, 1])
    s11_turned = i / (i - 1) * (other[:, 0] @ one[:, 1])
    return float(s10 / len(x) + s01 / len(y) + (s11 + s11_turned) / (len(x) * len(y)))


@pytest.mark.parametrize("photos", [1, 3])
def test_the_areas_error_is_that_of_a_loop_over_pairs(photos: int) -> None:
    rng = np.random.default_rng(photos)
    groups = np.repeat(np.arange(20), photos)
    positives = rng.random(len(groups)) < 0.4
    scores = np.round(rng.normal(0, 1, (2, len(groups))) + positives, 1)  # with ties
    _, covariance = auc_covariance(positives, scores, groups)
    for i in range(2):
        for j in range(2):
            assert covariance[i, j] == pytest.approx(by_pairs(positives, scores[i], scores[j], groups), rel=1e-10)


def test_with_one_image_a_group_the_error_is_delongs() -> None:
    rng = np.random.default_rng(5)
    positives = np.arange(30) < 12
    scores = rng.normal(0, 1, 30) + positives
    pairs = (scores[positives][:, None] > scores[~positives]).astype(float)
    expected = np.var(pairs.mean(axis=1), ddof=1) / 12 + np.var(pairs.mean(axis=0), ddof=1) / 18
    assert auc_covariance(positives, scores, np.arange(30))[1][0, 0] == pytest.approx(expected)


def test_copies_of_photos_leave_the_areas_interval_as_it_is() -> None:
    rng = np.random.default_rng(1)
    positives = np.arange(80) % 3 == 0
    scores = rng.normal(0, 1, 80) + positives
    alone = auc_interval(positives, scores, np.arange(80))
    copied = auc_interval(np.repeat(positives, 4), np.repeat(scores, 4), np.repeat(np.arange(80), 4))
    assert copied == pytest.approx(alone, abs=1e-9)


def test_a_perfect_and_a_reversed_ranking_have_intervals_that_mirror_each_other() -> None:
    positives = np.arange(40) < 15
    low, high = auc_interval(positives, positives.astype(float), np.arange(40))
    other_low, other_high = auc_interval(positives, -positives.astype(float), np.arange(40))
    assert high == 1
    assert 0.85 < low < 0.95
    assert (other_low, other_high) == pytest.approx((0, 1 - low))
    assert auc_interval(positives, np.zeros(40), np.arange(40)) == pytest.approx((0.5 - 0.181, 0.5 + 0.181), abs=0.02)


@pytest.mark.parametrize("figure", ["sensitivity", "auc"])
def test_one_group_has_no_interval_and_says_so(figure: str) -> None:
    positives = np.array([True, True, False, False])
    kinds: dict[str, WeightedFigure] = {"sensitivity": Share(positives, positives), "auc": Auc(positives, np.arange(4.0))}
    found = intervals({figure: kinds[figure]}, np.array([0, 0, 1, 1]), positives.astype(int))[figure]
    assert found.low is None
    assert "one group alone" in found.reason


def test_bca_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    values = rng.exponential(1, 60)
    mean = {"mean": lambda weights: weights @ values / weights.sum(axis=1)}
    found = intervals(mean, np.arange(60), np.zeros(60, int), kind="bca", num_resamples=20_000)["mean"]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.012)
    plain = intervals(mean, np.arange(60), np.zeros(60, int), kind="bootstrap", num_resamples=20_000)["mean"]
    assert plain.high is not None
    assert found.high is not None
    assert found.high > plain.high + 0.02  # skewed to the right, so is its interval


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of analytic, bootstrap, bca"):
        intervals({}, np.arange(3), np.zeros(3, int), kind="exact")
