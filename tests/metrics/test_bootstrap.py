from functools import partial

import numpy as np
import pytest

from nevus.metrics.bootstrap import Floats, Interval, WeightedFigure
from nevus.metrics.intervals import intervals

bootstrap = partial(intervals, kind="bootstrap")


def share(outcomes: Floats) -> dict[str, WeightedFigure]:
    return {"share": lambda weights: weights @ outcomes / weights.sum(axis=1)}


def limits(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    outcomes = np.random.default_rng(0).random(80)
    results = [
        bootstrap(share(outcomes), np.arange(80), np.zeros(80, int), num_resamples=200, seed=seed)["share"] for seed in (1, 1, 2)
    ]
    assert results[0] == results[1] != results[2]


def test_groups_of_copies_have_the_interval_of_the_groups() -> None:
    outcomes = np.random.default_rng(0).random(60)
    alone = bootstrap(share(outcomes), np.arange(60), np.zeros(60, int), seed=3)["share"]
    copies = np.repeat(outcomes, 4)
    grouped = bootstrap(share(copies), np.repeat(np.arange(60), 4), np.zeros(240, int), seed=3)["share"]
    naive = bootstrap(share(copies), np.arange(240), np.zeros(240, int), seed=3)["share"]
    assert limits(grouped) == pytest.approx(limits(alone))
    assert np.ptp(limits(grouped)) > 1.7 * np.ptp(limits(naive))


def test_about_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    held = 0
    for seed in range(150):
        outcomes = (np.random.default_rng(seed).random(80) < 0.6).astype(float)
        interval = bootstrap(share(outcomes), np.arange(80), np.zeros(80, int), num_resamples=200, seed=seed)["share"]
        low, high = limits(interval)
        held += low <= 0.6 <= high
    assert 0.87 <= held / 150 <= 0.99


def test_a_class_in_one_group_is_in_every_resample() -> None:
    targets = np.array([1] + [0] * 9)
    counts = {"ones": lambda weights: weights[:, 0]}
    interval = bootstrap(counts, np.arange(10), targets, num_resamples=300)["ones"]
    assert interval.low is not None
    assert interval.low >= 1


def test_where_nearly_no_resample_keeps_all_classes_there_is_no_interval() -> None:
    targets = np.arange(12)
    interval = bootstrap(share(np.ones(12)), np.arange(12), targets, num_resamples=200)["share"]
    assert interval.low is None
    assert "too few groups of a class" in interval.reason


def test_a_figure_often_undefined_has_no_interval() -> None:
    figure = {"odd": lambda weights: np.where(weights[:, 0] > 0, 1.0, np.nan)}
    interval = bootstrap(figure, np.arange(10), np.zeros(10, int), num_resamples=200)["odd"]
    assert interval.low is None
    assert "undefined in" in interval.reason
