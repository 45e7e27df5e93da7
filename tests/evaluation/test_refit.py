"""The model that is given away: trained on all rows, calibrated on out-of-fold answers, refused where rows chose anything."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command_line import nevus
from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.errors import DataError, RecipeError
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.refit import refit
from nevus.files import write_json
from nevus.metrics.calibration import fit_temperature
from nevus.metrics.decision import choose_threshold
from nevus.predictor import Predictor, softmax
from nevus.recipe import Recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ["data.task=malignant", "data.num_folds=2", "data.size=32", "data.validation_share=0.3"]
    settings += ["model.backbone=resnet10t", "model.fusion.kind=multiply", "training.epochs=1", "training.batch_size=16"]
    recipe = Recipe(name="small").with_settings([*settings, "training.precision=float32", "training.monitor=last"])
    folder = tmp_path_factory.mktemp("run")
    cross_validate(recipe, phantoms, folder)
    return folder


def test_all_rows_train_and_out_of_fold_answers_calibrate(
    run: Path, phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = nevus(monkeypatch, capsys, "refit", run, "--out", tmp_path / "whole", "--json")
    assert code == 0, err
    bundle = Bundle.load(json.loads(out)["bundle"])
    document = bundle.document
    assert document["training_data"]["num_images"] == len(phantoms)
    assert document["training_data"]["num_validation_images"] == 0
    # By hand: each fold's own bundle on the rows it did not see.
    table = Predictions.read(run / "predictions.csv").test
    places = dict(zip(phantoms.frame["image_id"], phantoms.paths(), strict=True))
    logits, targets, scores = [], [], []
    for fold, rows in table.groupby("fold"):
        predictor = Predictor(run / f"fold-{fold}" / "bundle")
        metadata = {name: rows[name].to_numpy() for name in ("age_years", "sex", "site")}
        outputs = predictor.predict_outputs([places[name] for name in rows["image_id"]], metadata)
        logits.append(outputs.logits)
        scores.append(predictor.novelty_scores(outputs)["mahalanobis"])
        targets.append((rows["target"] == "malignant").to_numpy().astype(np.int64))
    pooled, truth = np.concatenate(logits), np.concatenate(targets)
    temperature = fit_temperature(pooled, truth)
    assert document["temperature"] == pytest.approx(temperature, rel=1e-6)
    threshold = choose_threshold("youden", softmax(pooled, temperature)[:, 1], truth == 1)
    assert document["operating_point"]["threshold"] == pytest.approx(threshold, rel=1e-6)
    assert document["operating_point"]["chosen_on"] == f"{len(table)} out-of-fold images"
    assert document["conformal"]["chosen_on"].startswith(f"{len(table)} out-of-fold images of ")
    limit = document["novelty"]["thresholds"]["mahalanobis"]["0.95"]
    assert limit is None or np.isclose(np.concatenate(scores), limit).any()
    assert document["prior"]["validation"]["malignant"] == pytest.approx(truth.mean())
    evaluated = json.loads((run / "evaluation.json").read_text())
    auc = document["evaluation"]["metrics"]["auc"]
    assert auc == {key: evaluated["metrics"]["auc"][key] for key in ("value", "low", "high", "n", "method")}
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert "the figures are out of fold, strict" in card
    assert f"| auc | {auc['value']:.3f} | {auc['low']:.3f} to {auc['high']:.3f} | {auc['n']} |" in card
    assert "EVALUATION.md" in card
    assert "| ECE of the largest probability alone, not of each class's | " in card
    assert f"those of the {len(table)} out-of-fold images it was chosen on" in card
    assert "## Quantitative analyses" in bundle.read("EVALUATION.md").decode("utf-8")
    assert len(Predictor(bundle).predict(phantoms.paths()[:3])) == 3


def changed(run: Path, copy: Path, **provenance: Any) -> Path:
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).symlink_to(path)
    document = json.loads((run / "evaluation.json").read_text())
    document["provenance"] |= provenance
    (copy / "evaluation.json").unlink()
    write_json(copy / "evaluation.json", document)
    return copy


def rewrite(path: Path, lines: Any) -> None:
    kept = np.array(path.read_text(encoding="utf-8").splitlines())[lines]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def negate(path: Path) -> None:
    table = pd.read_csv(path)
    names = [name for name in table if str(name).startswith("logit_")]
    table[names] = -table[names]
    table.to_csv(path, index=False)


def test_a_run_that_is_not_whole_or_of_another_manifest_is_refused(run: Path, phantoms: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 folds are tested"):
        refit(changed(run, tmp_path / "part", folds_run="1 of 2"), tmp_path / "out")
    fewer = phantoms.where(phantoms.frame["sex"] == "male").write(tmp_path / "fewer.csv")
    with pytest.raises(DataError, match="is not the manifest that"):
        refit(run, tmp_path / "out", manifest=fewer.path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "setting", ["training.monitor=auc", "training.early_stopping=3", "training.schedule.kind=plateau"], ids=lambda s: s[9:18]
)
def test_a_recipe_that_chooses_on_validation_rows_is_refused(
    run: Path, tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe.model_validate_json((run / "recipe.json").read_bytes()).with_settings([setting])
    monkeypatch.setattr("nevus.evaluation.refit.read_recipe", lambda run: recipe)
    with pytest.raises(RecipeError, match="chooses its epoch or its learning rate on validation rows"):
        refit(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "does not hold what the fold answered.*the fold is predicted anew, not trained"),
        (lambda path: rewrite(path, slice(0, -1)), "has no row for image .*, which the fold tested"),
        (lambda path: rewrite(path, [*range(5), 4]), "has two rows for image"),
        (lambda path: negate(path), "are not those of predictions.csv"),
    ],
    ids=["gone", "cut short", "doubled", "of another network"],
)
def test_a_fold_whose_answers_are_not_all_there_is_refused(run: Path, tmp_path: Path, change: Any, said: str) -> None:
    copy = changed(run, tmp_path / "copy")
    (copy / "fold-1").unlink()
    shutil.copytree(run / "fold-1", copy / "fold-1")
    change(copy / "fold-1" / "held_out.csv")
    with pytest.raises(DataError, match=said):
        refit(copy, tmp_path / "out")
    assert not (tmp_path / "out" / "bundle").exists()
