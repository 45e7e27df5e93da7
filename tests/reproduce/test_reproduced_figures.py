"""Ours for each published column, against scikit-learn; and how figures are written."""

import numpy as np
import pytest
from ended_runs import CLASSES, evaluation_of
from sklearn.metrics import precision_recall_fscore_support

from nevus.reproduce.figures import FACTS, compared, difference, figure, written
from nevus.reproduce.published import papers, published


def test_weighted_averages_are_those_of_scikit_learn() -> None:
    document = evaluation_of("diagnosis", "strict")
    matrix = np.array(document["confusion"]["matrix"])
    assert len(set(matrix.sum(axis=1))) == 7, "equal classes would not tell a weighted mean from another"
    targets = np.repeat(np.arange(7), matrix.sum(axis=1))
    decisions = np.concatenate([np.repeat(np.arange(7), row) for row in matrix])
    precision, recall, f1, _ = precision_recall_fscore_support(targets, decisions, average="weighted")
    found = [figure(name, document, {})["value"] for name in ("weighted_precision", "weighted_sensitivity", "weighted_f1")]
    np.testing.assert_allclose(found, [precision, recall, f1])


def test_weights_are_the_classes_images_and_macro_counts_each_class_alike() -> None:
    """By hand: 0.5 of 30 images and 0.9 of 10."""
    values = {"a": (0.5, 30), "b": (0.9, 10)}
    per_class = {
        name: {"sensitivity": {"value": value, "n": count}, "specificity": {"value": value, "n": 40}}
        for name, (value, count) in values.items()
    }
    assert figure("weighted_specificity", {"per_class": per_class}, {})["value"] == pytest.approx(0.6)
    assert figure("macro_specificity", {"per_class": per_class}, {})["value"] == pytest.approx(0.7)
    per_class["b"]["specificity"]["value"] = None  # type: ignore[assignment]
    assert figure("macro_specificity", {"per_class": per_class}, {})["value"] is None


@pytest.mark.parametrize("paper", papers())
def test_every_published_column_has_a_figure(paper: str) -> None:
    task = "malignant" if paper == "zoome" else "diagnosis"
    document = evaluation_of(task, "strict")
    assert set(document["classes"]) == set(CLASSES[task])
    for table in published(paper):
        for column in table.columns:
            assert figure(column, document, dict.fromkeys(FACTS, 1.0))["value"] is not None, column


def test_a_mean_over_folds_stands_beside_a_mean_over_folds() -> None:
    ours = {"value": 0.9, "fold_mean": 0.8}
    assert (compared(ours, 10), compared(ours, 1), compared({"value": 0.9, "fold_mean": None}, 10)) == (0.8, 0.9, 0.9)


def test_a_difference_is_ours_less_theirs() -> None:
    assert difference(0.85, "84.59%") == pytest.approx(0.0041)
    assert difference(2_666_922, "5.5M") == pytest.approx(-2_833_078)
    assert difference(None, "0.9") is None
    assert difference(1.0, "Unknown") is None


def test_figures_are_written_as_their_columns_print_them() -> None:
    assert written("auc", 0.92234, percent=True) == "92.23"
    assert written("accuracy", -0.0004, signed=True) == "+0.000"
    assert written("parameters", -2_833_078, signed=True) == "-2.83M"
    assert written("size_mb", -0.3, signed=True) == "+0"
    assert written("depth", 110) == "110"
    assert written("accuracy", None) == "–"
