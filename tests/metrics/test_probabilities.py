"""Against scikit-learn, and against a loop over resamples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from nevus.metrics.calibration import calibration_error
from nevus.metrics.probabilities import log_losses, weighted_calibration_error

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(2, 6))
def test_log_loss_is_scikit_learns(seed: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, 20)])
    probabilities = rng.dirichlet(np.ones(num_classes), len(targets))
    assert log_losses(targets, probabilities).mean() == pytest.approx(sk.log_loss(targets, probabilities))


def test_a_sure_mistake_is_finite_and_a_sure_hit_is_free() -> None:
    assert log_losses([0, 1], [[0.0, 1.0], [0.0, 1.0]]) == pytest.approx([-np.log(np.finfo(float).eps), 0])


@given(seeds, st.integers(2, 120), st.sampled_from([3, 1000]))
def test_calibration_errors_of_resamples_are_those_of_a_loop(seed: int, num_images: int, num_levels: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, num_levels + 1, num_images) / num_levels
    outcomes = (rng.random(num_images) < confidence).astype(float)
    weights = np.concatenate([np.ones((1, num_images)), rng.integers(0, 4, (6, num_images))])
    expected = []
    for row in weights:
        rows = np.repeat(np.arange(num_images), row.astype(int))
        expected.append(calibration_error(confidence[rows], outcomes[rows], resampled=not (row == 1).all()))
    assert weighted_calibration_error(confidence, outcomes, weights) == pytest.approx(expected, abs=1e-7, nan_ok=True)
