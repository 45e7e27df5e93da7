"""Paired effects against a hand-worked case, DeLong's test, scipy's bootstrap, and what no effect looks like."""

import numpy as np
import pytest
from scipy import stats

from nevus.metrics.bootstrap import Floats, WeightedFigure, resample
from nevus.metrics.classification import weighted_auc
from nevus.metrics.comparison import compare_figures, effect


def accuracy(right: Floats) -> dict[str, WeightedFigure]:
    return {"accuracy": lambda weights: weights @ right / weights.sum(axis=1)}


def auc(positives: np.ndarray, scores: Floats) -> dict[str, WeightedFigure]:
    return {"auc": lambda weights: weighted_auc(positives, scores, weights)}


def delong(positives: np.ndarray, first: Floats, second: Floats) -> tuple[float, float]:
    """The difference of two AUCs and its standard error (DeLong et al. 1988, equations 3 to 7), pair by pair."""
    parts = []
    for scores in (first, second):
        pairs = np.array([[(p > n) + 0.5 * (p == n) for n in scores[~positives]] for p in scores[positives]])
        parts.append((pairs.mean(axis=1), pairs.mean(axis=0), pairs.mean()))
    (v10, v01, one), (w10, w01, other) = parts
    variance = np.var(w10 - v10, ddof=1) / len(v10) + np.var(w01 - v01, ddof=1) / len(v01)
    return other - one, float(np.sqrt(variance))


def test_a_hand_worked_case() -> None:
    """Of 4 groups the second system is right in one more, in any resample as often as that group is drawn."""
    found = compare_figures(
        accuracy(np.array([1.0, 0, 0, 0])),
        accuracy(np.array([1.0, 1, 0, 0])),
        np.arange(4),
        np.zeros(4, int),
        num_resamples=20_000,
    )["accuracy"]
    assert found.value == pytest.approx(0.25)
    assert found.p is not None
    # The group is left out of a resample with probability (3/4)^4, and the difference is then 0; it is never below.
    assert found.p == pytest.approx(2 * 0.75**4, abs=0.02)
    # Binomial(4, 1/4) / 4 has its quantiles at 0 (31.6% of its mass) and at 3/4 (cumulated 99.6%; 94.9% at 2/4).
    assert (found.low, found.high) == (0, 0.75)


def test_it_is_a_contrast_of_whole_groups() -> None:
    """Copies of the images change nothing when they share the groups."""
    rng = np.random.default_rng(1)
    one, other = (rng.random((2, 50)) < [[0.6], [0.8]]).astype(float)
    alone = compare_figures(accuracy(one), accuracy(other), np.arange(50), np.zeros(50, int))["accuracy"]
    copies = compare_figures(
        accuracy(np.repeat(one, 3)), accuracy(np.repeat(other, 3)), np.repeat(np.arange(50), 3), np.zeros(150, int)
    )["accuracy"]
    assert (copies.value, copies.low, copies.high, copies.p) == pytest.approx((alone.value, alone.low, alone.high, alone.p))


def test_single_images_agree_with_delong() -> None:
    rng = np.random.default_rng(0)
    positives = rng.random(300) < 0.4
    first = positives + rng.normal(size=300) * 1.2
    second = 0.5 * first + positives * 0.7 + rng.normal(size=300) * 0.5
    difference, error = delong(positives, first, second)
    found = compare_figures(auc(positives, first), auc(positives, second), np.arange(300), positives.astype(int))["auc"]
    assert found.value == pytest.approx(difference)
    assert found.low == pytest.approx(difference - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(difference + 1.96 * error, abs=0.25 * error)
    assert found.p is not None
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference) / error), abs=0.02)


def test_single_images_agree_with_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(2)
    one, other = (rng.random((2, 120)) < [[0.6], [0.75]]).astype(float)
    found = compare_figures(accuracy(one), accuracy(other), np.arange(120), np.zeros(120, int))["accuracy"]
    theirs = stats.bootstrap(
        (one, other),
        lambda a, b: b.mean() - a.mean(),
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=0,
    )
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    # McNemar's exact test of the images on which the two disagree; the bootstrap is a little more lenient.
    gained, lost = int(((one == 0) & (other == 1)).sum()), int(((one == 1) & (other == 0)).sum())
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue, abs=0.05)


def test_equal_systems_have_no_effect_and_p_of_one() -> None:
    right = (np.random.default_rng(0).random(40) < 0.7).astype(float)
    found = compare_figures(accuracy(right), accuracy(right), np.arange(40), np.zeros(40, int), num_resamples=100)["accuracy"]
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_without_a_difference_about_one_p_in_twenty_is_below_five_hundredths() -> None:
    below = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one, other = (rng.random((2, 150)) < 0.7).astype(float)
        found = compare_figures(accuracy(one), accuracy(other), np.arange(150), np.zeros(150, int), num_resamples=200, seed=seed)[
            "accuracy"
        ]
        below += (found.p or 0) < 0.05
    assert 2 <= below <= 20


def test_exchanging_the_systems_changes_the_sign_alone() -> None:
    rng = np.random.default_rng(3)
    one, other = accuracy(rng.random(60)), accuracy(rng.random(60))
    there, back = (compare_figures(*pair, np.arange(60), np.zeros(60, int))["accuracy"] for pair in ((one, other), (other, one)))
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p == back.p


def test_a_contrast_of_several_systems_uses_the_same_resamples() -> None:
    """The mean of two systems' differences from a third is the contrast of their means."""
    rng = np.random.default_rng(4)
    systems = {name: accuracy(rng.random(50))["accuracy"] for name in "abc"}
    values = resample(systems, np.arange(50), np.zeros(50, int), num_resamples=300)
    mean = {"x": lambda weights: (systems["a"](weights) + systems["b"](weights)) / 2}
    direct = compare_figures({"x": systems["c"]}, mean, np.arange(50), np.zeros(50, int), num_resamples=300)["x"]
    found = effect(direct.value or 0, (values["a"] + values["b"]) / 2 - values["c"], 300)
    assert (found.low, found.high, found.p) == pytest.approx((direct.low, direct.high, direct.p))


def test_where_there_is_nothing_to_say_there_is_a_reason() -> None:
    few = compare_figures(accuracy(np.ones(12)), accuracy(np.ones(12)), np.arange(12), np.arange(12))["accuracy"]
    assert few.value == 0
    assert few.p is None
    assert "too few groups" in few.reason
    nowhere = effect(float("nan"), np.zeros(10), 10)
    assert (nowhere.value, nowhere.p, nowhere.reason) == (None, None, "undefined on these images")
