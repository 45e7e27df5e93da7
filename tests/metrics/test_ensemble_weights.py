"""Means, ranks and weights of members: against plain loops, a grid, and mixtures whose weights are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import log_loss, roc_auc_score

from nevus.metrics.ensemble import fit_weights, mean_probabilities, mean_ranks


def members_of(seed: int, num_members: int, num_images: int, num_classes: int) -> NDArray[np.float64]:
    logits = np.random.default_rng(seed).normal(0, 2, (num_members, num_images, num_classes))
    exponentials = np.exp(logits)
    return np.asarray(exponentials / exponentials.sum(axis=2, keepdims=True))


def test_the_weights_of_a_known_mixture_are_found() -> None:
    """Each image's class is drawn from 0.6, 0.4 and 0 parts of three members: that mixture is the truth itself."""
    members, true_weights = members_of(0, 3, 20000, 4), np.array([0.6, 0.4, 0.0])
    drawn = np.random.default_rng(1).random(20000)
    targets = (drawn[:, None] > mean_probabilities(members, true_weights).cumsum(axis=1)[:, :3]).sum(axis=1)
    assert fit_weights(members, targets) == pytest.approx(true_weights, abs=0.03)


def test_two_weights_are_those_of_a_fine_grid() -> None:
    members, targets = members_of(2, 2, 200, 3), np.random.default_rng(3).integers(0, 3, 200)
    members[0, np.arange(0, 200, 2), targets[::2]] += 1
    members[0] /= members[0].sum(axis=1, keepdims=True)
    grid = np.linspace(0, 1, 2001)
    own = members[:, np.arange(200), targets]
    losses = -np.log(grid[:, None] * own[0] + (1 - grid[:, None]) * own[1]).mean(axis=1)
    best, weights = grid[int(losses.argmin())], fit_weights(members, targets)
    assert 0.05 < best < 0.95, "the best must lie inside, or the test shows nothing"
    assert weights[0] == pytest.approx(best, abs=1e-3)
    assert log_loss(targets, mean_probabilities(members, weights), labels=range(3)) == pytest.approx(losses.min(), abs=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 40), st.integers(2, 5), st.booleans())
@settings(max_examples=60)
def test_weights_are_never_worse_than_the_best_member_or_the_mean(
    seed: int, num_members: int, num_images: int, num_classes: int, sure: bool
) -> None:
    members = members_of(seed, num_members, num_images, num_classes)
    if sure:
        members = np.eye(num_classes)[members.argmax(axis=2)]
    targets = np.random.default_rng(seed + 1).integers(0, num_classes, num_images)
    weights = fit_weights(members, targets)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)

    def loss(probabilities: NDArray[np.float64]) -> float:
        own = probabilities[np.arange(num_images), targets]
        return float(-np.log(np.maximum(own, np.finfo(np.float64).eps)).mean())

    others = [*(loss(member) for member in members), loss(members.mean(axis=0))]
    assert loss(mean_probabilities(members, weights)) <= min(others) + 1e-12


def test_a_search_that_stops_early_is_not_trusted_over_a_single_member(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.arange(30) % 3
    good, chance = 0.7 * np.eye(3)[targets] + 0.1, np.full((30, 3), 1 / 3)
    monkeypatch.setattr("nevus.metrics.ensemble.minimize", lambda *_, **__: SimpleNamespace(x=np.array([0.5, 0.5])))
    assert fit_weights([chance, good], targets).tolist() == [0, 1]


def test_one_good_member_among_chance_takes_all_weight() -> None:
    targets = np.random.default_rng(0).integers(0, 3, 100)
    good, chance = 0.7 * np.eye(3)[targets] + 0.1, np.full((100, 3), 1 / 3)
    assert fit_weights([chance, good], targets) == pytest.approx([0, 1], abs=1e-6)


def test_mean_ranks_are_those_of_a_loop_and_sum_to_one() -> None:
    members = members_of(4, 3, 12, 4).round(1)  # ties
    scores = np.zeros((12, 4))
    for name in range(4):
        rank = np.zeros(12)
        for member in members:
            for image in range(12):
                below = (member[:, name] < member[image, name]).sum()
                level = (member[:, name] == member[image, name]).sum()
                rank[image] += (below + (level + 1) / 2) / 3
        at_rank = np.mean([sorted(member[:, name]) for member in members], axis=0)
        for image in range(12):
            below, share = int(rank[image]), rank[image] % 1
            above = min(below, 11)
            scores[image, name] = (1 - share) * at_rank[below - 1] + share * at_rank[above]
    assert np.allclose(mean_ranks(members), scores / scores.sum(axis=1, keepdims=True))
    assert np.allclose(mean_ranks(members).sum(axis=1), 1)


def test_the_mean_ranks_of_one_member_are_the_member() -> None:
    member = members_of(5, 1, 50, 3)[0]
    assert np.allclose(mean_ranks([member, member]), member)


def test_between_two_classes_the_order_is_that_of_the_mean_ranks_whatever_the_scales() -> None:
    members, targets = members_of(6, 2, 80, 2), np.arange(80) % 2
    ranks = rankdata(members[:, :, 1], axis=1).mean(axis=0)
    assert roc_auc_score(targets, mean_ranks(members)[:, 1]) == roc_auc_score(targets, ranks)
    sharper = np.stack([1 - members[0, :, 1] ** 3, members[0, :, 1] ** 3], axis=1)
    assert roc_auc_score(targets, mean_ranks([sharper, members[1]])[:, 1]) == roc_auc_score(targets, ranks)


def test_with_many_classes_the_rows_sums_hardly_change_the_macro_auc_of_the_ranks() -> None:
    """One class in ten among seven: dividing shares of ranks by their sum would cost 0.03 here."""
    rng = np.random.default_rng(7)
    targets = np.where(rng.random(2000) < 0.7, 0, rng.integers(1, 7, 2000))
    logits = rng.normal(0, 1, (2, 2000, 7)) + 2 * np.eye(7)[targets] + np.array([3, *[0] * 6])
    members = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    ranks = rankdata(members, axis=1).mean(axis=0)

    def macro_auc(scores: NDArray[np.float64]) -> float:
        return float(np.mean([roc_auc_score(targets == k, scores[:, k]) for k in range(7)]))

    assert macro_auc(mean_ranks(members)) == pytest.approx(macro_auc(ranks), abs=0.002)
    assert macro_auc(ranks / ranks.sum(axis=1, keepdims=True)) < macro_auc(ranks) - 0.01, "or the test shows nothing"


def test_between_two_classes_probabilities_too_small_for_the_others_are_still_ranked() -> None:
    """1 - 1e-20 and 1 - 1e-19 are the same number: the first class would tie them."""
    positive = np.array([1e-20, 1e-19, 0.5])
    assert mean_ranks([np.stack([1 - positive, positive], axis=1)] * 2)[:, 1].tolist() == pytest.approx(positive)


def test_members_sure_of_different_classes_make_a_row_of_equal_shares_not_of_nan() -> None:
    """Each member gives 1 to another class for the first image, and agrees with the other on the rest."""
    rest = np.eye(3)[[0, 1, 2] * 6]
    members = [np.concatenate([np.eye(3)[[k]], rest]) for k in (0, 1)]
    ranked = mean_ranks(members)
    assert ranked[0].tolist() == pytest.approx([1 / 3] * 3)
    assert np.allclose(ranked.sum(axis=1), 1)
