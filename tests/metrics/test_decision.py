"""Against trying every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.metrics.decision import (
    USUAL_RULES,
    choose_threshold,
    net_benefit,
    operating_points,
    people,
    predictive_values,
    threshold_for_cost,
    threshold_for_sensitivity,
    youden,
)


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
    [
        ("best", "expected youden"),
        ("youden:1", "expected youden"),
        ("cost:0", "above 0"),
        ("cost:x", "above 0"),
        ("cost:5@2", "prevalence between 0 and 1"),
        ("sensitivity:2", "between 0 and 1"),
        ("sensitivity:", "between 0 and 1"),
    ],
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


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.1, 50), st.one_of(st.none(), st.floats(0.01, 0.99)))
def test_no_threshold_costs_less_than_the_one_chosen_for_costs(
    seed: int, num_images: int, cost_ratio: float, prevalence: float | None
) -> None:
    rng = np.random.default_rng(seed)
    positives = np.concatenate([[True, False], rng.random(num_images) < 0.4])
    scores = rng.integers(0, 11, len(positives)) / 10
    share = positives.mean() if prevalence is None else prevalence

    def cost(threshold: float) -> float:
        sensitivity, specificity = rates(scores, positives, threshold)
        return float(cost_ratio * share * (1 - sensitivity) + (1 - share) * (1 - specificity))

    best = min(cost(threshold) for threshold in [*np.unique(scores), 2.0])
    assert cost(threshold_for_cost(scores, positives, cost_ratio, prevalence)) == pytest.approx(best)


def test_the_stated_prevalence_counts_and_a_costlier_miss_lowers_the_threshold() -> None:
    rng = np.random.default_rng(0)
    positives = rng.random(500) < 0.5
    scores = rng.normal(positives, 1.0)
    chosen = [choose_threshold(rule, scores, positives) for rule in ("cost:1@0.02", "cost:1", "cost:20")]
    assert chosen == sorted(chosen, reverse=True)
    assert len(set(chosen)) == 3


def test_operating_points_hold_what_their_thresholds_do() -> None:
    rng = np.random.default_rng(0)
    positives = rng.random(200) < 0.4
    scores = rng.normal(positives, 1.0)
    points = operating_points(("cost:5", *USUAL_RULES, "youden"), scores, positives)
    assert [point["rule"] for point in points] == ["cost:5", *USUAL_RULES]
    for point in points:
        assert (point["sensitivity"], point["specificity"]) == rates(scores, positives, point["threshold"])
        assert point["num_positives"] + point["num_negatives"] == 200


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_thousand_people_are_a_thousand(sensitivity: float, specificity: float, prevalence: float) -> None:
    table = people(sensitivity, specificity, prevalence)
    assert sum(table.values()) == 1000
    assert abs(table["true_positives"] - 1000 * prevalence * sensitivity) < 1
    assert abs(table["false_positives"] - 1000 * (1 - prevalence) * (1 - specificity)) < 1


def test_predictive_values_are_those_of_a_counted_table() -> None:
    ppv, npv = predictive_values(30 / 40, 50 / 60, 40 / 100)
    assert float(ppv) == pytest.approx(30 / 40)
    assert float(npv) == pytest.approx(50 / 60)
    assert np.isnan(predictive_values(0.0, 1.0, 0.3)[0])
    assert np.isnan(predictive_values(1.0, 0.0, 0.3)[1])


def test_net_benefit_is_counted_by_hand() -> None:
    """Vickers and Elkin: true positives / n − false positives / n · t / (1 − t)."""
    assert float(net_benefit(30 / 40, 50 / 60, 0.4, 0.2)) == pytest.approx(30 / 100 - 10 / 100 * 0.25)
    assert float(net_benefit(1.0, 0.0, 0.4, 0.4)) == pytest.approx(0), "at the prevalence, flagging everybody gains nothing"
