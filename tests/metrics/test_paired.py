"""Paired tests against statsmodels and hand-worked cases; no effect is called one as often as it should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from nevus.metrics.paired import delong_test, groups_needed, holm, macro_auc_test, mcnemar_test


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_that_of_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    one, other = np.array(pairs).T
    table = [[int((one & other).sum()), int((one & ~other).sum())], [int((~one & other).sum()), int((~one & ~other).sum())]]
    found = mcnemar_test(one, other, np.arange(len(one)))
    assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.counts == (table[0][1], table[1][0])


def test_mcnemar_over_groups_counts_copies_once() -> None:
    """Durkalski's z on three groups by hand: d = (2/2, 1/2, 0), z = 1.5 / √(1 + 0.25)."""
    one = np.array([False, False, True, False, True, False])
    other = np.array([True, True, True, True, True, False])
    found = mcnemar_test(one, other, np.array([0, 0, 1, 1, 2, 2]))
    assert found.p == pytest.approx(2 * stats.norm.sf(1.5 / np.sqrt(1.25)))
    copied = mcnemar_test(np.repeat(one, 5), np.repeat(other, 5), np.repeat([0, 0, 1, 1, 2, 2], 5))
    assert copied.p == pytest.approx(found.p)


def test_equal_answers_do_not_differ() -> None:
    right = np.array([True, False, True])
    assert mcnemar_test(right, right, np.arange(3)).p == 1
    assert mcnemar_test(right, right, np.array([0, 0, 1])).p == 1
    positives, scores = np.array([True, True, False, False]), np.array([0.9, 0.2, 0.4, 0.1])
    assert delong_test(positives, scores, scores, np.arange(4)).p == 1
    assert delong_test(positives, scores, scores**3, np.arange(4)).p == 1  # the same ranking


def test_delong_by_hand() -> None:
    rng = np.random.default_rng(0)
    positives = np.arange(50) < 20
    scores = rng.normal(0, 1, (2, 50)) + positives
    parts = []
    for row in scores:
        pairs = (row[positives][:, None] > row[~positives]).astype(float)
        parts.append((pairs.mean(axis=1), pairs.mean(axis=0)))
    difference = parts[1][0].mean() - parts[0][0].mean()
    variance = np.var(parts[1][0] - parts[0][0], ddof=1) / 20 + np.var(parts[1][1] - parts[0][1], ddof=1) / 30
    found = delong_test(positives, scores[0], scores[1], np.arange(50))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference) / np.sqrt(variance)))


def test_delong_over_groups_counts_copies_once() -> None:
    rng = np.random.default_rng(2)
    positives = np.arange(60) % 3 == 0
    scores = rng.normal(0, 1, (2, 60)) + positives
    alone = delong_test(positives, scores[0], scores[1], np.arange(60))
    first, second = np.repeat(scores, 3, axis=1)
    copied = delong_test(np.repeat(positives, 3), first, second, np.repeat(np.arange(60), 3))
    assert copied.p == pytest.approx(alone.p)
    assert "groups" in copied.method


def test_one_class_or_one_group_has_no_p() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    assert delong_test(np.ones(4, bool), scores, scores[::-1], np.arange(4)).p is None
    assert delong_test(np.array([True, True, False, False]), scores, scores[::-1], np.array([0, 0, 1, 1])).p is None


@pytest.mark.slow
def test_holm_is_that_of_statsmodels() -> None:
    for count in (1, 2, 5, 12):
        values = np.round(np.random.default_rng(count).beta(0.5, 2, count), 2).tolist()  # with ties
        assert holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))


def test_as_many_groups_as_needed_have_the_power_promised() -> None:
    """A study of the size that is named finds the difference in four of five."""
    needed = groups_needed(0.1, 0.05, 100)
    assert needed is not None
    power = stats.norm.sf(stats.norm.ppf(0.975) - 0.1 / (0.05 * np.sqrt(100 / needed)))
    assert power == pytest.approx(0.8, abs=0.002)
    assert groups_needed(0.0, 0.05, 100) is None


def test_the_mean_area_of_two_classes_is_tested_as_the_area_is() -> None:
    """One against the rest and the rest against it are one area; the factor differs by what (groups − 1) does."""
    rng = np.random.default_rng(4)
    positives = np.arange(400) % 2 == 0
    scores = rng.normal(0, 1, (2, 400)) + positives
    table = np.stack([-scores, scores], axis=2)
    expected = delong_test(positives, scores[0], scores[1], np.arange(400)).p
    found = macro_auc_test(positives.astype(int), table[0], table[1], np.arange(400)).p
    assert found == pytest.approx(expected, rel=0.02)
    assert macro_auc_test(np.zeros(400, int), table[0], table[1], np.arange(400)).p is None
