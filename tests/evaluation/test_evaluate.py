"""Figures from predictions files: thresholds from validation rows, nulls with reasons, bad rows named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nevus.errors import DataError
from nevus.evaluation.evaluate import evaluate, evaluation_table
from nevus.evaluation.predictions import Predictions


def binary(seed: int = 0, *, num_images: int = 120, protocol: str = "strict", validation: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for fold in (0, 1):
        for part in ("validation", "test") if validation else ("test",):
            truth = rng.random(num_images) < 0.4
            score = np.clip(0.35 + 0.25 * truth + rng.normal(0, 0.2, num_images), 0, 1)
            names = [f"{part[0]}{fold}_{number}" for number in range(num_images)]
            target = np.where(truth, "malignant", "benign")
            table = pd.DataFrame({"image_id": names, "fold": fold, "split": part, "target": target})
            rows.append(table.assign(p_benign=1 - score, p_malignant=score, group_id=[f"g{n}" for n in names], protocol=protocol))
    return pd.concat(rows, ignore_index=True)


def seven(num_images: int = 140) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    targets = np.arange(num_images) % 7
    probabilities = rng.dirichlet(np.ones(7), num_images) * 0.7 + 0.3 * np.eye(7)[targets]
    table = pd.DataFrame({"image_id": [f"i{n}" for n in range(num_images)], "target": [names[t] for t in targets]})
    return table.assign(**{f"p_{name}": probabilities[:, index] for index, name in enumerate(names)})


def document(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    return evaluate(Predictions.from_frame(table), num_resamples=50, **options)


def test_strict_thresholds_come_from_validation_rows_alone() -> None:
    table = binary()
    changed = table.copy()
    test = changed["split"] == "test"
    changed.loc[test, "p_malignant"] = np.random.default_rng(9).random(test.sum())
    changed["p_benign"] = 1 - changed["p_malignant"]
    first, second = document(table), document(changed)
    assert first["operating_point"]["thresholds"] == second["operating_point"]["thresholds"]
    assert first["operating_point"]["chosen_on"] == "validation"
    assert first["operating_point"]["thresholds"]["0"] != first["operating_point"]["thresholds"]["1"]
    assert first["metrics"]["sensitivity"]["value"] != second["metrics"]["sensitivity"]["value"]


def test_each_folds_threshold_judges_its_own_rows() -> None:
    table = binary()
    result = document(table)
    test = table[table["split"] == "test"]
    thresholds = test["fold"].map({int(fold): value for fold, value in result["operating_point"]["thresholds"].items()})
    flagged, truth = test["p_malignant"] >= thresholds, test["target"] == "malignant"
    assert result["metrics"]["sensitivity"]["value"] == pytest.approx(flagged[truth].mean())
    assert result["metrics"]["specificity"]["value"] == pytest.approx((~flagged)[~truth].mean())
    assert result["metrics"]["accuracy"]["value"] == pytest.approx((flagged == truth).mean())
    by_fold = [(flagged == truth)[test["fold"] == fold].mean() for fold in (0, 1)]
    assert result["metrics"]["accuracy"]["fold_mean"] == pytest.approx(np.mean(by_fold))
    assert result["metrics"]["accuracy"]["fold_sd"] == pytest.approx(np.std(by_fold, ddof=1))


def test_a_papers_protocol_chooses_on_the_test_rows_and_is_called_optimistic() -> None:
    result = document(binary(protocol="paper-zoome"))
    assert result["optimistic"] is True
    assert result["operating_point"]["chosen_on"] == "test"
    assert result["notes"][0].startswith("Optimistic")
    assert "paper-zoome (optimistic)" in evaluation_table(result)
    strict = document(binary())
    assert strict["optimistic"] is False
    assert strict["notes"] == []


def test_without_a_threshold_what_needs_one_is_null_with_the_reason() -> None:
    result = document(binary(validation=False))
    for name in ("sensitivity", "specificity", "precision", "accuracy", "balanced_accuracy", "macro_f1"):
        assert result["metrics"][name]["value"] is None
        assert "no validation rows" in result["metrics"][name]["reason"]
    assert result["metrics"]["auc"]["value"] > 0.5
    assert result["confusion"] is None
    assert "no validation rows" in evaluation_table(result)


def test_a_given_threshold_is_used() -> None:
    table = binary(validation=False)
    result = document(table, threshold=0.6)
    assert result["operating_point"] == {
        "rule": "given",
        "chosen_on": "given",
        "thresholds": {"0": 0.6, "1": 0.6},
        "reason": None,
    }
    truth = table["target"] == "malignant"
    assert result["metrics"]["sensitivity"]["value"] == pytest.approx((table["p_malignant"] >= 0.6)[truth].mean())
    with pytest.raises(DataError, match="from 0 to 1"):
        document(table, threshold=1.5)


def test_a_wanted_sensitivity_is_reached_on_the_validation_rows() -> None:
    table = binary()
    result = document(table, operating_point="sensitivity:0.95")
    chosen = table[(table["split"] == "validation") & (table["target"] == "malignant") & (table["fold"] == 0)]
    assert (chosen["p_malignant"] >= result["operating_point"]["thresholds"]["0"]).mean() >= 0.95
    with pytest.raises(DataError, match="expected youden"):
        document(table, operating_point="best")


def test_seven_classes() -> None:
    result = document(seven())
    assert result["positive"] == "mel"
    assert {"macro_auc", "balanced_accuracy", "ovr_balanced_accuracy", "f1_sd"} <= set(result["metrics"])
    assert "auc" not in result["metrics"]
    assert result["metrics"]["sensitivity"]["value"] is None
    assert 0 < result["metrics"]["balanced_accuracy"]["value"] < 1
    assert result["per_class"]["df"]["sensitivity"]["n"] == 20
    assert result["protocol"] is None
    assert result["optimistic"] is None
    assert "group_id" in result["notes"][0]
    json.dumps(result, allow_nan=False)


def test_a_class_without_test_images_is_null_never_one() -> None:
    table = seven()
    result = document(table[table["target"] != "df"])
    for name in ("sensitivity", "auc", "f1"):
        figure = result["per_class"]["df"][name]
        assert figure["value"] is None or name == "f1"
    assert result["metrics"]["balanced_accuracy"]["value"] is None
    assert "no image of" in result["metrics"]["balanced_accuracy"]["reason"]
    json.dumps(result, allow_nan=False)


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    table = seven(14).astype(object)
    table.loc[0, "target"] = float("nan")
    table.loc[1, "target"] = "wart"
    table.loc[2, "p_mel"] = "high"
    table.loc[3, "p_mel"] = 1.5
    table.loc[4, "p_mel"] = 0.0
    table.loc[5, "p_nv"] = 0.99
    table.loc[7, "image_id"] = table.loc[6, "image_id"]
    table["split"], table["protocol"] = "test", "strict"
    table.loc[8, "split"], table.loc[9, "protocol"] = "train", "mine"
    table.to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(DataError) as caught:
        Predictions.read(tmp_path / "p.csv")
    message = str(caught.value)
    for part in (
        "row 2: target ''",
        "row 3: target 'wart'",
        "row 4: p_mel",
        "row 5: p_mel",
        "row 7: the probabilities sum to",
        "row 8: image_id 'i6': is tested more than once",
        "row 9: image_id 'i6'",
        "row 10: split 'train'",
        "row 11: protocol 'mine'",
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image_id,target,p_a,p_b\n", "a header and no row"),
        ("image_id;target;p_a;p_b\nx;a;0.5;0.5\n", "separated by semicolons"),
        ("image_id\ttarget\tp_a\tp_b\nx\ta\t0.5\t0.5\n", "separated by tabs"),
        ("image_id,p_a,p_b\nx,0.5,0.5\n", "no column target"),
        ("image_id,target,p_a\nx,a,1\n", "at least two classes"),
    ],
)
def test_files_that_are_no_predictions(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Predictions.read(tmp_path / "p.csv")
    with pytest.raises(DataError, match="no such file"):
        Predictions.read(tmp_path / "none.csv")


def test_a_byte_order_mark_and_windows_newlines_are_fine(tmp_path: Path) -> None:
    text = seven(14).to_csv(index=False).replace("\n", "\r\n")
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(Predictions.read(tmp_path / "p.csv").test) == 14


def test_a_group_on_both_sides_is_refused_under_strict_alone() -> None:
    table = binary()
    table["group_id"] = table["group_id"].where(~table["image_id"].isin(["t0_3", "t1_5"]), "same")
    with pytest.raises(DataError, match="same: folds 0, 1"):
        Predictions.from_frame(table)
    table["group_id"] = table["group_id"].where(~table["image_id"].isin(["v0_3", "t0_5"]), "both")
    with pytest.raises(DataError, match="both: validation and test of fold 0"):
        Predictions.from_frame(table)
    Predictions.from_frame(table.assign(protocol="paper-zoome"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    predictions = Predictions.from_frame(binary())
    predictions.write(tmp_path / "p.csv")
    again = Predictions.read(tmp_path / "p.csv")
    assert document(predictions.frame)["metrics"] == document(again.frame)["metrics"]


def test_the_table_has_fold_mean_and_deviation_beside_the_interval() -> None:
    result = document(binary())
    figure = result["metrics"]["auc"]
    line = next(line for line in evaluation_table(result).splitlines() if line.startswith("auc"))
    assert f"{figure['value']:.3f}" in line
    assert f"[{figure['low']:.3f}, {figure['high']:.3f}]" in line
    assert f"{figure['fold_mean']:.3f} ± {figure['fold_sd']:.3f}" in line
