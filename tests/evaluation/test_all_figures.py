"""All figures of a document: against scikit-learn, of predictors whose figures theory knows, and of too few images."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk

from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.figures import Judged, overall, per_class, value
from nevus.evaluation.predictions import Predictions
from nevus.metrics.classification import decide
from nevus.metrics.intervals import intervals

FOUR = ["bcc", "df", "mel", "nv"]


def judged(seed: int, num_images: int = 60, num_classes: int = 4, digits: int = 9) -> Judged:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_images)])
    probabilities = (rng.dirichlet(np.ones(num_classes), len(targets)) + np.eye(num_classes)[targets]).round(digits) / 2
    return Judged(targets, probabilities, decide(probabilities), probabilities[:, 2] > 0.4, 2)


def document(probabilities: NDArray[Any], targets: NDArray[Any], classes: list[str] = FOUR, **options: Any) -> dict[str, Any]:
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    table = table.assign(image_id=[f"i{n}" for n in range(len(table))], target=[classes[index] for index in targets])
    groups = options.pop("groups", None)
    table = table if groups is None else table.assign(group_id=groups)
    found = evaluate(Predictions.from_frame(table), num_resamples=20, **options)
    json.dumps(found, allow_nan=False)
    return found


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 9]))
@settings(max_examples=12)
def test_averages_over_classes_are_scikit_learns(seed: int, digits: int) -> None:
    rows = judged(seed, digits=digits)
    truth, scores, decided = np.eye(4)[rows.targets], rows.probabilities, rows.decisions
    assert decided is not None
    found = {name: value(figure, len(truth)) for name, figure in overall(rows).items()}
    for average in ("macro", "weighted", "micro"):
        assert found[f"{average}_auc"] == pytest.approx(sk.roc_auc_score(truth, scores, average=average))
        expected = sk.average_precision_score(truth, scores, average=average)
        assert found[f"{average}_average_precision"] == pytest.approx(expected)
    options: dict[str, Any] = {"labels": range(4), "zero_division": np.nan}
    for average in ("macro", "weighted"):
        assert found[f"{average}_f1"] == pytest.approx(sk.f1_score(rows.targets, decided, average=average, **options))
        each = sk.precision_score(rows.targets, decided, average=None, **options)
        weights = None if average == "macro" else np.bincount(rows.targets)
        expected = None if np.isnan(each).any() else np.average(each, weights=weights)
        assert found[f"{average}_precision"] == pytest.approx(expected)
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(rows.targets, decided))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(rows.targets, decided))


@given(st.integers(0, 10_000))
@settings(max_examples=5)
def test_one_class_against_the_rest_is_scikit_learns(seed: int) -> None:
    rows = judged(seed)
    assert rows.decisions is not None
    for index in range(4):
        truth, scores, named = rows.targets == index, rows.probabilities[:, index], rows.decisions == index
        found = {name: value(figure, len(truth)) for name, figure in per_class(rows, index).items()}
        assert found["sensitivity"] == pytest.approx(sk.recall_score(truth, named))
        assert found["specificity"] == pytest.approx(sk.recall_score(~truth, ~named))
        assert found["npv"] == pytest.approx(sk.precision_score(~truth, ~named))
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, named))
        assert found["f1"] == pytest.approx(sk.f1_score(truth, named))
        assert found["average_precision"] == pytest.approx(sk.average_precision_score(truth, scores))
        assert found["brier"] == pytest.approx(sk.brier_score_loss(truth, scores))
        assert found["log_loss"] == pytest.approx(sk.log_loss(truth, scores))
        if named.any():
            assert found["precision"] == pytest.approx(sk.precision_score(truth, named))
            assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(truth, named))


def test_figures_made_together_have_the_intervals_of_each_alone() -> None:
    rows = judged(0)
    groups = np.arange(len(rows.targets))
    together = intervals({k: f for k, f in overall(rows).items() if f}, groups, rows.targets, kind="bootstrap", num_resamples=250)
    for name in together:
        alone = intervals({name: overall(rows)[name]}, groups, rows.targets, kind="bootstrap", num_resamples=250)  # type: ignore[dict-item]
        assert together[name] == alone[name], name


def test_a_constant_predictor() -> None:
    targets = np.repeat(np.arange(4), [10, 20, 30, 40])
    found = document(np.tile([0.1, 0.2, 0.3, 0.4], (100, 1)), targets)
    metrics = {name: figure["value"] for name, figure in found["metrics"].items()}
    assert metrics["macro_auc"] == metrics["weighted_auc"] == pytest.approx(0.5)
    assert metrics["macro_average_precision"] == pytest.approx(0.25)
    assert [figures["average_precision"]["value"] for figures in found["per_class"].values()] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4]
    )
    assert metrics["balanced_accuracy"] == pytest.approx(0.25)
    assert metrics["accuracy"] == pytest.approx(0.4)
    # Correlation, and the precision of classes that are never named, are undefined and no free 0 or 1.
    assert metrics["mcc"] is None
    assert metrics["macro_precision"] is None
    # At the shares of the classes the Brier score is 1 − Σ π², the log-loss their entropy, and the calibration perfect.
    assert metrics["brier"] == pytest.approx(1 - 0.3)
    assert metrics["log_loss"] == pytest.approx(-sum(p * np.log(p) for p in (0.1, 0.2, 0.3, 0.4)))
    tied = document(np.full((100, 4), 0.25), targets)
    assert tied["metrics"]["accuracy"]["value"] == 0
    assert tied["confusion"]["undecided"] == [10, 20, 30, 40]


def test_a_perfect_predictor() -> None:
    targets = np.repeat(np.arange(4), 15)
    metrics = document(np.eye(4)[targets], targets)["metrics"]
    for name in ("macro_auc", "micro_auc", "macro_average_precision", "balanced_accuracy", "macro_f1", "mcc", "top_2_accuracy"):
        assert metrics[name]["value"] == pytest.approx(1), name
    for name in ("brier", "log_loss", "ece", "recall_sd"):
        assert metrics[name]["value"] == pytest.approx(0), name
    assert metrics["pauc_80"]["value"] == pytest.approx(0.2)


def test_a_reversed_predictor() -> None:
    targets = np.repeat([0, 1], 30)
    classes = ["benign", "malignant"]
    metrics = document(np.eye(2)[1 - targets], targets, classes, threshold=0.5)["metrics"]
    assert metrics["auc"]["value"] == 0
    assert metrics["pauc_80"]["value"] == 0
    assert metrics["mcc"]["value"] == pytest.approx(-1)
    assert metrics["brier"]["value"] == 1
    assert metrics["sensitivity"]["value"] == metrics["specificity"]["value"] == metrics["accuracy"]["value"] == 0
    # All positives tie at the bottom: precision is the prevalence.
    assert metrics["average_precision"]["value"] == pytest.approx(0.5)


def test_scores_that_are_no_probabilities_have_no_section_about_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr("nevus.evaluation.evaluate.SECTIONS", {"calibration": seen.append, "decision": seen.append})
    targets = np.repeat(np.arange(4), 15)
    scores = pd.DataFrame(np.random.default_rng(0).random((60, 4)), columns=[f"p_{name}" for name in FOUR])
    table = scores.assign(image_id=[f"i{n}" for n in range(60)], target=[FOUR[index] for index in targets])
    found = evaluate(Predictions.from_frame(table, by_column=True), num_resamples=20)
    assert "no probabilities" in found["calibration"]["reason"]
    assert found["decision"] is None
    assert len(seen) == 1
    document(np.eye(4)[targets], targets)
    assert len(seen) == 3


def test_one_class_only_says_what_can_be_computed() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 30)
    found = document(probabilities, np.full(30, 2))
    assert any("All test images are of one class, mel" in note for note in found["notes"])
    for name in ("macro_auc", "macro_average_precision", "balanced_accuracy", "mcc"):
        assert found["metrics"][name]["value"] is None
        assert found["metrics"][name]["reason"]
    for name in ("accuracy", "brier", "log_loss", "top_2_accuracy"):
        assert found["metrics"][name]["value"] is not None
    assert found["per_class"]["mel"]["sensitivity"]["value"] == found["metrics"]["accuracy"]["value"]


def test_few_positives_and_absent_classes_are_named() -> None:
    targets = np.repeat([0, 2, 3], [9, 10, 30])
    notes = document(np.random.default_rng(0).dirichlet(np.ones(4), 49), targets)["notes"]
    assert any(note.startswith("No test image of df:") for note in notes)
    assert any(note.startswith("Fewer than 10 images of bcc (9): figures that rest on them") for note in notes)


def test_weighted_averages_need_no_image_of_every_class() -> None:
    targets = np.repeat([0, 2, 3], 20)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    metrics = document(probabilities, targets)["metrics"]
    assert metrics["macro_auc"]["value"] is None
    expected = [sk.roc_auc_score(targets == index, probabilities[:, index]) for index in (0, 2, 3)]
    assert metrics["weighted_auc"]["value"] == pytest.approx(np.mean(expected))


def test_one_group_only_has_figures_and_no_intervals() -> None:
    targets = np.repeat(np.arange(4), 12)
    found = document(np.random.default_rng(0).dirichlet(np.ones(4), 48), targets, groups="one")
    assert any("All test images are of one group" in note for note in found["notes"])
    assert found["metrics"]["macro_auc"]["value"] is not None
    assert found["num_groups"] == 1
    for figure in found["metrics"].values():
        assert figure["low"] is None
        assert "no interval" in figure["method"]
