import numpy as np
import pytest

from nevus.metrics.calibration import brier_score, calibration_error, fit_temperature, log_loss, reliability_bins


def plug_in(confidence: np.ndarray, outcomes: np.ndarray) -> float:
    bins = reliability_bins(confidence, outcomes)
    return float(np.sqrt(np.sum(bins.size / bins.size.sum() * (bins.confidence - bins.frequency) ** 2)))


@pytest.mark.parametrize("num_images", [300, 3000])
def test_of_calibrated_probabilities_the_debiased_error_is_nearer_nothing(num_images: int) -> None:
    errors, naive = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        confidence = rng.random(num_images)
        outcomes = rng.random(num_images) < confidence
        errors.append(calibration_error(confidence, outcomes))
        naive.append(plug_in(confidence, outcomes))
    assert np.mean(errors) < 0.6 * np.mean(naive)


def test_a_known_error_is_found() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 0.8, 60_000)
    assert calibration_error(confidence, rng.random(60_000) < confidence - 0.1) == pytest.approx(0.1, abs=0.01)


def test_too_few_images_have_no_calibration_error() -> None:
    assert np.isnan(calibration_error([0.1] * 20, [0] * 20))


def test_bins_hold_equally_many() -> None:
    bins = reliability_bins(np.arange(10) / 10, np.arange(10) > 4, 3)
    assert bins.size.tolist() == [4, 3, 3]
    assert bins.confidence == pytest.approx([0.15, 0.5, 0.8])
    assert bins.frequency == pytest.approx([0, 2 / 3, 1])


def test_brier_by_hand() -> None:
    assert brier_score([0, 2], [[0.7, 0.2, 0.1], [0.5, 0.25, 0.25]]) == pytest.approx([0.14, 0.25 + 0.0625 + 0.5625])
    assert brier_score([1], [[0.4, 0.6]]) == pytest.approx([0.16])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_logits_is_found(temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits * temperature, targets) == pytest.approx(temperature, rel=0.05)


def test_log_loss_by_hand() -> None:
    assert log_loss([0], [[0.0, np.log(3.0)]]) == pytest.approx(np.log(4))
