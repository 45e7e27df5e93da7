"""Baselines: the folds and files of any run; fitted to training rows alone; metadata is age, sex and site and nothing else."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from command_line import nevus
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.splits import Folds
from nevus.errors import DataError
from nevus.evaluation import baselines as module
from nevus.evaluation.baselines import ALONE, baselines, baselines_table
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.recipe import Recipe
from nevus.reports.page import write_report

FIELDS = ("age_years", "sex", "site")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "evaluate", partial(evaluate, num_resamples=20))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """240 rows without an image, up to three a patient; older patients have more melanoma."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(120), 2)
    ages = np.repeat(rng.integers(4, 18, 120) * 5, 2)
    targets = (rng.random(240) < (ages - 15) / 100).astype(int)
    frame = pd.DataFrame({"image_id": [f"R{k:03}" for k in range(240)], "path": "", "target": targets, "age_years": ages})
    frame["patient_id"] = [f"P{patient}" for patient in patients]
    frame["sex"] = rng.choice(["male", "female", ""], 240)
    frame["site"] = rng.choice(["torso", "head/neck", ""], 240)
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    frame.to_csv(path, index=False)
    return Manifest.read(path, without_images=True)


@pytest.fixture
def recipe(rows: Manifest) -> Recipe:
    return Recipe(name="rows").with_settings([f"data.manifest={rows.path}", "data.task=malignant", "data.num_folds=3"])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["strict", "paper-zoome"])
def test_a_run_is_read_by_everything_that_reads_runs(rows: Manifest, recipe: Recipe, tmp_path: Path, protocol: str) -> None:
    recipe = recipe.with_settings([f"data.protocol={protocol}"])
    document = baselines(recipe, rows, tmp_path, inputs="metadata", models=["logistic_regression"])["logistic_regression"]
    folder = tmp_path / "logistic_regression"
    assert document == json.loads((folder / "evaluation.json").read_text())
    assert (document["protocol"], document["optimistic"]) == (protocol, protocol != "strict")
    assert document["notes"][0] == ALONE
    assert document["metrics"]["auc"]["value"] > 0.6
    assert "over 120 groups" in document["metrics"]["auc"]["method"]
    predictions = Predictions.read(folder / "predictions.csv")
    assert sorted(predictions.test["image_id"]) == sorted(rows.frame["image_id"])
    crossing = predictions.test.groupby("group_id")["fold"].nunique().max()
    assert (crossing == 1) == (protocol == "strict")
    Folds.read(folder / "folds.csv", rows)
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert ALONE in page
    assert "rows-metadata-logistic_regression" in page
    assert "logistic_regression" in baselines_table({"logistic_regression": document})


def test_an_answer_is_a_function_of_age_sex_and_site(rows: Manifest, recipe: Recipe, tmp_path: Path) -> None:
    """Logistic regression worked here from the encoder alone is the same up to a temperature; equal rows have equal answers."""
    baselines(recipe, rows, tmp_path, inputs="metadata", models=["logistic_regression"])
    table = Predictions.read(tmp_path / "logistic_regression" / "predictions.csv").test.set_index("image_id")
    folds = Folds.read(tmp_path / "folds.csv", rows)
    targets = rows.frame["target"].to_numpy(int)
    for fold in folds.tested:
        parts = folds.parts(rows, fold)
        columns = {name: rows.frame[name].to_numpy() for name in FIELDS}
        encoder = MetadataEncoder.fit({name: values[parts.train] for name, values in columns.items()})
        encoded = encoder.encode(columns, len(rows))[0]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=10 / 12)).fit(encoded[parts.train], targets[parts.train])
        expected = model.decision_function(encoded[parts.test])
        found = table.loc[rows.frame["image_id"].iloc[parts.test], "p_malignant"].to_numpy()
        scale = np.polyfit(expected, np.log(found / (1 - found)), 1)
        assert scale[1] == pytest.approx(0, abs=0.02), "a temperature scales the logit"
        assert np.log(found / (1 - found)) == pytest.approx(scale[0] * expected, abs=0.02)
    test = table.assign(age=rows.frame.set_index("image_id")["age_years"]).fillna({"sex": "", "site": ""})
    assert (test.groupby(["fold", "age", "sex", "site"])["p_malignant"].nunique() == 1).all()


