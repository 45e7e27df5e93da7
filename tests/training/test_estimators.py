"""The classical classifiers compute what scikit-learn does, and their calibration never sees a lesion they were fitted to."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from nevus.errors import DataError
from nevus.training.estimators import CLASS_WEIGHTS, ESTIMATORS, fit_estimator


def example(num_images: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.choice(3, num_images, p=[0.6, 0.3, 0.1])
    return rng.normal(size=(num_images, 4)) + np.eye(3, 4)[targets] * 3, targets


@pytest.mark.parametrize("class_weights", CLASS_WEIGHTS)
@pytest.mark.parametrize("name", ["logistic_regression", "support_vectors"])
def test_each_learns_and_answers_with_probabilities(name: str, class_weights: str) -> None:
    inputs, targets = example()
    fresh, truth = example(seed=1)
    answer = fit_estimator(name, inputs, targets, np.arange(len(targets)), class_weights)
    probabilities = answer(fresh)
    assert probabilities.shape == (150, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(150))
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.85
    assert answer(fresh) == pytest.approx(probabilities)


@pytest.mark.slow
@pytest.mark.parametrize("class_weights", CLASS_WEIGHTS)
@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting"])
def test_trees_learn(name: str, class_weights: str) -> None:
    inputs, targets = example()
    fresh, truth = example(seed=1)
    probabilities = fit_estimator(name, inputs, targets, np.arange(len(targets)), class_weights)(fresh)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.85
    many = np.concatenate([inputs, np.random.default_rng(2).normal(size=(150, 130))], axis=1)
    assert fit_estimator(name, many, targets, np.arange(len(targets)), class_weights)(many).shape == (150, 3)


def test_logistic_regression_is_scikit_learns_with_the_written_settings() -> None:
    """Weights W_c = N / (C · N_c), C = min(1, 10 / F), inputs standardised on the training rows."""
    rng = np.random.default_rng(0)
    inputs = np.concatenate([example()[0], rng.normal(size=(150, 36))], axis=1)
    targets = example()[1]
    scaler = StandardScaler().fit(inputs)
    weights = (150 / (3 * np.bincount(targets)))[targets]
    theirs = LogisticRegression(C=0.25, max_iter=2000).fit(scaler.transform(inputs), targets, sample_weight=weights)
    ours = fit_estimator("logistic_regression", inputs, targets, np.arange(150), "balanced")
    assert ours(inputs) == pytest.approx(theirs.predict_proba(scaler.transform(inputs)), abs=1e-3)


@pytest.mark.parametrize("name", ["logistic_regression", "support_vectors"])
def test_balancing_raises_the_rare_class_to_its_share(name: str) -> None:
    """Inputs that say nothing: all that is answered is the classes' shares."""
    noise, targets = np.random.default_rng(3).normal(size=(400, 2)), example(400)[1]
    mean = {
        weights: fit_estimator(name, noise, targets, np.arange(400), weights)(noise).mean(axis=0) for weights in CLASS_WEIGHTS
    }
    assert mean["none"] == pytest.approx(np.bincount(targets) / 400, abs=0.02)
    assert mean["balanced"] == pytest.approx([1 / 3] * 3, abs=0.05)


def test_support_vectors_are_calibrated_on_lesions_they_were_not_fitted_to() -> None:
    """Answers that are a coin's, four photos a lesion: whoever calibrates on siblings takes memory for knowledge."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    inputs = np.repeat(rng.normal(size=(40, 30)), 4, axis=0) + rng.normal(size=(160, 30)) * 0.01
    targets = np.repeat(np.arange(40) % 2, 4)

    def confidence(of: np.ndarray) -> float:
        """The mean probability that it gives its own training rows' answers."""
        answer = fit_estimator("support_vectors", inputs, targets, of)(inputs)
        return float(answer[np.arange(160), targets].mean())

    assert confidence(np.arange(160)) > 0.9, "the leak is there to be had"
    assert confidence(groups) < 0.7


def test_too_few_lesions_to_calibrate_on_are_said() -> None:
    inputs, targets = example()
    groups = np.where(targets == 2, 1, 2 + np.arange(150))
    with pytest.raises(DataError, match="class 2 has 1"):
        fit_estimator("support_vectors", inputs, targets, groups)


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    inputs, targets = example()
    with pytest.raises(DataError, match=f"tree: there is no such estimator. Choose among {', '.join(ESTIMATORS)}"):
        fit_estimator("tree", inputs, targets, targets)
    with pytest.raises(DataError, match="--class-weights heavy: expected one of none, balanced"):
        fit_estimator("random_forest", inputs, targets, targets, "heavy")
