"""What a set of classes asks for: a doctor where it leaves open whether the lesion is malignant, and only there."""

import numpy as np
import pytest

from nevus.metrics.conformal import lac_scores, prediction_sets
from nevus.predictor.answer import Answer, answer, with_set
from nevus.training.conformal import fit_conformal

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def limit(value: float | None) -> dict[str, object]:
    return {"decides": None if value is None else "0.90", "quantiles": {"0.90": value, "0.95": None}, "reason": None}


def said(probabilities: dict[str, float], decision: str, refer: bool = False) -> Answer:
    return Answer("a.jpg", probabilities, 0.0, decision, refer)


@pytest.mark.parametrize(
    ("probabilities", "decision", "quantile", "members", "refers"),
    [
        ({"nv": 0.9, "mel": 0.06, "bkl": 0.04}, "nv", 0.8, ["nv"], False),
        ({"nv": 0.6, "mel": 0.3, "bkl": 0.1}, "nv", 0.8, ["nv", "mel"], True),
        # Two kinds of benign lesions ask for no doctor, however many they are.
        ({"nv": 0.5, "bkl": 0.3, "df": 0.15, "mel": 0.05}, "nv", 0.86, ["nv", "bkl", "df"], False),
        ({"nv": 0.4, "bkl": 0.3, "mel": 0.3}, "nv", 0.5, [], True),
        ({"mel": 0.6, "bcc": 0.3, "nv": 0.1}, "nv", 0.8, ["mel", "bcc"], True),
        ({"benign": 0.7, "malignant": 0.3}, "benign", 0.65, ["benign"], False),
        ({"benign": 0.7, "malignant": 0.3}, "benign", 0.7, ["benign", "malignant"], True),
    ],
)
def test_an_image_is_referred_where_its_set_leaves_open_whether_it_is_malignant(
    probabilities: dict[str, float], decision: str, quantile: float, members: list[str], refers: bool
) -> None:
    found = with_set(said(probabilities, decision), limit(quantile))
    assert (found.prediction_set, found.refer) == (members, refers)
    assert len(found.reasons) == refers
    kept = with_set(said(probabilities, "mel", refer=True), limit(quantile))
    assert kept.refer, "a set takes no referral back"


def test_without_a_promise_there_is_no_set_and_nobody_is_referred_for_it() -> None:
    given = said({"nv": 0.4, "mel": 0.6}, "nv")
    assert with_set(given, limit(None)) == given
    assert "prediction_set" not in given.to_json()


def test_the_sets_are_those_that_the_evaluation_measures() -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(7, 0.3), 300)
    targets = np.array([rng.choice(7, p=row) for row in table])
    groups = np.arange(300) // 2
    document = fit_conformal(table, targets, groups)
    quantiles = document["quantiles"]
    assert isinstance(quantiles, dict)
    assert quantiles["0.90"] is not None
    for row, members in zip(table, prediction_sets(lac_scores(table), quantiles["0.90"]), strict=True):
        given = answer("a.jpg", row, CLASSES, {"positive": "mel", "threshold": 0.3}, None)
        found = with_set(given, document).prediction_set
        assert found is not None
        assert set(found) == {name for name, inside in zip(CLASSES, members, strict=True) if inside}


def test_a_stated_prevalence_changes_no_set() -> None:
    row = np.array([0.05, 0.05, 0.1, 0.05, 0.2, 0.5, 0.05])
    point = {"positive": "mel", "threshold": 0.3}
    priors = np.full(7, 1 / 7), np.array([0.01, 0.01, 0.1, 0.02, 0.01, 0.84, 0.01])
    usual, shifted = (with_set(answer("a.jpg", row, CLASSES, point, given), limit(0.85)) for given in (None, priors))
    assert usual.prediction_set == shifted.prediction_set == ["nv", "mel"]
    assert usual.probabilities != shifted.probabilities
    assert usual.refer
    assert shifted.refer


def test_a_limit_counts_whole_groups_and_too_few_are_said() -> None:
    """By hand: nine groups are the least for 0.90, since the ninth of nine is the ⌈10 · 0.90⌉-th smallest score."""
    probabilities = np.stack([np.linspace(0.1, 0.9, 9), 1 - np.linspace(0.1, 0.9, 9)], axis=1)
    targets = np.zeros(9, np.int64)
    nine = fit_conformal(probabilities, targets, np.arange(9))
    assert nine["quantiles"] == {"0.90": pytest.approx(0.9), "0.95": None}
    assert (nine["decides"], nine["reason"]) == ("0.90", None)
    assert nine["chosen_on"] == "9 validation images of 9 groups"
    eight = fit_conformal(probabilities, targets, np.arange(9) // 2 * 2)
    assert (eight["quantiles"], eight["decides"]) == ({"0.90": None, "0.95": None}, None)
    assert eight["reason"] == "5 groups of validation images are too few: 0.90 needs 9"
