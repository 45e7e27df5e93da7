"""Against trying every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.metrics.decision import choose_threshold, threshold_for_sensitivity, youden


def rates(scores: np.ndarray, positives: np.ndarray, threshold: float) -> tuple[float, float]:
    flagged = scores >= threshold
    return float(flagged[positives].mean()), float((~flagged)[~positives].mean())


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_youden_is_the_best_of_all_thresholds(seed: int, num_images: int) -> None:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < 0.4])
    scores = rng.integers(0, 11, len(positives)) / 10
    best = max(sum(rates(scores, positives, threshold)) for threshold in [*np.unique(scores), 2.0])
    assert sum(rates(scores, positives, youden(scores, positives))) == pytest.approx(best)


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.05, 0.99))
def test_the_sensitivity_asked_for_is_reached_with_the_best_specificity(seed: int, num_images: int, wanted: float) -> None:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < 0.4])
    scores = rng.integers(0, 11, len(positives)) / 10
    sensitivity, specificity = rates(scores, positives, threshold_for_sensitivity(scores, positives, wanted))
    assert sensitivity >= wanted - 1e-9
    reached = [rates(scores, positives, threshold) for threshold in np.unique(scores)]
    assert specificity == max(spec for sens, spec in reached if sens >= wanted - 1e-9)


@pytest.mark.parametrize(
    ("rule", "message"),
    [("best", "expected youden"), ("sensitivity:2", "between 0 and 1"), ("sensitivity:", "between 0 and 1")],
)
def test_other_rules_are_refused(rule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_threshold(rule, [0.1, 0.9], [False, True])


def test_one_class_alone_has_no_threshold() -> None:
    with pytest.raises(ValueError, match="positives and negatives"):
        choose_threshold("youden", [0.1, 0.9], [True, True])


def test_the_rule_is_used() -> None:
    scores, positives = [0.9, 0.8, 0.5, 0.2], [True, False, True, True]
    assert choose_threshold("sensitivity:0.6", scores, positives) == pytest.approx(0.35)
    assert choose_threshold("youden", scores, positives) == pytest.approx(0.85)
