"""More views of each photo: the means of the first ones, thresholds of their own, milliseconds, and the page that says so."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from command_line import nevus
from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.views import VIEWS
from nevus.errors import DataError
from nevus.evaluation import views as module
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.views import COUNTS, views, views_table
from nevus.files import write_json
from nevus.metrics.decision import choose_threshold
from nevus.predictor import softmax
from nevus.recipe import Recipe
from nevus.reports.run import Run
from nevus.reports.views import views as page


class Noisy:
    """A predictor of noise of its own in each view about the truth, which the rows' ages say: more views, less noise."""

    side = 32

    def __init__(self, bundle: Any) -> None:
        pass

    def view_logits(self, images: list[Any], metadata: dict[str, Any], num_views: int) -> np.ndarray:
        ages = np.asarray(metadata["age_years"], float)
        noise = np.array([[np.random.default_rng([int(age), view]).normal(0, 3) for age in ages] for view in range(num_views)])
        return np.stack([np.zeros_like(noise), (ages % 2) - 0.5 + noise], axis=2).astype(np.float32)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return softmax(logits, 1.0)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """200 test and 200 validation rows of two folds; no image is read and no network runs."""
    numbers = np.arange(400)
    frame = pd.DataFrame({"image_id": [f"I{k}" for k in numbers], "fold": numbers // 2 % 2, "protocol": "strict"})
    frame["split"], frame["age_years"] = np.where(numbers < 200, "validation", "test"), numbers.astype(float)
    frame["target"], frame["group_id"] = np.where(numbers % 2, "malignant", "benign"), [f"G{k // 4}" for k in numbers]
    frame["group_id"] += "-" + frame["fold"].astype(str)
    table = Predictions.from_frame(frame.assign(p_benign=0.5, p_malignant=0.5))
    table.write(tmp_path / "predictions.csv")
    write_json(tmp_path / "evaluation.json", {"operating_point": {"rule": "youden"}, "provenance": {}})
    document = {"preprocessing": {"views": 4, "size": 32}, "classes": ["benign", "malignant"]}
    bundle = Bundle(tmp_path, document)
    monkeypatch.setattr(module, "whole_image_bundles", lambda run, folds: dict.fromkeys(folds, bundle))
    monkeypatch.setattr(module, "image_paths", lambda run, manifest, rows: [Path(name) for name in rows["image_id"]])
    monkeypatch.setattr(module, "read_reduced", lambda path, short_side: SimpleNamespace(path=path))
    monkeypatch.setattr(module, "Predictor", Noisy)
    monkeypatch.setattr(module, "measure_latency", lambda given, num_views: 5.0 * num_views)
    return tmp_path


def test_each_number_is_the_mean_of_the_first_views_and_differs_from_one_by_its_pair(run: Path) -> None:
    document = views(run, num_resamples=20)
    assert document == json.loads((run / "views.json").read_text())
    assert list(document["views"]) == [str(count) for count in COUNTS] == ["1", "2", "4", "8"]
    assert len(VIEWS) == COUNTS[-1]
    table = Predictions.read(run / "predictions.csv")
    for count, found in document["views"].items():
        columns = {"age_years": table.frame["age_years"].to_numpy()}
        logits = Noisy(None).view_logits([], columns, int(count)).mean(axis=0)
        frame = table.frame.assign(score=softmax(logits, 1.0)[:, 1], truth=table.frame["target"] == "malignant")
        test = frame[frame["split"] == "test"]
        flagged = pd.Series(False, index=test.index)
        for fold, rows in frame[frame["split"] == "validation"].groupby("fold"):
            threshold = choose_threshold("youden", rows["score"], rows["truth"])
            flagged |= (test["fold"] == fold) & (test["score"] >= threshold)
        figures = {name: figure["value"] for name, figure in found["test"]["figures"].items()}
        assert figures["auc"] == pytest.approx(roc_auc_score(test["truth"], test["score"]))
        assert figures["sensitivity"] == pytest.approx(flagged[test["truth"]].mean())
        assert figures["specificity"] == pytest.approx(1 - flagged[~test["truth"]].mean())
        assert found["latency_ms"] == 5.0 * int(count)
        single = document["views"]["1"]["test"]["figures"]["auc"]["value"]
        gap = found["test"]["differences"].get("auc", {"value": 0.0})["value"]
        assert gap == pytest.approx(found["test"]["figures"]["auc"]["value"] - single)
    assert document["views"]["8"]["test"]["figures"]["auc"]["value"] > 0.55
    assert document["views"]["1"]["test"]["differences"] == {}


def test_validation_rows_have_no_figures_at_the_thresholds_that_they_chose(run: Path) -> None:
    found = views(run, num_resamples=20)["views"]["2"]
    assert set(found["validation"]["figures"]) == {"auc", "brier"}
    assert {"sensitivity", "specificity"} <= set(found["test"]["figures"])


def test_bundles_with_the_classes_in_another_order_are_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle(run, {"classes": ["malignant", "benign"]})
    monkeypatch.setattr(module, "whole_image_bundles", lambda run, folds: dict.fromkeys(folds, bundle))
    with pytest.raises(DataError, match="its classes are malignant, benign, those of"):
        views(run)


@pytest.mark.slow
def test_the_table_and_the_page_say_figures_and_milliseconds(run: Path) -> None:
    document = views(run, num_resamples=20)
    text = views_table(document)
    assert "test, 200 rows" in text
    assert f"8 views,   40.0 ms a photo  auc {document['views']['8']['test']['figures']['auc']['value']:.3f}" in text
    write_json(run / "evaluation.json", evaluate(run / "predictions.csv", num_resamples=10))
    shown = page(Run.read(run))
    assert "from 5 to 40 milliseconds" in shown
    assert f"{document['views']['8']['test']['differences']['auc']['low']:+.3f}" in shown
    assert "This run uses 4 views" in shown
    (run / "views.json").unlink()
    assert page(Run.read(run)) == ""


@pytest.mark.slow
def test_a_runs_own_number_of_views_has_the_figures_it_has_on_file(
    tiny: Recipe, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cross_validate(tiny.with_settings(["training.epochs=1", "data.views=8"]), phantoms, tmp_path / "run")
    code, out, _ = nevus(monkeypatch, capsys, "views", tmp_path / "run", "--json")
    assert code == 0
    found = json.loads(out)["views"]
    expected = json.loads((tmp_path / "run" / "evaluation.json").read_text())["metrics"]
    for name in ("auc", "sensitivity", "specificity", "brier"):
        assert found["8"]["test"]["figures"][name]["value"] == pytest.approx(expected[name]["value"], abs=1e-6)
    assert found["1"]["test"]["figures"]["auc"]["value"] != found["8"]["test"]["figures"]["auc"]["value"]
    assert 0 < found["1"]["latency_ms"] < found["8"]["latency_ms"]
