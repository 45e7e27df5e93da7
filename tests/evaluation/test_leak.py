"""The leak experiment: its design holds what it promises, and its figures are those of a hand-worked table."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.data.manifest import Manifest
from nevus.data.splits import Parts
from nevus.errors import DataError
from nevus.evaluation.leak import compare_arms, design, inject, leak_table
from nevus.recipe import Recipe


def parts_of(seed: int) -> tuple[Parts, np.ndarray, np.ndarray]:
    """Groups of one to four images, dealt whole to training, validation and test."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, 300)
    groups = np.repeat(np.arange(300), sizes)
    targets = np.repeat(rng.integers(0, 3, 300), sizes)
    place = np.repeat(rng.choice(3, 300, p=[0.7, 0.1, 0.2]), sizes)
    rows = np.arange(len(groups))
    return Parts(rows[place == 0], rows[place == 1], rows[place == 2]), groups, targets


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_both_arms_test_the_same_images_and_train_on_as_many_of_each_class(seed: int) -> None:
    parts, groups, targets = parts_of(seed)
    plan = design(parts, groups, targets, seed)
    assert len(np.unique(groups[plan.test])) == len(plan.test), "one tested image a group"
    assert set(groups[plan.test]) == set(groups[parts.test])
    assert np.bincount(targets[plan.clean]).tolist() == np.bincount(targets[plan.leaky]).tolist()
    assert len(np.unique(plan.leaky)) == len(plan.leaky)
    assert not set(groups[plan.clean]) & set(groups[plan.test]), "no sibling in the clean arm"
    assert not set(plan.leaky) & set(plan.test), "siblings leak, the tested photos themselves do not"
    siblings = np.setdiff1d(parts.test, plan.test)
    assert set(siblings) == set(plan.leaky) - set(plan.clean)
    assert (plan.affected == np.isin(groups[plan.test], groups[siblings])).all()
    assert not (set(plan.clean) | set(plan.leaky)) & set(plan.validation)
    assert plan.num_injected == len(siblings)


def test_without_siblings_there_is_nothing_to_leak() -> None:
    rows = np.arange(10)
    with pytest.raises(DataError, match="nothing can leak"):
        design(Parts(rows[:6], rows[6:8], rows[8:]), rows, rows % 2, 0)


def test_too_few_images_to_take_out_are_named() -> None:
    groups = np.array([0, 1, 2, 3, 3, 3])
    with pytest.raises(DataError, match="class 1: 2 siblings to put in, 1 training images"):
        design(Parts(np.array([0, 1]), np.array([2]), np.array([3, 4, 5])), groups, np.array([0, 1, 0, 1, 1, 1]), 0)


def test_figures_of_a_hand_worked_table() -> None:
    """Five images ten times over: two of class 0, two of class 1 with these probabilities, and one of class 2, certain."""
    targets = np.array([0, 0, 1, 1, 2] * 10)

    def table(of_class_1: list[float]) -> np.ndarray:
        one = np.array([[1 - p, p, 0] for p in of_class_1] + [[0, 0, 1]])
        return np.tile(one, (10, 1))

    figures = compare_arms([table([0.2, 0.6, 0.4, 0.9]), table([0.2, 0.3, 0.6, 0.9])], targets, np.zeros(50, np.int64))
    # Classes 0 and 1 have one pair of six the wrong way round each.
    assert figures["macro_auc"]["clean"] == pytest.approx((5 / 6 + 5 / 6 + 1) / 3)
    assert figures["macro_auc"]["leaky"] == pytest.approx(1)
    assert figures["accuracy"]["clean"] == pytest.approx(0.6)
    assert figures["balanced_accuracy"]["inflation"]["value"] == pytest.approx(1 / 3)
    assert figures["true_class_probability"]["clean"] == pytest.approx((0.8 + 0.4 + 0.4 + 0.9 + 1) / 5)
    gain = figures["accuracy"]["inflation"]
    assert gain["low"] < 0.4 < gain["high"]
    assert gain["n"] == 50


def test_between_two_classes_nothing_is_decided_at_a_half() -> None:
    targets, clean = np.array([0, 0, 1, 1] * 10), np.tile([0.2, 0.6, 0.4, 0.9], 10)
    figures = compare_arms([np.stack([1 - clean, clean], axis=1)] * 2, targets, np.zeros(40, np.int64))
    assert set(figures) == {"auc", "true_class_probability"}
    assert figures["auc"]["clean"] == pytest.approx(0.75)


def test_equal_arms_have_no_inflation_and_an_interval_of_nothing() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), 90)
    figures = compare_arms([probabilities, probabilities], rng.integers(0, 3, 90), np.repeat([0, 1], 45))
    for figure in figures.values():
        assert (figure["inflation"]["value"], figure["inflation"]["low"], figure["inflation"]["high"]) == (0, 0, 0)


@pytest.mark.slow
def test_the_experiment_runs_end_to_end_and_is_gone_on_with(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    recipe = tiny.with_settings(["training.epochs=1"])
    document = inject(recipe, phantoms, tmp_path / "leak", num_repeats=1)
    assert document == json.loads((tmp_path / "leak" / "leak.json").read_text())
    counts = document["num_test_images"]
    assert counts["all"] == counts["affected"] + counts["unaffected"]
    assert "affected" in leak_table(document)
    weights = tmp_path / "leak" / "repeat-0" / "leaky" / "bundle" / "weights.safetensors"
    trained = weights.stat().st_mtime_ns
    again = inject(recipe, phantoms, tmp_path / "leak", num_repeats=1)
    assert again["figures"] == document["figures"]
    assert weights.stat().st_mtime_ns == trained, "a finished arm is not trained again"
    with pytest.raises(DataError, match=r"--repeats 3: expected 1 to 2"):
        inject(recipe, phantoms, tmp_path / "leak", num_repeats=3)
