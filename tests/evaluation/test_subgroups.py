"""Subgroups: a hand-worked table, each group as if it were alone, small ones marked, gaps from one set of draws."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.subgroups import FIELDS


def table(num_images: int = 400, *, weak: str = "female") -> pd.DataFrame:
    """Answers that are worse for one sex, two photos a lesion, with ages and sites."""
    rng = np.random.default_rng(0)
    lesions = np.arange(num_images) // 2
    positives = (lesions % 3 == 0).astype(bool)
    sexes = np.where(lesions % 2 == 0, "female", "male")
    skill = np.where(sexes == weak, 0.2, 2.5)
    scores = 1 / (1 + np.exp(-(rng.normal(0, 1, num_images) + skill * (positives - 0.5))))
    return pd.DataFrame(
        {
            "image_id": [f"I{k}" for k in range(num_images)],
            "target": np.where(positives, "malignant", "benign"),
            "p_benign": 1 - scores,
            "p_malignant": scores,
            "group_id": [f"L{k}" for k in lesions],
            "sex": sexes,
            "age_years": np.where(lesions % 7 == 0, np.nan, 10.0 + lesions % 80),
            "site": "torso",
        }
    )


def section(frame: pd.DataFrame, **options: Any) -> dict[str, Any]:
    return evaluate(Predictions.from_frame(frame), threshold=0.5, num_resamples=200, **options)["subgroups"]


def groups(found: dict[str, Any], field: str) -> dict[str, dict[str, Any]]:
    part = next(part for part in found["fields"] if part["field"] == field)
    return {group["name"]: group for group in part["groups"]}


def test_a_hand_worked_table() -> None:
    frame = pd.DataFrame(
        {
            "image_id": list("abcdefgh"),
            "target": ["malignant", "malignant", "benign", "benign"] * 2,
            "p_malignant": [0.9, 0.2, 0.1, 0.7, 0.8, 0.6, 0.3, 0.4],
            "sex": ["female"] * 4 + ["male"] * 3 + [""],
        }
    )
    found = groups(section(frame.assign(p_benign=1 - frame["p_malignant"])), "sex")
    assert list(found) == ["female", "male", "not known"]
    female, male = found["female"], found["male"]
    assert (female["num_images"], female["num_positives"], female["num_groups"]) == (4, 2, 4)
    assert female["figures"]["sensitivity"]["value"] == 0.5
    assert female["figures"]["specificity"]["value"] == 0.5
    assert female["figures"]["auc"]["value"] == 0.75
    assert male["figures"]["sensitivity"]["value"] == 1
    assert male["figures"]["sensitivity"]["n"] == 2
    assert male["figures"]["stated_minus_observed"]["value"] == pytest.approx((1.7 - 2) / 3)
    assert found["not known"]["figures"]["auc"]["value"] is None
    assert all(group["small"] for group in found.values())
    assert female["why_small"] == "4 images, fewer than 30; 2 positives, fewer than 10; 2 others, fewer than 10"
    assert female["gaps"] == {}


def test_a_group_has_the_figures_and_intervals_of_itself_alone() -> None:
    frame = table()
    female = groups(section(frame), "sex")["female"]["figures"]
    alone = evaluate(Predictions.from_frame(frame[frame["sex"] == "female"]), threshold=0.5, num_resamples=50)["metrics"]
    for name in ("sensitivity", "specificity", "auc", "accuracy"):
        for key in ("value", "low", "high"):
            assert female[name][key] == pytest.approx(alone[name][key]), (name, key)


def test_gaps_are_against_all_others_and_the_worst_group_is_named() -> None:
    found = section(table())
    sexes = groups(found, "sex")
    gap = sexes["female"]["gaps"]["auc"]
    assert gap["value"] == pytest.approx(sexes["female"]["figures"]["auc"]["value"] - sexes["male"]["figures"]["auc"]["value"])
    assert gap["low"] < gap["value"] < gap["high"] < 0
    assert gap["value"] == pytest.approx(-sexes["male"]["gaps"]["auc"]["value"])
    assert gap["p"] <= gap["p_holm"] < 0.5
    assert (found["worst"]["sensitivity"]["field"], found["worst"]["sensitivity"]["name"]) == ("sex", "female")
    tested = [g for part in found["fields"] for group in part["groups"] for g in group["gaps"].values()]
    assert found["num_gaps"] == len(tested)
    assert found["least_p_holm"] == pytest.approx(2 * len(tested) / 201)
    assert min(gap["p_holm"] for gap in tested) >= found["least_p_holm"]


def test_small_groups_are_shown_and_never_the_worst() -> None:
    frame = table()
    frame.loc[:11, "sex"] = "other"
    frame.loc[frame["sex"] == "other", ["p_benign", "p_malignant"]] = [0.9, 0.1]  # misses every positive
    found = section(frame)
    small = groups(found, "sex")["other"]
    assert small["small"]
    assert small["figures"]["sensitivity"]["value"] == 0
    assert found["worst"]["sensitivity"]["name"] != "other"


def test_ages_are_banded_and_a_field_of_one_group_is_left_out() -> None:
    found = section(table())
    assert [part["field"] for part in found["fields"]] == ["sex", "age_years"]  # everyone has the site torso
    assert list(groups(found, "age_years"))[-1] == "not known"
    ages = groups(found, "age_years")
    assert sum(group["num_images"] for group in ages.values()) == 400


def test_a_source_that_is_a_data_set_by_another_name_is_counted_once() -> None:
    frame = table()
    frame["dataset"] = np.where(np.arange(400) % 8 < 4, "one", "two")
    frame["attribution"] = frame["dataset"].map({"one": "A clinic", "two": "Another"})
    assert "attribution" not in [part["field"] for part in section(frame)["fields"]]
    frame.loc[:99, "attribution"] = "A third"
    assert list(groups(section(frame), "attribution")) == ["Another", "A clinic", "A third"]


def test_without_such_columns_or_a_positive_class_it_is_said() -> None:
    bare = table().drop(columns=[name for name in FIELDS if name in table()])
    assert "none of the columns" in section(bare)["reason"]
    three = bare.assign(p_third=0.0).rename(columns={"p_benign": "p_a", "p_malignant": "p_b", "p_third": "p_c"})
    three["target"] = np.where(three["target"] == "benign", "a", "b")
    found = evaluate(Predictions.from_frame(three), num_resamples=20)["subgroups"]
    assert "no class is the positive one" in found["reason"]


def test_without_an_operating_point_there_are_areas_and_no_sensitivity() -> None:
    found = evaluate(Predictions.from_frame(table()), num_resamples=50)["subgroups"]
    female = groups(found, "sex")["female"]["figures"]
    assert female["sensitivity"]["value"] is None
    assert female["sensitivity"]["reason"]
    assert female["auc"]["value"] is not None
    assert found["worst"]["sensitivity"] is None
