"""The sections decision and calibration of an evaluation, and recalibrated predictions."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from nevus.errors import DataError
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.recalibrate import recalibrate, recalibration_table
from nevus.metrics.decision import net_benefit


def binary(share: float = 0.5, num_images: int = 400, validation: bool = True) -> pd.DataFrame:
    """Probabilities that mean what they say where half are malignant."""
    rng, tables = np.random.default_rng(0), []
    for fold in (0, 1):
        for part in ("validation", "test") if validation else ("test",):
            truth = rng.random(num_images) < share
            score = expit(2 * (rng.normal(2.0 * truth, 1.0) - 1))
            names = [f"{part[0]}{fold}_{number}" for number in range(num_images)]
            table = pd.DataFrame({"image_id": names, "fold": fold, "split": part, "dataset": "isic2020", "group_id": names})
            target = np.where(truth, "malignant", "benign")
            tables.append(table.assign(target=target, p_benign=1 - score, p_malignant=score, protocol="strict"))
    return pd.concat(tables, ignore_index=True)


def seven(num_images: int = 700) -> pd.DataFrame:
    rng, names = np.random.default_rng(0), ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    tables = []
    for part in ("validation", "test"):
        targets = np.arange(num_images) % 7
        probabilities = 0.6 * rng.dirichlet(np.ones(7), num_images) + 0.4 * np.eye(7)[targets]
        table = pd.DataFrame({"image_id": [f"{part}{n}" for n in range(num_images)], "target": [names[t] for t in targets]})
        tables.append(table.assign(split=part, **{f"p_{name}": probabilities[:, index] for index, name in enumerate(names)}))
    return pd.concat(tables, ignore_index=True)


def document(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    result = evaluate(Predictions.from_frame(table), num_resamples=40, **options)
    json.dumps(result, allow_nan=False)
    return result


def test_each_rule_is_chosen_on_validation_rows_and_measured_on_test_rows() -> None:
    table = binary()
    section = document(table, cost_ratio=5, prevalence=0.02)["decision"]
    assert [rule["rule"] for rule in section["rules"]] == [
        *("youden", "sensitivity:0.80", "sensitivity:0.90", "sensitivity:0.95"),
        "cost:5@0.02",
    ]
    for rule in section["rules"]:
        assert rule["chosen_on"] == "validation"
        for part, figure in (("validation", None), ("test", rule["figures"]["sensitivity"]["value"])):
            rows = table[(table["split"] == part) & (table["target"] == "malignant")]
            flagged = rows["p_malignant"] >= rows["fold"].map({int(key): value for key, value in rule["thresholds"].items()})
            if figure is not None:
                assert figure == pytest.approx(flagged.mean())
            elif rule["rule"].startswith("sensitivity"):
                assert flagged.groupby(rows["fold"]).mean().min() >= float(rule["rule"].split(":")[1])
        stated = rule["per_1000"][1]
        sensitivity, specificity = (rule["figures"][name]["value"] for name in ("sensitivity", "specificity"))
        assert stated["prevalence"] == 0.02
        assert sum(stated["people"].values()) == 1000
        expected = 0.02 * sensitivity / (0.02 * sensitivity + 0.98 * (1 - specificity))
        assert stated["ppv"]["value"] == pytest.approx(expected)
        assert rule["per_1000"][0]["ppv"]["value"] == pytest.approx(rule["figures"]["ppv"]["value"])


@pytest.mark.slow
def test_a_case_control_set_says_that_its_ppv_does_not_carry_over() -> None:
    assert "case-control" in document(binary())["decision"]["notes"][0]
    assert "case-control" not in " ".join(document(binary(share=0.02))["decision"]["notes"])


@pytest.mark.slow
def test_the_decision_curve_is_counted_as_its_authors_do() -> None:
    table = binary()
    curve = document(table)["decision"]["curves"][0]
    test = table[table["split"] == "test"]
    truth = test["target"] == "malignant"
    for index, threshold in enumerate(curve["thresholds"]):
        flagged = test["p_malignant"] >= threshold
        counted = (flagged & truth).mean() - (flagged & ~truth).mean() * threshold / (1 - threshold)
        assert curve["model"][index] == pytest.approx(counted)
        assert curve["treat_all"][index] == pytest.approx(truth.mean() - (~truth).mean() * threshold / (1 - threshold))
    stated = document(table, prevalence=0.02)["decision"]["curves"][1]
    assert stated["model"][0] > max(stated["treat_all"][0], 0), "moved to the prevalence it is useful where all are too many"
    unmoved = net_benefit((test["p_malignant"] >= 0.01)[truth].mean(), (test["p_malignant"] < 0.01)[~truth].mean(), 0.02, 0.01)
    assert stated["model"][0] > float(unmoved)


def test_melanoma_sensitivity_and_what_the_missed_were_taken_for_among_seven_classes() -> None:
    table = seven()
    section = document(table, operating_point="sensitivity:0.80")["decision"]
    test = table[(table["split"] == "test") & (table["target"] == "mel")]
    missed = test[test["p_mel"] < section["rules"][0]["thresholds"]["0"]]
    assert section["positive"] == "mel"
    assert section["missed"]["num_missed"] == len(missed) > 0
    counted = missed.filter(like="p_").idxmax(axis=1).str.removeprefix("p_").value_counts()
    assert {row["class"]: row["num_images"] for row in section["missed"]["decided"]} == counted.to_dict()


def test_without_validation_rows_what_needs_them_is_null_with_its_reason() -> None:
    result = document(binary(validation=False), threshold=0.5)
    rules = {rule["rule"]: rule for rule in result["decision"]["rules"]}
    assert rules["given"]["figures"]["sensitivity"]["value"] > 0.5
    assert rules["youden"]["figures"] is None
    assert "no validation rows" in rules["youden"]["reason"]
    assert result["decision"]["curves"][0]["model"] is not None
    assert "no validation rows" in result["decision"]["curves"][1]["reason"]
    assert set(result["calibration"]["scalings"]["reasons"]) == {"temperature", "vector", "isotonic"}
    assert len(result["calibration"]["scalings"]["methods"]) == 1


@pytest.mark.parametrize("options", [{"prevalence": 0}, {"prevalence": 2}, {"cost_ratio": 0}])
def test_what_cannot_be_stated_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(DataError, match="expected"):
        document(binary(), **options)


def test_constant_perfect_and_reversed_predictors_give_what_theory_says() -> None:
    table = binary()
    truth = (table["target"] == "malignant").astype(float)
    for score, sensitivity in ((truth * 0 + 0.5, None), (truth, 1.0), (1 - truth, None)):
        result = document(table.assign(p_malignant=score, p_benign=1 - score))
        assert result["calibration"]["slope"]["value"] is None
        figure = result["decision"]["rules"][2]["figures"]["sensitivity"]["value"]
        assert figure == 1.0 or sensitivity is None


def test_scalings_are_fitted_on_validation_and_mend_what_is_wrong_on_test_rows() -> None:
    table = seven()
    table["p_nv"] *= 6
    columns = list(table.filter(like="p_").columns)
    table[columns] = table[columns].div(table[columns].sum(axis=1), axis=0)
    result = document(table)["calibration"]
    methods = {method["method"]: method for method in result["scalings"]["methods"]}
    for name in ("vector", "isotonic"):
        difference = methods[name]["differences"]["log_loss"]
        assert difference["value"] == pytest.approx(
            methods[name]["figures"]["log_loss"]["value"] - methods["none"]["figures"]["log_loss"]["value"]
        )
        assert difference["high"] < 0
    assert set(result["claims"]) == {"positive", "first_choice"}
    assert sum(bin_["num_images"] for bin_ in result["claims"]["positive"]["bins"]) == 700


@pytest.mark.slow
def test_recalibrated_predictions_are_calibrated_where_the_share_is_as_stated() -> None:
    table = binary(num_images=1500)
    moved = recalibrate(Predictions.from_frame(table), prevalence={"malignant": 0.018}).predictions
    test = moved.test
    # A case-control subset, re-weighted to 1.8%.
    truth = (test["target"] == "malignant").to_numpy()
    weights = np.where(truth, 0.018 / truth.mean(), 0.982 / (~truth).mean())
    assert np.average(test["p_malignant"], weights=weights) == pytest.approx(0.018, abs=0.003)
    figures = [document(part.frame)["metrics"]["sensitivity"]["value"] for part in (Predictions.from_frame(table), moved)]
    assert figures[0] == figures[1], "the decisions stay"


def test_recalibration_names_what_cannot_be_done_and_what_does_not_fit() -> None:
    predictions = Predictions.from_frame(binary())
    for options, message in (
        ({}, "nothing to do"),
        ({"method": "best"}, "temperature, vector, isotonic"),
        ({"prevalence": {"mel": 0.1}}, "no class here; there are benign, malignant"),
        ({"prevalence": {"malignant": 0.1}, "prior": "mine"}, "validation, equal"),
    ):
        with pytest.raises(DataError, match=message):
            recalibrate(predictions, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no validation rows"):
        recalibrate(Predictions.from_frame(binary(validation=False)), method="vector")
    skewed = binary(share=0.1)
    result = recalibrate(Predictions.from_frame(skewed), prevalence={"malignant": 0.02})
    assert "far from its share" in result.document["notes"][1]
    assert "malignant" in recalibration_table(result)
    mended = recalibrate(Predictions.from_frame(skewed), method="vector", prevalence={"malignant": 0.02})
    assert len(mended.document["notes"]) == 1