def test_models_are_fitted_to_training_rows_alone(
    rows: Manifest, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, Any]] = []

    def spy(name: str, inputs: Any, targets: Any, groups: Any, weights: str, seed: int) -> Any:
        seen.append((inputs, groups))
        return lambda asked: np.full((len(asked), 2), 0.5)

    monkeypatch.setattr(module, "fit_estimator", spy)
    baselines(recipe, rows, tmp_path, inputs="metadata", models=["random_forest"])
    folds = Folds.read(tmp_path / "folds.csv", rows)
    codes = pd.factorize(rows.frame["group_id"])[0]
    assert len(seen) == 3
    for fold, (inputs, groups) in zip(folds.tested, seen, strict=True):
        parts = folds.parts(rows, fold)
        assert inputs.shape == (len(parts.train), 12)
        assert groups.tolist() == codes[parts.train].tolist()
        assert not set(groups) & set(codes[parts.test])
        assert not set(groups) & set(codes[parts.validation])


@pytest.mark.slow
def test_what_is_finished_is_kept_and_another_run_is_refused(
    rows: Manifest, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "fit_estimator", lambda *_: lambda asked: np.full((len(asked), 2), 0.5))
    baselines(recipe, rows, tmp_path, inputs="metadata", models=["logistic_regression"])
    path = tmp_path / "logistic_regression" / "predictions.csv"
    written = path.stat().st_mtime_ns
    both = baselines(recipe, rows, tmp_path, inputs="metadata", models=["logistic_regression", "support_vectors"])
    assert list(both) == ["logistic_regression", "support_vectors"]
    assert path.stat().st_mtime_ns == written
    with pytest.raises(DataError, match="holds baselines of another recipe, manifest or inputs"):
        baselines(recipe, rows, tmp_path, inputs="metadata", models=["random_forest"], class_weights="balanced")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"inputs": "pixels"}, "--inputs pixels: expected one of metadata, image, both"),
        ({"inputs": "image"}, "240 rows have no image"),
        ({"inputs": "both"}, "240 rows have no image"),
        ({"inputs": "metadata", "models": ["tree"]}, "tree: there is no such estimator"),
        ({"inputs": "metadata", "class_weights": "heavy"}, "expected one of none, balanced"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    rows: Manifest, recipe: Recipe, tmp_path: Path, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        baselines(recipe, rows, tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()


def test_rows_without_an_image_train_no_network(
    rows: Manifest, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.toml").write_text('name = "rows"\n[data]\ntask = "malignant"\nnum_folds = 3\n')
    words = [tmp_path / "rows.toml", "--manifest", rows.path, "--out", tmp_path / "run"]
    for verb in ("fit", "cross-validate"):
        code, _, err = nevus(monkeypatch, capsys, verb, *words)
        assert code == 2
        assert "path '': may not be empty: only `nevus baselines --inputs metadata`" in err
    code, out, err = nevus(
        monkeypatch, capsys, "baselines", *words, "--inputs", "metadata", "--models", "logistic_regression", "--json"
    )
    assert code == 0
    assert json.loads(out)["logistic_regression"]["num_images"] == 240
    assert "logistic_regression: fold 0, 1 of 3" in err


@pytest.mark.slow
def test_frozen_features_with_and_without_metadata(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    for inputs in ("image", "both"):
        documents = baselines(tiny, phantoms, tmp_path / inputs, inputs=inputs)
        assert len(documents) == 4
        assert ALONE not in documents["support_vectors"]["notes"]
        assert documents["random_forest"]["provenance"]["recipe"]["model"]["backbone"] == "resnet10t"
        assert np.load(tmp_path / inputs / "features.npy").shape == (len(phantoms), 512)
        assert documents["logistic_regression"]["provenance"]["recipe"]["training"]["inputs"] == inputs
