"""Reported figures against every confusion matrix there is."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.errors import DataError
from nevus.metrics.feasibility import Reported, check_binary

Matrix = tuple[int, int, int, int]


def figures(matrix: Matrix) -> tuple[Fraction, Fraction, Fraction]:
    tp, fn, fp, tn = matrix
    return Fraction(tp + tn, sum(matrix)), Fraction(tp, tp + fn), Fraction(tn, tn + fp)


def matrices(num_images: int) -> list[Matrix]:
    cuts = itertools.product(range(num_images + 1), repeat=3)
    found = [(tp, fn, fp, num_images - tp - fn - fp) for tp, fn, fp in cuts if tp + fn + fp <= num_images]
    return [matrix for matrix in found if matrix[0] + matrix[1] and matrix[2] + matrix[3]]


def within(value: Fraction, reported: Reported) -> bool:
    return reported.low <= value <= reported.high


@given(
    num_images=st.integers(2, 9),
    texts=st.tuples(*[st.integers(0, 20).map(lambda k: f"{k / 20:.2f}")] * 3),
    num_positive=st.none() | st.integers(1, 8),
    prevalence=st.none() | st.sampled_from(["0.1", "0.2", "0.3", "0.5", "0.50"]),
    rounding=st.sampled_from(["nearest", "down"]),
)
@settings(deadline=None, max_examples=150)
def test_the_verdict_is_that_of_trying_every_matrix(
    num_images: int, texts: tuple[str, str, str], num_positive: int | None, prevalence: str | None, rounding: str
) -> None:
    accuracy, sensitivity, specificity = (Reported.read(text, "figure", rounding) for text in texts)
    share = Reported.read(prevalence) if prevalence and num_positive is None else None
    if num_positive is not None and num_positive >= num_images:
        num_positive = None
    fitting = [
        matrix
        for matrix in matrices(num_images)
        if all(within(*pair) for pair in zip(figures(matrix), (accuracy, sensitivity, specificity), strict=True))
        and num_positive in (None, matrix[0] + matrix[1])
        and (share is None or within(Fraction(matrix[0] + matrix[1], num_images), share))
    ]
    verdict = check_binary(accuracy, sensitivity, specificity, num_images=num_images, num_positive=num_positive, prevalence=share)
    assert verdict.possible == bool(fitting)
    if verdict.possible:
        assert verdict.example in fitting
        assert verdict.prevalence
        assert any(verdict.prevalence[0] - 1e-12 <= (m[0] + m[1]) / num_images <= verdict.prevalence[1] + 1e-12 for m in fitting)


@st.composite
def fold_means(draw: st.DrawFn) -> tuple[int, int, int, list[Fraction]]:
    """Means over stratified folds, as uneven as they may be."""
    num_folds = draw(st.integers(2, 5))
    num_positive, num_negative = (draw(st.integers(num_folds, 30)) for _ in range(2))
    sums = [Fraction(0)] * 3
    extra_negatives = draw(st.permutations(range(num_folds)))
    for fold in range(num_folds):
        positives = num_positive // num_folds + (fold < num_positive % num_folds)
        negatives = num_negative // num_folds + (extra_negatives[fold] < num_negative % num_folds)
        tp, tn = draw(st.integers(0, positives)), draw(st.integers(0, negatives))
        found = figures((tp, positives - tp, negatives - tn, tn))
        sums = [total + figure / num_folds for total, figure in zip(sums, found, strict=True)]
    return num_positive + num_negative, num_positive, num_folds, sums


@given(fold_means())
@settings(deadline=None, max_examples=200)
def test_means_over_real_folds_are_never_called_impossible(case: tuple[int, int, int, list[Fraction]]) -> None:
    num_images, num_positive, num_folds, means = case
    reported = [Reported.read(f"{float(mean):.6f}") for mean in means]
    assert check_binary(*reported, num_images=num_images, num_positive=num_positive, num_folds=num_folds).possible
    assert check_binary(*reported, num_images=num_images, num_folds=num_folds).possible


def test_the_accuracy_fixes_the_prevalence() -> None:
    exact = [Reported(text, Fraction(text), Fraction(text)) for text in ("0.9", "0.5", "1")]
    assert check_binary(*exact).prevalence == (0.2, 0.2)
    verdict = check_binary(*exact, prevalence=Reported.read("30%"))
    assert not verdict.possible
    assert verdict.reason == (
        "at a prevalence of 29.50% to 30.50% the accuracy would be 84.75% to 85.25%, not 0.9; that needs a prevalence of 20.00%"
    )


@pytest.mark.parametrize(
    ("text", "low", "high", "rounding"),
    [
        ("84.5%", "0.8445", "0.8455", "nearest"),
        ("0.845", "0.8445", "0.8455", "nearest"),
        (" 84 % ", "0.835", "0.845", "nearest"),
        ("84.50%", "0.84495", "0.84505", "nearest"),
        ("84.5%", "0.845", "0.846", "down"),
        ("1", "0.5", "1", "nearest"),
        ("100.0%", "0.9995", "1", "nearest"),
        ("0%", "0", "0.005", "nearest"),
    ],
)
def test_a_figure_is_the_interval_that_is_printed_so(text: str, low: str, high: str, rounding: str) -> None:
    found = Reported.read(text, "figure", rounding)
    assert (found.low, found.high) == (Fraction(low), Fraction(high))


@pytest.mark.parametrize("text", ["84.59", "-0.1", "nan", "inf%", "", "%", "eighty", "101%", "1e400"])
def test_what_is_no_share_is_refused_by_name(text: str) -> None:
    with pytest.raises(DataError, match=r"--accuracy .*not a"):
        Reported.read(text, "--accuracy")


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"num_positive": 5}, "Give both"),
        ({"num_folds": 10}, "need the number of images"),
        ({"num_images": 1}, "positive and a negative"),
        ({"num_images": 10, "num_positive": 10}, "needs both kinds"),
        ({"num_images": 30, "num_positive": 5, "num_folds": 10}, "needs both kinds"),
        ({"num_images": 100, "num_positive": 50, "prevalence": Reported.read("20%")}, r"50\.00%, not 20%"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(settings_: dict[str, object], message: str) -> None:
    half = Reported.read("50%")
    with pytest.raises(DataError, match=message):
        check_binary(half, half, half, **settings_)  # type: ignore[arg-type]
