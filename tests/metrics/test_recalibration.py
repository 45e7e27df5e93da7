"""Calibration errors, slope, scalings and prior shift against scikit-learn, statsmodels and torchmetrics, and by simulation."""

from importlib import import_module

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from nevus.metrics.calibration import Binned, calibration_error, calibration_figure, log_loss
from nevus.metrics.prior import estimate_prior, shift_prior, shift_threshold, stated_prior
from nevus.metrics.recalibration import RecalibrationIntercept, RecalibrationSlope
from nevus.metrics.scaling import SCALINGS, isotonic_regression, isotonic_scaling, log_probabilities, vector_scaling

ONE = np.ones((1, 400))


def claims(seed: int = 0, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.uniform(0.01, 0.99, size)
    return probabilities, rng.random(size) < expit(0.4 + 0.6 * logit(probabilities))


@pytest.mark.slow
@pytest.mark.parametrize(("estimate", "norm"), [("absolute", "l1"), ("root_mean_square", "l2")])
def test_equal_width_errors_are_those_of_torchmetrics(estimate: str, norm: str) -> None:
    import_module("nevus.networks.backbones")  # defines torchvision's missing schemas, without which torchmetrics has no import
    from torchmetrics.functional.classification import binary_calibration_error

    probabilities, outcomes = claims()
    found = calibration_figure(Binned(probabilities, outcomes, "equal_width"), estimate)(ONE)[0]
    expected = binary_calibration_error(torch.tensor(probabilities), torch.tensor(outcomes).int(), n_bins=15, norm=norm)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_the_debiased_error_is_the_main_one_and_a_resample_has_its_variance_taken_twice() -> None:
    probabilities, outcomes = claims()
    figure = calibration_figure(Binned(probabilities, outcomes, "equal_mass"), "debiased")
    assert figure(ONE)[0] == pytest.approx(calibration_error(probabilities, outcomes))
    even = probabilities[:390], outcomes[:390]  # 26 images a bin: repeated, they are in the same bins
    found = calibration_figure(Binned(*even, "equal_mass"), "debiased")(2 * ONE[:, :390])[0]
    assert found == pytest.approx(calibration_error(np.repeat(even[0], 2), np.repeat(even[1], 2), resampled=True))
    few = calibration_figure(Binned(probabilities[:20], outcomes[:20], "equal_mass"), "debiased")
    assert np.isnan(few(np.ones((1, 20)))[0])


def test_slope_and_intercept_are_those_of_scikit_learn_and_statsmodels_under_weights() -> None:
    probabilities, outcomes = claims()
    weights = np.random.default_rng(1).integers(0, 3, (2, 400)).astype(float)
    slope, intercept = RecalibrationSlope(probabilities, outcomes), RecalibrationIntercept(probabilities, outcomes)
    for row in (ONE[0], *weights):
        fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(probabilities)[:, None], outcomes, sample_weight=row)
        assert slope(row[None])[0] == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
        ones = np.ones((400, 1))
        family, offset = sm.families.Binomial(), logit(probabilities)
        glm = sm.GLM(outcomes.astype(float), ones, family=family, offset=offset, freq_weights=row).fit()
        assert intercept(row[None])[0] == pytest.approx(float(glm.params[0]), abs=1e-6)


def test_where_there_is_no_slope_or_intercept_there_is_none() -> None:
    ones = np.ones((1, 4))
    assert np.isnan(RecalibrationSlope([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])(ones)[0]), "the classes are separated"
    assert np.isnan(RecalibrationSlope([0.5] * 4, [0, 1, 0, 1])(ones)[0]), "all the same"
    assert np.isnan(RecalibrationIntercept([0.1, 0.2, 0.8, 0.9], [1, 1, 1, 1])(ones)[0]), "one class"


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40))
def test_isotonic_regression_is_scikit_learns_and_never_falls(pairs: list[tuple[int, bool]]) -> None:
    scores, outcomes = np.array([pair[0] / 8 for pair in pairs]), np.array([pair[1] for pair in pairs], float)
    knots, values = isotonic_regression(scores, outcomes)
    assert (np.diff(values) >= 0).all()
    grid = np.linspace(-0.1, 1.1, 25)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes).predict(grid)
    assert np.interp(grid, knots, values) == pytest.approx(expected)


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_vector_scaling_is_never_worse_than_temperature_on_its_own_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, targets = rng.dirichlet([1, 2, 3], 60), rng.integers(0, 3, 60)
    losses = {
        name: log_loss(targets, log_probabilities(SCALINGS[name](table, targets)(table))) for name in ("vector", "temperature")
    }
    assert losses["vector"] <= losses["temperature"] + 1e-9
    assert losses["temperature"] <= log_loss(targets, log_probabilities(table)) + 1e-6


def test_vector_scaling_finds_what_spoilt_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    true = softmax(logits, axis=1)
    targets = (rng.random((20_000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    spoilt = softmax(logits * [1.5, 1.5, 1.5] + [1.0, -1.0, 0.0], axis=1)
    assert np.abs(vector_scaling(spoilt, targets)(spoilt) - true).mean() < 0.01
    assert np.abs(spoilt - true).mean() > 0.1


def test_isotonic_scaling_sums_to_one_and_is_never_certain() -> None:
    rng = np.random.default_rng(0)
    table, targets = rng.dirichlet([1, 1, 1], 50), rng.integers(0, 3, 50)
    for columns in (3, 2):
        given_table = table[:, :columns] / table[:, :columns].sum(axis=1, keepdims=True)
        scaled = isotonic_scaling(given_table, np.minimum(targets, columns - 1))(given_table)
        assert scaled.sum(axis=1) == pytest.approx(np.ones(50))
        assert scaled.min() > 0


@pytest.mark.slow
def test_probabilities_moved_to_a_clinic_are_calibrated_there() -> None:
    """Trained where half are melanoma; 1.8% are in the clinic, whose lesions of each kind look the same."""
    rng = np.random.default_rng(0)
    truth = rng.random(200_000) < 0.018
    scores = rng.normal(2.0 * truth, 1.0)
    at_half = expit(2.0 * (scores - 1.0))  # the likelihood ratio of the two normal densities
    moved = shift_prior(np.stack([1 - at_half, at_half], axis=1), [0.5, 0.5], [0.982, 0.018])[:, 1]
    assert moved.mean() == pytest.approx(0.018, abs=0.001)
    assert calibration_error(moved, truth) < 0.004
    assert calibration_error(at_half, truth) > 0.1
    found = estimate_prior(np.stack([1 - at_half, at_half], axis=1), [0.5, 0.5])
    assert found[1] == pytest.approx(0.018, abs=0.003), "from the probabilities alone"


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.001, 0.999))
def test_a_threshold_moved_alike_flags_the_same(threshold: float, prior: float, new: float, probability: float) -> None:
    moved = float(shift_prior([[1 - probability, probability]], [1 - prior, prior], [1 - new, new])[0, 1])
    if abs(probability - threshold) > 1e-6:
        assert (moved > shift_threshold(threshold, prior, new)) == (probability > threshold)


@pytest.mark.parametrize(
    ("stated", "message"),
    [({"wart": 0.1}, "no class here"), ({"a": 1.2}, "between 0 and 1"), ({"a": 0.6, "b": 0.5}, "leave nothing")],
)
def test_shares_that_cannot_be_are_refused(stated: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stated_prior(["a", "b", "c"], [0.2, 0.3, 0.5], stated)
    with pytest.raises(ValueError, match="expected 1"):
        stated_prior(["a", "b"], [0.5, 0.5], {"a": 0.2, "b": 0.2})
