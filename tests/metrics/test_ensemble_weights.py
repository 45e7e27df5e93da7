"""Means, ranks and weights of members: against plain loops, a grid, and mixtures whose weights are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
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
    monkeypatch.setattr("nevus.metrics.ensemble.minimize", lambda *_, **__: OptimizeResult({"x": np.array([0.5, 0.5])}))
    assert fit_weights([chance, good], targets).tolist() == [0, 1]


def test_one_good_member_among_chance_takes_all_weight() -> None:
    targets = np.random.default_rng(0).integers(0, 3, 100)
    good, chance = 0.7 * np.eye(3)[targets] + 0.1, np.full((100, 3), 1 / 3)
    assert fit_weights([chance, good], targets) == pytest.approx([0, 1], abs=1e-6)


def test_mean_ranks_are_those_of_a_loop_and_sum_to_one() -> None:
    members = members_of(4, 3, 12, 4).round(1)  # ties
    scores = np.zeros((12, 4))
    for name in range(4):
        ranks = [0] * 12
        for image in range(12):
            for member in members:
                below, level = (member[:, name] < member[image, name]).sum(), (member[:, name] == member[image, name]).sum()
                ranks[image] += int(2 * below + level)
        means = sorted(members[:, :, name].mean(axis=0))
        for image in range(12):
            first, last = sum(rank < ranks[image] for rank in ranks), sum(rank <= ranks[image] for rank in ranks)
            scores[image, name] = np.mean(means[first:last])
    assert np.allclose(mean_ranks(members), scores / scores.sum(axis=1, keepdims=True))
    assert np.allclose(mean_ranks(members).sum(axis=1), 1)


def test_the_order_between_two_classes_is_that_of_the_mean_ranks_whatever_the_members_scales() -> None:
    first, second, targets = *members_of(5, 2, 50, 2), np.arange(50) % 2
    ranks = rankdata(first[:, 1]) + rankdata(second[:, 1])
    ranked = mean_ranks([first, second])
    assert roc_auc_score(targets, ranked[:, 1]) == roc_auc_score(targets, ranks)
    # A member with other scales and the same order changes no image's place: that is what ranks are for.
    sharper = np.stack([1 - second[:, 1] ** 3, second[:, 1] ** 3], axis=1)
    assert (rankdata(mean_ranks([first, sharper])[:, 1]) == rankdata(ranked[:, 1])).all()
    assert (rankdata(mean_probabilities([first, sharper])[:, 1]) != rankdata(mean_probabilities([first, second])[:, 1])).any()


def test_of_many_classes_of_unlike_sizes_the_order_is_kept_too() -> None:
    """Ranks that are divided by their sum lose it: an image with high ranks in other classes falls behind."""
    rng = np.random.default_rng(0)
    targets = rng.choice(5, 2000, p=[0.7, 0.15, 0.1, 0.03, 0.02])
    logits = rng.normal(0, 1.5, (2, 2000, 5)) + np.log([0.7, 0.15, 0.1, 0.03, 0.02]) + 3 * np.eye(5)[targets]
    members = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    ranks = rankdata(members, axis=1).mean(axis=0)
    divided, scores = ranks / ranks.sum(axis=1, keepdims=True), mean_ranks(members)

    def areas(table: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([roc_auc_score(targets == name, table[:, name]) for name in range(5)])

    assert np.abs(areas(scores) - areas(ranks)).max() < 0.01
    assert np.abs(areas(divided) - areas(ranks)).max() > 0.02


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 30), st.integers(2, 5), st.sampled_from([0, 1, 15]))
@settings(max_examples=60)
def test_members_that_are_the_same_give_their_ranks_and_probabilities_back(
    seed: int, num_members: int, num_images: int, num_classes: int, digits: int
) -> None:
    """With no digits the members are sure, 0 or 1, and sums of 0 must not divide."""
    member = members_of(seed, 1, num_images, num_classes)[0]
    member = np.eye(num_classes)[member.argmax(axis=1)] if digits == 0 else member.round(digits)
    member[:, 0] = np.maximum(1 - member[:, 1:].sum(axis=1), 0)
    member /= member.sum(axis=1, keepdims=True)
    assert np.allclose(mean_ranks([member] * num_members), member, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 8), st.integers(3, 4))
@settings(max_examples=60)
def test_members_that_are_sure_and_disagree_leave_no_row_without_scores(
    seed: int, num_members: int, num_images: int, num_classes: int
) -> None:
    members = np.eye(num_classes)[members_of(seed, num_members, num_images, num_classes).argmax(axis=2)]
    assert np.allclose(mean_ranks(members).sum(axis=1), 1)


def test_between_two_classes_probabilities_too_small_for_the_others_are_still_ranked() -> None:
    """1 - 1e-20 and 1 - 1e-19 are the same number: the first class would tie them."""
    positive = np.array([1e-20, 1e-19, 0.5])
    ranked = mean_ranks([np.stack([1 - positive, positive], axis=1)] * 2)
    assert ranked[:, 1].tolist() == positive.tolist()
