"""Novelty scores against torch, NumPy's own inverse, scikit-learn and a loop; they survive being stored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest as Forest

from nevus.evaluation.novelty_baselines import BASELINES, fit_baselines
from nevus.metrics.novelty import Novelty, accepted_others, energy
from nevus.training.novelty import fit_mahalanobis, fit_novelty, sample_rows, thresholds

RNG = np.random.default_rng(5)
FEATURES = (RNG.normal(size=(400, 12)) @ RNG.normal(size=(12, 12)) + np.arange(400)[:, None] % 3).astype(np.float32)
TARGETS = np.arange(400) % 3
OTHERS = np.concatenate([FEATURES[:50] * 3 + 1, RNG.normal(size=(50, 12)).astype(np.float32)])


def test_energy_is_torchs_and_does_not_overflow() -> None:
    logits = np.array([[1000.0, 0.0], [-3.0, 2.0], [0.0, 0.0]])
    assert energy(logits) == pytest.approx(-torch.logsumexp(torch.from_numpy(logits), dim=1).numpy())


def test_the_distance_is_that_of_the_shrunk_covariances_inverse() -> None:
    means = np.stack([FEATURES[index == TARGETS].mean(axis=0, dtype=np.float64) for index in range(3)])
    inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(FEATURES - means[TARGETS]).covariance_)
    apart = OTHERS[:, None] - means
    expected = np.einsum("ncf,fg,ncg->nc", apart, inverse, apart).min(axis=1)
    assert fit_mahalanobis(FEATURES, TARGETS)(OTHERS) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("num_rows", [90, 600])
def test_with_more_features_than_rows_or_directions_the_variance_is_kept(num_rows: int) -> None:
    many = RNG.normal(size=(num_rows, 300)).astype(np.float32) * np.linspace(3, 0.2, 300, dtype=np.float32)
    distance = fit_mahalanobis(many, np.arange(num_rows) % 2)
    kept = len(distance.variances)
    assert kept == min(256, num_rows - 2)
    assert distance.directions @ distance.directions.T == pytest.approx(np.eye(kept), abs=1e-4)
    apart = many - np.stack([many[index::2].mean(axis=0) for index in (0, 1)])[np.arange(num_rows) % 2]
    whole = distance.variances.sum() + (300 - kept) * distance.rest
    assert whole == pytest.approx((apart**2).sum() / num_rows, rel=1e-3)
    assert distance(many * 10).mean() > 10 * distance(many).mean()


def test_only_the_first_features_are_looked_at_and_no_class_is_known() -> None:
    inverse = np.linalg.inv(LedoitWolf().fit(FEATURES).covariance_)
    apart = OTHERS - FEATURES.mean(axis=0, dtype=np.float64)
    expected = np.einsum("nf,fg,ng->n", apart, inverse, apart)
    novelty = fit_novelty(FEATURES)
    more = np.concatenate([OTHERS, RNG.normal(size=(100, 7)) * 1e6], axis=1)
    assert novelty.scores(np.zeros((100, 3)), more)["mahalanobis"] == pytest.approx(expected, rel=1e-3)


def test_the_baselines_are_the_published_ones() -> None:
    found = fit_baselines(FEATURES, TARGETS, seed=3)(OTHERS)
    forest = Forest(n_estimators=100, max_samples=256, random_state=3).fit(FEATURES)
    assert found["isolation"] == pytest.approx(-forest.score_samples(OTHERS))
    assert found["class_mahalanobis"] == pytest.approx(fit_mahalanobis(FEATURES, TARGETS)(OTHERS))
    assert tuple(found) == BASELINES


def test_the_scores_are_stored_without_loss() -> None:
    novelty = fit_novelty(FEATURES)
    again = Novelty.from_tensors(load(save(novelty.tensors())))
    logits = np.zeros((100, 3))
    for name, values in novelty.scores(logits, OTHERS).items():
        assert (again.scores(logits, OTHERS)[name] == values).all(), name
    # Where every direction is kept there is no variance beside them, and none is divided by.
    assert np.isinf(again.mahalanobis.rest)
    assert not np.isinf(replace(again.mahalanobis, rest=1.0)(OTHERS)).any()


def test_thresholds_accept_what_they_promise_of_whole_groups() -> None:
    scores = np.arange(200.0)
    limits = thresholds({"mahalanobis": scores}, np.arange(200))
    assert limits["thresholds"]["mahalanobis"] == {"0.95": 190.0, "0.97": 194.0, "0.99": 198.0}
    assert (limits["decides"], limits["accepted"]) == ("mahalanobis", "0.97")
    by_two = thresholds({"mahalanobis": scores}, np.arange(200) // 4)
    assert by_two["thresholds"]["mahalanobis"]["0.99"] is None, "of 50 groups none can promise 99 of 100"
    assert by_two["accepted"] == "0.97"
    assert thresholds({"mahalanobis": scores}, np.arange(200) // 8)["accepted"] == "0.95"
    assert thresholds({"mahalanobis": scores[:9]}, np.arange(9))["accepted"] is None


def test_at_most_two_thousand_rows_are_drawn_and_always_the_same() -> None:
    rows = np.arange(10, 5010)
    drawn = sample_rows(rows, 1)
    assert len(drawn) == len(set(drawn)) == 2000
    assert set(drawn) <= set(rows)
    assert (drawn == sample_rows(rows, 1)).all()
    assert (drawn != sample_rows(rows, 2)).any()
    assert (sample_rows(rows[:30], 1) == rows[:30]).all()


def test_accepted_others_is_a_loops_and_weights_count_as_repeats() -> None:
    others = RNG.random(120) < 0.4
    scores = RNG.integers(0, 30, 120).astype(float)  # with ties
    weights = RNG.integers(0, 4, (20, 120)).astype(float)
    found = accepted_others(others, scores)(weights)
    for row, value in zip(weights.astype(int), found, strict=True):
        repeated, strange = np.repeat(scores, row), np.repeat(others, row)
        own = np.sort(repeated[~strange])
        threshold = own[int(np.ceil(0.95 * len(own) - 1e-9)) - 1]
        assert value == pytest.approx((repeated[strange] <= threshold).mean())
