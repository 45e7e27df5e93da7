"""The ISIC challenge's own scorer on its own test files: what it measures is identical here, what it gives for free is null."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore
from isic_challenge_scoring.load_csv import parse_truth_csv

from nevus.errors import DataError
from nevus.evaluation.evaluate import evaluate

# The scorer is older than the pandas and NumPy that are installed here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
    pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors"),
]
FOLDER = Path(__file__).parent / "official"
OURS = {
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "dice": "f1",
    "ppv": "precision",
    "npv": "npv",
    "auc": "auc",
    "auc_sens_80": "auc_sens_80",
    "ap": "average_precision",
}


def read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv", index_col="image")


def scored(folder: Path, truth: pd.DataFrame, prediction: pd.DataFrame) -> tuple[dict[str, Any], ClassificationScore]:
    truth.to_csv(folder / "truth.csv")
    prediction.to_csv(folder / "prediction.csv")
    with (folder / "truth.csv").open() as stream:
        answers, weights = parse_truth_csv(stream)
    official = ClassificationScore(answers, prediction.loc[answers.index], weights, ClassificationMetric.BALANCED_ACCURACY)
    return evaluate(folder / "prediction.csv", truth=folder / "truth.csv", num_resamples=2), official


def assert_identical(document: dict[str, Any], official: ClassificationScore) -> None:
    by_category = official.per_category.set_axis(list(official.rocs))
    for category, row in by_category.iterrows():
        figures = document["per_class"][str(category).lower()]
        for theirs, ours in OURS.items():
            assert figures[ours]["value"] == pytest.approx(row[theirs], abs=1e-12), (category, theirs)
    metrics = document["metrics"]
    assert metrics["balanced_accuracy"]["value"] == pytest.approx(official.aggregate["balanced_accuracy"], abs=1e-12)
    assert metrics["macro_auc"]["value"] == pytest.approx(official.macro_average["auc"], abs=1e-12)
    assert metrics["macro_average_precision"]["value"] == pytest.approx(official.macro_average["ap"], abs=1e-12)
    macro_f1 = np.mean([figures["f1"]["value"] for figures in document["per_class"].values()])
    assert macro_f1 == pytest.approx(official.macro_average["dice"], abs=1e-12)


def test_its_own_files(tmp_path: Path) -> None:
    document, official = scored(tmp_path, read("truth"), read("prediction"))
    assert_identical(document, official)
    assert document["num_images"] == 400


def test_ties(tmp_path: Path) -> None:
    prediction = read("prediction").round(1)
    document, official = scored(tmp_path, read("truth"), prediction)
    tied = (prediction.eq(prediction.max(axis=1), axis=0).sum(axis=1) > 1).sum()
    assert tied > 50
    assert sum(document["confusion"]["undecided"]) == tied
    assert_identical(document, official)


def test_images_without_weight(tmp_path: Path) -> None:
    truth, prediction = read("truth"), read("prediction")
    # The scorer gives the withdrawn ISIC_0035068 no weight, whatever the file says.
    names = {truth.index[1]: "ISIC_0035068"}
    truth, prediction = truth.rename(index=names), prediction.rename(index=names)
    truth["score_weight"], truth["validation_weight"] = 1.0, 1.0
    truth.iloc[::7, 7] = 0.0
    document, official = scored(tmp_path, truth, prediction)
    assert_identical(document, official)
    assert document["num_images"] == 400 - 58 - 1
    assert any("59 images have no weight" in note for note in document["notes"])
    truth.iloc[3, 7] = 0.5
    with pytest.raises(DataError, match=r"row 5: score_weight '0\.5': expected 0 or 1"):
        scored(tmp_path, truth, prediction)


def test_what_it_gives_for_free_is_null_with_its_reason(tmp_path: Path) -> None:
    prediction = read("prediction")
    prediction["DF"] *= 0.4
    document, official = scored(tmp_path, read("truth"), prediction)
    by_category = official.per_category.set_axis(list(official.rocs))
    assert by_category.at["DF", "ppv"] == 1.0
    figure = document["per_class"]["df"]["precision"]
    assert figure["value"] is None
    assert "none decided to be it" in figure["reason"]
    assert document["per_class"]["df"]["npv"]["value"] == pytest.approx(by_category.at["DF", "npv"])


def test_probabilities_need_rows_that_sum_to_one(tmp_path: Path) -> None:
    prediction = read("prediction")
    document, _ = scored(tmp_path, read("truth"), prediction)
    for name in ("brier", "log_loss", "ece"):
        assert document["metrics"][name]["value"] is None
        assert "do not sum to 1" in document["metrics"][name]["reason"]
    assert "400 of 400 rows do not sum to 1" in document["notes"][0]
    document, _ = scored(tmp_path, read("truth"), prediction.div(prediction.sum(axis=1), axis=0))
    assert 0 < document["metrics"]["brier"]["value"] < 2
    assert "The rows sum to 1." in document["notes"][0]
