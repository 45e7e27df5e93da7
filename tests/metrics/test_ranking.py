"""Against scikit-learn, the official scorer and a loop over repeated images; constant, perfect and reversed predictors."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isic_challenge_scoring import metrics as official
from numpy.typing import NDArray
from sklearn import metrics as sk

from nevus.metrics import ranking as r
from nevus.metrics.classification import weighted_auc

seeds = st.integers(0, 10_000)


def scored(seed: int, num_images: int, num_levels: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < rng.choice([0.1, 0.4, 0.8])])
    return positives, rng.integers(0, num_levels + 1, len(positives)) / num_levels


@pytest.mark.slow
@given(seeds, st.integers(2, 80), st.sampled_from([1, 2, 7, 1000]))
@settings(max_examples=50)
def test_ties_and_all_as_scikit_learn_and_the_official_scorer(seed: int, num_images: int, num_levels: int) -> None:
    positives, scores = scored(seed, num_images, num_levels)
    assert r.average_precision(positives, scores) == pytest.approx(sk.average_precision_score(positives, scores))
    truth, given_scores, ones = pd.Series(positives.astype(float)), pd.Series(scores), pd.Series(np.ones(len(scores)))
    for wanted in (0.8, 0.5, 1.0):
        theirs = official.auc_above_sensitivity(truth, given_scores, ones, wanted)
        assert r.auc_above_sensitivity(positives, scores, wanted) == pytest.approx(theirs)


@given(seeds, st.integers(10, 80), st.sampled_from([3, 1000]))
def test_partial_auc_is_isic_2024s(seed: int, num_images: int, num_levels: int) -> None:
    positives, scores = scored(seed, num_images, num_levels)
    # The challenge's own code: swap the classes, then scikit-learn's standardised partial AUC, scaled back.
    max_fpr = 0.2
    standardised = sk.roc_auc_score(~positives, -scores, max_fpr=max_fpr)
    expected = 0.5 * max_fpr**2 + (max_fpr - 0.5 * max_fpr**2) / 0.5 * (standardised - 0.5)
    assert r.partial_auc(positives, scores) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@given(seeds, st.integers(2, 30), st.sampled_from([1, 4, 1000]))
def test_weights_are_repetitions(seed: int, num_images: int, num_levels: int) -> None:
    positives, scores = scored(seed, num_images, num_levels)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(positives))).astype(float)
    weights[:, 0] = 1
    ranking = r.Ranking.of(positives, scores)
    found = [ranking.auc(weights), ranking.average_precision(weights), *ranking.above(weights)]
    for index, row in enumerate(weights):
        rows = np.repeat(np.arange(len(row)), row.astype(int))
        figures = (r.average_precision, r.partial_auc, r.auc_above_sensitivity)
        alone = [figure(positives[rows], scores[rows]) for figure in figures]
        assert [part[index] for part in found[1:]] == pytest.approx(alone, nan_ok=True)
    assert found[0] == pytest.approx(weighted_auc(positives, scores, weights), nan_ok=True)


@pytest.mark.parametrize(
    ("scores", "auc", "precision", "partial"),
    [
        (lambda truth: np.full(len(truth), 0.3), 0.5, 0.25, 0.02),
        (lambda truth: truth.astype(float), 1.0, 1.0, 0.2),
        # Reversed, the three positives come last: 1/3 (1/10 + 2/11 + 3/12).
        (lambda truth: 1.0 - truth, 0.0, 0.25, 0.0),
    ],
    ids=["constant", "perfect", "reversed"],
)
def test_what_theory_says(scores: Callable[..., NDArray[np.float64]], auc: float, precision: float, partial: float) -> None:
    truth = np.arange(12) < 3
    weights = np.ones((1, 12))
    assert r.Ranking.of(truth, scores(truth)).auc(weights) == pytest.approx(auc)
    assert r.average_precision(truth, scores(truth)) == pytest.approx(precision)
    assert r.partial_auc(truth, scores(truth)) == pytest.approx(partial)


def test_a_reversed_ranking_without_ties_has_the_smallest_precision() -> None:
    truth = np.arange(12) < 3
    assert r.average_precision(truth, np.arange(12.0)) == pytest.approx((1 / 10 + 2 / 11 + 3 / 12) / 3)


def test_undefined_is_nan() -> None:
    assert np.isnan(r.average_precision([False, False], [0.1, 0.2]))
    assert r.average_precision([True, True], [0.1, 0.2]) == 1
    for truth in ([False, False], [True, True]):
        assert np.isnan(r.partial_auc(truth, [0.1, 0.2]))
        assert np.isnan(r.auc_above_sensitivity(truth, [0.1, 0.2]))
        assert np.isnan(r.Ranking.of(truth, [0.1, 0.2]).auc(np.ones((1, 2)))).all()


@given(seeds)
@settings(max_examples=20)
def test_a_micro_average_ranks_every_cell_with_its_images_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table, targets = rng.dirichlet(np.ones(3), 20).round(1), rng.integers(0, 3, 20)
    truth = np.eye(3, dtype=bool)[targets]
    weights = rng.integers(0, 3, (2, 20)).astype(float)
    found = r.Ranking.of(truth.ravel(), table.ravel(), np.repeat(np.arange(20), 3)).auc(weights)
    for row, value in zip(weights, found, strict=True):
        expected = sk.roc_auc_score(truth.ravel(), table.ravel(), sample_weight=np.repeat(row, 3))
        assert value == pytest.approx(expected)
