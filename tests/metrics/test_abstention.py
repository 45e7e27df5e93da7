"""Risk against coverage, by loops and by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nevus.metrics.abstention import (
    distance_from_threshold,
    largest_probability,
    least_risk_area,
    margin,
    selective_risk_area,
    threshold_for_coverage,
)


def loop(confidence: NDArray[np.float64], errors: NDArray[np.bool_]) -> float:
    """AURC as it is defined: the error rate among the k surest, averaged over k; ties go together."""
    return float(np.mean([errors[confidence >= own].mean() for own in confidence]))


def one(confidence: Any, errors: Any) -> float:
    return float(selective_risk_area(confidence, errors, np.ones((1, len(errors))))[0])


def test_area_by_hand() -> None:
    # Of the 1, 2, 3 and 4 surest answers 0, 1, 1 and 2 are wrong.
    assert one([0.9, 0.8, 0.7, 0.6], [False, True, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_area_is_the_loops(num_images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, errors = rng.integers(0, 12, num_images) / 12, rng.random(num_images) < 0.4
    assert one(confidence, errors) == pytest.approx(loop(confidence, errors))


@given(st.integers(2, 30), st.integers(0, 10_000))
def test_weights_are_repeated_images(num_images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, errors = rng.integers(0, 12, num_images) / 12, rng.random(num_images) < 0.4
    weights = rng.integers(0, 4, (3, num_images))
    weights[:, 0] = 1
    areas, least = selective_risk_area(confidence, errors, weights), least_risk_area(errors, weights)
    for row, area, bound in zip(weights, areas, least, strict=True):
        repeated = np.repeat(errors, row)
        assert area == pytest.approx(loop(np.repeat(confidence, row), repeated))
        assert bound == pytest.approx(loop(-np.arange(float(len(repeated))), np.sort(repeated)), abs=1e-9)


def test_constant_perfect_and_reversed_confidence_give_what_theory_says() -> None:
    rng = np.random.default_rng(0)
    errors = rng.random(500) < 0.3
    noise = rng.random(500) / 10
    least = float(least_risk_area(errors, np.ones((1, 500)))[0])
    rate = errors.mean()
    assert one(np.full(500, 0.7), errors) == pytest.approx(rate)
    assert one(noise - errors, errors) == pytest.approx(least)
    # Geifman, Uziel & El-Yaniv's form for many images.
    assert least == pytest.approx(rate + (1 - rate) * np.log(1 - rate), abs=2e-3)
    assert one(noise + errors, errors) > 2 * rate
    assert one(noise, np.zeros(500, bool)) == 0
    assert one(noise, np.ones(500, bool)) == 1
    assert float(least_risk_area(np.ones(500, bool), np.ones((1, 500)))[0]) == pytest.approx(1)


def test_without_weight_the_area_is_undefined() -> None:
    assert np.isnan(selective_risk_area([0.1, 0.2], [True, False], np.zeros((1, 2)))).all()
    assert np.isnan(least_risk_area([True, False], np.zeros((1, 2)))).all()


@given(st.integers(1, 60), st.integers(1, 100))
def test_a_threshold_answers_the_wanted_share_and_not_one_more(num_images: int, percent: int) -> None:
    confidence = np.random.default_rng(num_images).permutation(num_images) / num_images
    answered = confidence >= threshold_for_coverage(confidence, percent / 100)
    assert answered.sum() == -(-percent * num_images // 100)


def test_nothing_is_answered_at_a_coverage_of_nought() -> None:
    assert threshold_for_coverage([0.5, 0.6], 0.0) == np.inf


def test_confidences() -> None:
    table = [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
    np.testing.assert_allclose(largest_probability(table), [0.5, 0.8])
    np.testing.assert_allclose(margin(table), [0.2, 0.7])
    np.testing.assert_allclose(distance_from_threshold([0.2, 0.5, 0.8], 0.2), [0, np.log(4), np.log(16)])
    assert np.isfinite(distance_from_threshold([0.0, 1.0], 0.5)).all()
