"""Abstention of a predictions file: thresholds from validation rows, errors and misses counted by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_conformal_section import CLASSES, predictions

from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions

TABLE = [f"p_{name}" for name in CLASSES]


def document(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    return evaluate(Predictions.from_frame(table), **{"num_resamples": 5, **options})


def section(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = document(table, **options)["abstention"]
    return found


def binary(table: pd.DataFrame) -> pd.DataFrame:
    target = np.where(table["target"] == "mel", "malignant", "benign")
    score = table["p_mel"] / (table["p_mel"] + table["p_nv"])
    return table.drop(columns=TABLE).assign(target=target, p_benign=1 - score, p_malignant=score)


def test_the_table_is_counted_by_hand() -> None:
    table = predictions()
    found = document(table)
    row = found["abstention"]["referral"][3]
    assert row["coverage"] == 0.8
    answered = pd.Series(False, index=table.index)
    flagged = pd.Series(False, index=table.index)
    for fold in (0, 1):
        sure = table[TABLE].max(axis=1)[table["fold"] == fold]
        chosen = np.sort(sure[table["split"] == "validation"])[::-1]
        threshold = chosen[int(0.8 * len(chosen)) - 1]
        assert row["thresholds"][str(fold)] == threshold
        answered[sure.index] = sure >= threshold
        flagged[sure.index] = table["p_mel"][sure.index] >= found["operating_point"]["thresholds"][str(fold)]
    test = table["split"] == "test"
    wrong = table[TABLE].idxmax(axis=1) != "p_" + table["target"]
    answered, flagged, wrong, melanoma = (part[test] for part in (answered, flagged, wrong, table["target"] == "mel"))
    figures = row["figures"]
    assert 0.7 < figures["coverage"]["value"] < 0.9
    assert figures["coverage"]["value"] == pytest.approx(answered.mean())
    assert figures["error"]["value"] == pytest.approx(wrong[answered].mean())
    recalls = [1 - wrong[answered & (table["target"][test] == name)].mean() for name in CLASSES]
    assert figures["balanced_error"]["value"] == pytest.approx(1 - np.mean(recalls))
    assert figures["missed"]["value"] == pytest.approx((~flagged)[melanoma & answered].mean())
    assert figures["positives_among_referred"]["value"] == pytest.approx(melanoma[~answered].mean())
    assert figures["caught_or_referred"]["value"] == pytest.approx((flagged | ~answered)[melanoma].mean())
    assert row["referred_per_class"]["nv"]["value"] == pytest.approx((~answered)[table["target"][test] == "nv"].mean())
    counts = [answered.sum(), (~answered).sum(), (melanoma & answered & ~flagged).sum(), (melanoma & ~answered).sum()]
    assert [row[name] for name in ("num_answered", "num_referred", "num_missed", "num_positives_referred")] == counts
    sizes = [figures[name]["n"] for name in ("coverage", "error", "balanced_error", "missed", "caught_or_referred")]
    assert sizes == [len(answered), counts[0], counts[0], (melanoma & answered).sum(), melanoma.sum()]


def test_answering_all_is_the_evaluation_itself() -> None:
    found = document(predictions())
    for row in (found["abstention"]["curve"][0], found["abstention"]["referral"][0]):
        assert row["coverage"] == 1
        assert row["num_referred"] == 0
        assert row["figures"]["error"]["value"] == pytest.approx(1 - found["metrics"]["accuracy"]["value"])
        assert row["figures"]["balanced_error"]["value"] == pytest.approx(1 - found["metrics"]["balanced_accuracy"]["value"])
        assert row["figures"]["missed"]["value"] == pytest.approx(1 - found["metrics"]["sensitivity"]["value"])
    assert found["abstention"]["referral"][0]["figures"]["positives_among_referred"]["value"] is None


@pytest.mark.slow
def test_thresholds_come_from_validation_rows_alone() -> None:
    table = predictions()
    changed = table.copy()
    test = changed["split"] == "test"
    changed.loc[test, TABLE] = np.random.default_rng(9).dirichlet(np.ones(3), test.sum())
    first, second = section(table)["referral"], section(changed)["referral"]
    assert [row["thresholds"] for row in first] == [row["thresholds"] for row in second]
    assert first[3]["figures"]["error"]["value"] != second[3]["figures"]["error"]["value"]


def test_the_curve_answers_what_it_says() -> None:
    curve = section(predictions())["curve"]
    assert [row["num_answered"] for row in curve] == [300, 270, 240, 210, 180, 150, 120, 90, 60, 30]
    errors = [row["figures"]["error"]["value"] for row in curve]
    assert errors[0] > errors[4] > errors[8]


def test_between_two_classes_the_sure_are_far_from_their_own_threshold() -> None:
    table = binary(predictions())
    found = document(table)
    row, thresholds = found["abstention"]["referral"][2], found["operating_point"]["thresholds"]
    odds = np.log(table["p_malignant"] / table["p_benign"])
    own = table["fold"].astype(str).map(thresholds).astype(float)
    distance = np.abs(odds - np.log(own / (1 - own)))
    answered = distance >= table["fold"].astype(str).map(row["thresholds"]).astype(float)
    test = table["split"] == "test"
    wrong = (table["p_malignant"] >= own) != (table["target"] == "malignant")
    assert found["abstention"]["confidence"] == "distance_from_threshold"
    assert row["figures"]["coverage"]["value"] == pytest.approx(answered[test].mean())
    assert row["figures"]["error"]["value"] == pytest.approx(wrong[test & answered].mean())
    assert set(found["abstention"]["areas"]) == {"distance_from_threshold", "set_size"}


def test_without_validation_rows_the_curve_stands_alone() -> None:
    found = section(predictions(validation=False))
    assert found["referral"] is None
    assert found["chosen_on"] is None
    assert "no validation rows" in found["referral_reason"]
    assert found["missed_by"] == "most probable class"
    assert found["curve"][0]["figures"]["error"]["value"] > 0
    assert set(found["areas"]) == {"largest_probability", "margin"}
    without = section(binary(predictions(validation=False)))
    assert list(without) == ["reason"]
    assert "no validation rows" in without["reason"]
    given = section(binary(predictions(validation=False)), threshold=0.4)
    assert given["referral"] is None
    assert given["curve"][0]["figures"]["missed"]["value"] > 0


def test_a_papers_protocol_is_chosen_on_its_test_rows() -> None:
    found = section(predictions(protocol="paper-zoome", validation=False))
    assert found["chosen_on"] == "test"
    assert found["referral"][3]["figures"]["coverage"]["value"] == pytest.approx(0.8)


@pytest.mark.slow
def test_a_constant_and_a_perfect_predictor_give_what_theory_says() -> None:
    table = predictions()
    perfect = section(table.assign(**{f"p_{name}": (table["target"] == name).astype(float) for name in CLASSES}))
    assert perfect["areas"]["largest_probability"]["aurc"]["value"] == 0
    assert perfect["areas"]["largest_probability"]["excess"]["value"] == pytest.approx(0)
    constant = table.assign(p_bcc=0.2, p_mel=0.3, p_nv=0.5)
    found = section(constant)
    rate = (table["target"][table["split"] == "test"] != "nv").mean()
    assert found["areas"]["largest_probability"]["aurc"]["value"] == pytest.approx(rate)
    assert [row["num_answered"] for row in found["curve"]] == [300] * 10  # all are equally sure: none is left out before another


def test_without_a_positive_class_there_are_errors_but_no_misses() -> None:
    table = predictions().rename(columns={"p_mel": "p_bkl"}).replace({"target": {"mel": "bkl"}})
    found = section(table)
    assert found["missed_by"] is None
    assert found["referral"][3]["num_missed"] is None
    assert found["referral"][3]["figures"]["missed"]["value"] is None
    assert found["referral"][3]["figures"]["error"]["value"] > 0


def test_each_confidence_has_its_area_with_an_interval() -> None:
    areas = section(predictions(), num_resamples=40)["areas"]
    assert set(areas) == {"largest_probability", "margin", "set_size"}
    for figures in areas.values():
        assert 0 < figures["excess"]["value"] < figures["aurc"]["value"]
        assert figures["aurc"]["low"] < figures["aurc"]["value"] < figures["aurc"]["high"]


def test_an_empty_set_is_the_least_sure() -> None:
    table = predictions()
    right = table["target"].to_numpy()
    table[TABLE] = np.where(np.array(CLASSES) == right[:, None], 0.9, 0.05)
    lost = np.arange(len(table)) % 20 == 0
    table.loc[lost, TABLE] = np.where(np.array(CLASSES) == right[lost][:, None], 0.2, 0.4)
    found = document(table)
    assert found["conformal"]["methods"]["lac"]["0.90"]["figures"]["empty"]["value"] == pytest.approx(0.05, abs=0.01)
    assert found["abstention"]["areas"]["set_size"]["excess"]["value"] == pytest.approx(0, abs=0.003)
