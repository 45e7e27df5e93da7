import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from nevus.data.audit import neighbours
from nevus.data.audit.neighbours import pairs_within


def found(points: np.ndarray, radius: float) -> set[tuple[int, int]]:
    pairs = [pair for first, second in pairs_within(points, radius) for pair in zip(first.tolist(), second.tolist(), strict=True)]
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@given(st.integers(0, 10_000), st.integers(2, 14), st.floats(0.05, 2.0))
@settings(max_examples=25)
def test_the_pairs_are_those_of_a_reference(seed: int, dimensions: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(0, rng.uniform(0.2, 3, dimensions), (400, dimensions)).astype(np.float32)
    points[200:230] = points[:30]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_LEAF", 16)
        ours = found(points, radius)
    exact = points.astype(np.float64)
    theirs = cKDTree(exact).query_pairs(radius)
    for first, second in ours ^ theirs:  # only what float32 cannot decide may differ
        assert np.linalg.norm(exact[first] - exact[second]) == pytest.approx(radius, abs=1e-4)


def test_between_far_clusters_nothing_is_lost_to_rounding() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (300, 5)) + np.where(np.arange(300) < 150, 0, 3e4)[:, None]
    points = np.concatenate([points, points + 0.2]).astype(np.float32)
    assert {(row, row + 300) for row in range(300)} <= found(points, 1.0)


def test_one_point_and_none() -> None:
    assert found(np.zeros((1, 3), np.float32), 1) == set()
    assert found(np.zeros((0, 3), np.float32), 1) == set()


def test_not_all_pairs_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    close = neighbours._close

    def counted(points: np.ndarray, own: np.ndarray, others: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        nonlocal compared
        compared += len(own) * len(others)
        return close(points, own, others, radius)

    monkeypatch.setattr(neighbours, "_close", counted)
    points = np.random.default_rng(1).normal(0, 20, (10_000, 6)).astype(np.float32)
    found(points, 1.0)
    assert compared < 0.2 * 10_000**2
