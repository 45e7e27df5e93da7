"""Against scikit-learn on random input, and a table worked by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isic_challenge_scoring.metrics import balanced_multiclass_accuracy
from sklearn import metrics as sk

from nevus.metrics import classification as c

seeds = st.integers(0, 10_000)

# Truth in rows, decisions in columns.      recall  specificity  precision  F1
#        a  b  c
#   a    8  1  1   TP 8 FN 2 FP 3 TN 17      8/10    17/20        8/11       16/21
#   b    2  6  2   TP 6 FN 4 FP 2 TN 18      6/10    18/20        6/8        12/18
#   c    1  1  8   TP 8 FN 2 FP 3 TN 17      8/10    17/20        8/11       16/21
HAND = np.array([[8, 1, 1], [2, 6, 2], [1, 1, 8]])


def test_the_table_worked_by_hand() -> None:
    assert c.sensitivity(HAND) == pytest.approx([0.8, 0.6, 0.8])
    assert c.specificity(HAND) == pytest.approx([0.85, 0.9, 0.85])
    assert c.precision(HAND) == pytest.approx([8 / 11, 6 / 8, 8 / 11])
    assert c.f1(HAND) == pytest.approx([16 / 21, 12 / 18, 16 / 21])
    assert c.accuracy(HAND) == pytest.approx(22 / 30)
    assert c.balanced_accuracy(HAND) == pytest.approx(2.2 / 3)
    # ((0.8 + 0.85) + (0.6 + 0.9) + (0.8 + 0.85)) / 6: another figure than the mean recall, as the 2022 paper computes it.
    assert c.ovr_balanced_accuracy(HAND) == pytest.approx(4.8 / 6)


@pytest.mark.parametrize(
    ("recalls", "printed"),
    [
        ([0.85, 0.75, 0.78, 0.83, 0.63, 0.96, 1.0], 0.116),  # DenseNet-201 + metadata, Table 6
        ([0.72, 0.76, 0.75, 0.92, 0.58, 0.92, 0.92], 0.12),  # MobileNetV3-Large, Table 6
        ([0.76, 0.84, 0.68, 1.0, 0.52, 0.82, 0.93], 0.147),  # MobileNetV3-Small, Table 6
    ],
)
def test_spread_is_the_2022_papers_sigma(recalls: list[float], printed: float) -> None:
    assert c.spread(recalls) == pytest.approx(printed, abs=1.2e-3)
    assert abs(np.std(recalls, ddof=1) - printed) > 4e-3


@given(seeds, st.integers(2, 5), st.integers(8, 60))
@settings(max_examples=25)
def test_decisions_are_judged_as_scikit_learn_does(seed: int, num_classes: int, num_images: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_images)])
    decisions = np.concatenate([rng.permutation(num_classes), rng.integers(0, num_classes, num_images)])
    matrix = c.confusion_matrix(targets, decisions, num_classes)
    assert (matrix == sk.confusion_matrix(targets, decisions)).all()
    precision, recall, f1, _ = sk.precision_recall_fscore_support(targets, decisions)
    assert c.sensitivity(matrix) == pytest.approx(recall)
    assert c.precision(matrix) == pytest.approx(precision)
    assert c.f1(matrix) == pytest.approx(f1)
    assert c.accuracy(matrix) == pytest.approx(sk.accuracy_score(targets, decisions))
    assert c.balanced_accuracy(matrix) == pytest.approx(sk.balanced_accuracy_score(targets, decisions))
    assert c.matthews(matrix) == pytest.approx(sk.matthews_corrcoef(targets, decisions))
    for index in range(num_classes):
        truth, decided = targets == index, decisions == index
        table = c.confusion_matrix(truth, decided, 2)
        assert c.specificity(matrix)[index] == pytest.approx(sk.recall_score(~truth, ~decided))
        assert c.matthews(table) == pytest.approx(sk.matthews_corrcoef(truth, decided))


@given(seeds, st.integers(3, 5), st.integers(1, 40))
@settings(max_examples=20)
def test_an_undecided_image_is_a_miss_and_nobodys_alarm(seed: int, num_classes: int, num_images: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_images)])
    decisions = np.concatenate([[num_classes], rng.permutation(num_classes), rng.integers(0, num_classes + 1, num_images - 1)])
    matrix = c.confusion_matrix(targets, decisions, num_classes)
    assert matrix.shape == (num_classes, num_classes + 1)
    named = list(range(num_classes))
    options = {"labels": named, "average": None, "zero_division": np.nan}
    assert c.sensitivity(matrix) == pytest.approx(sk.recall_score(targets, decisions, **options))
    assert c.precision(matrix) == pytest.approx(sk.precision_score(targets, decisions, **options), nan_ok=True)
    assert c.f1(matrix) == pytest.approx(sk.f1_score(targets, decisions, **options))
    assert c.accuracy(matrix) == pytest.approx(sk.accuracy_score(targets, decisions))
    assert c.matthews(matrix) == pytest.approx(sk.matthews_corrcoef(targets, decisions))
    for index in range(num_classes):
        assert c.specificity(matrix)[index] == pytest.approx(sk.recall_score(targets != index, decisions != index))


@given(seeds, st.integers(3, 6), st.integers(1, 4))
@settings(max_examples=30)
def test_top_guesses_are_scikit_learns_where_nothing_ties(seed: int, num_classes: int, num_guesses: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, 20)])
    probabilities = rng.dirichlet(np.ones(num_classes), len(targets))
    hits = c.in_top(targets, probabilities, min(num_guesses, num_classes))
    expected = sk.top_k_accuracy_score(targets, probabilities, k=num_guesses) if num_guesses < num_classes else 1.0
    assert hits.mean() == pytest.approx(expected)
    assert (c.in_top(targets, probabilities, 1) == (c.decide(probabilities) == targets)).all()


def test_a_tie_is_no_decision_and_no_first_guess() -> None:
    table = [[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.3, 0.3, 0.4]]
    assert c.decide(table).tolist() == [3, 3, 2]
    assert c.in_top([0, 2, 1], table, 1).tolist() == [False, False, False]
    assert c.in_top([0, 2, 1], table, 2).tolist() == [True, True, False]


@pytest.mark.slow
@given(seeds, st.integers(3, 80), st.integers(1, 8))
def test_scores_with_ties_are_judged_as_scikit_learn_does(seed: int, num_images: int, num_levels: int) -> None:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < 0.4])
    scores = rng.integers(0, num_levels + 1, len(positives)) / num_levels
    assert c.roc_auc(positives, scores) == pytest.approx(sk.roc_auc_score(positives, scores))
    false_rate, true_rate, thresholds = c.roc_curve(positives, scores)
    expected = sk.roc_curve(positives, scores, drop_intermediate=False)
    for found, reference in zip((false_rate, true_rate, thresholds), expected, strict=True):
        assert found == pytest.approx(reference)
    precision, recall, at = c.precision_recall_curve(positives, scores)
    theirs = sk.precision_recall_curve(positives, scores)
    # Theirs rise in threshold and end in an artificial point (1, 0).
    assert precision[::-1] == pytest.approx(theirs[0][:-1])
    assert recall[::-1] == pytest.approx(theirs[1][:-1])
    assert at[::-1] == pytest.approx(theirs[2])


@given(seeds)
@settings(max_examples=25)
def test_macro_auc(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(4), rng.integers(0, 4, 40)])
    probabilities = rng.dirichlet(np.ones(4), len(targets))
    expected = sk.roc_auc_score(targets, probabilities, multi_class="ovr")
    assert c.macro_auc(targets, probabilities) == pytest.approx(expected)


@given(seeds, st.integers(2, 30))
def test_weights_are_repetitions(seed: int, num_images: int) -> None:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < 0.5])
    scores = rng.integers(0, 5, len(positives)) / 4
    weights = rng.integers(0, 4, (3, len(positives))).astype(float)
    for row, found in zip(weights, c.weighted_auc(positives, scores, weights), strict=True):
        repeated = np.repeat(np.arange(len(row)), row.astype(int))
        assert found == pytest.approx(c.roc_auc(positives[repeated], scores[repeated]), nan_ok=True)


def test_undefined_is_nan_never_one() -> None:
    matrix = np.array([[5, 0], [0, 0]])
    assert np.isnan(c.sensitivity(matrix)[1])
    assert np.isnan(c.precision(matrix)[1])
    assert np.isnan(c.f1(matrix)[1])
    assert np.isnan(c.specificity(matrix)[0])
    assert np.isnan(c.balanced_accuracy(matrix))
    assert np.isnan(c.roc_auc([True, True], [0.1, 0.2]))
    assert np.isnan(c.matthews(matrix))


@given(seeds)
@settings(max_examples=15)
def test_balanced_accuracy_is_the_official_scorers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    targets = np.concatenate([np.arange(7), rng.integers(0, 7, 50)])
    probabilities = rng.dirichlet(np.ones(7), len(targets))
    index = pd.Index([f"ISIC_{number:07d}" for number in range(len(targets))])
    truth = pd.DataFrame(np.eye(7)[targets], columns=names, index=index)
    predicted = pd.DataFrame(probabilities, columns=names, index=index)
    official = balanced_multiclass_accuracy(truth, predicted, pd.Series(1.0, index=index))
    ours = c.balanced_accuracy(c.confusion_matrix(targets, probabilities.argmax(axis=1), 7))
    assert ours == pytest.approx(official)
