"""The whole way: folds, training, the predictor's predictions, evaluation; and that no fold saw its test rows."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.splits import Folds
from nevus.errors import DataError
from nevus.evaluation import cross_validate as module
from nevus.evaluation.cross_validate import cross_validate
from nevus.files import sha256
from nevus.predictor import Predictor
from nevus.recipe import Recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = [
        f"data.manifest={phantoms.path}",
        "data.num_folds=2",
        "data.validation_share=0.3",
        "data.size=64",
        "model.backbone=resnet10t",
        "model.attention.kind=soft",
        "model.fusion.kind=concat",
        "training.epochs=1",
        "training.batch_size=16",
        "training.precision=float32",
        "training.loss.kind=class_weighted",
        "data.task=malignant",
    ]
    cross_validate(Recipe(name="tiny").with_settings(settings), phantoms, folder)
    return folder


def test_the_run_folder_holds_what_programs_read(run: Path) -> None:
    document = json.loads((run / "evaluation.json").read_text())
    assert {"protocol", "metrics", "per_class", "per_fold", "provenance"} <= set(document)
    assert document["protocol"] == "strict"
    assert document["optimistic"] is False
    assert len(document["per_fold"]) == 2
    assert document["provenance"]["manifest_sha256"]
    assert document["provenance"]["recipe"]["name"] == "tiny"
    assert document["operating_point"]["chosen_on"] == "validation"
    figure = document["metrics"]["auc"]
    assert figure["low"] <= figure["value"] <= figure["high"]
    assert figure["fold_mean"] == pytest.approx(np.mean([fold["metrics"]["auc"] for fold in document["per_fold"]]))


def test_every_image_is_tested_once_and_no_group_in_two_folds(run: Path, phantoms: Manifest) -> None:
    table = pd.read_csv(run / "predictions.csv")
    test = table[table["split"] == "test"]
    assert sorted(test["image_id"]) == sorted(phantoms.frame["image_id"])
    assert (test.groupby("group_id")["fold"].nunique() == 1).all()
    for fold in (0, 1):
        validation = table[(table["split"] == "validation") & (table["fold"] == fold)]
        assert len(validation)
        assert not set(validation["group_id"]) & set(test[test["fold"] == fold]["group_id"])


def test_the_encoder_and_the_class_weights_come_from_training_rows_alone(run: Path, phantoms: Manifest) -> None:
    rows, _, targets = phantoms.for_task("malignant")
    folds = Folds.read(run / "folds.csv", rows)
    for fold in (0, 1):
        document = Bundle.load(run / f"fold-{fold}" / "bundle").document
        training = folds.parts(rows, fold).train
        ages = rows.frame["age_years"].to_numpy()[training]
        encoder = MetadataEncoder.from_json(document["metadata"])
        assert encoder.age_mean == pytest.approx(np.nanmean(ages))
        assert encoder.age_sd == pytest.approx(np.nanstd(ages))
        assert encoder.age_mean != pytest.approx(np.nanmean(rows.frame["age_years"]))
        counts = np.bincount(targets[training], minlength=2)
        assert document["training_data"]["classes"] == {"benign": counts[0], "malignant": counts[1]}
        assert document["folds_sha256"] == sha256(run / "folds.csv")


def test_predictions_are_those_of_the_bundle_from_file_to_probability(run: Path, phantoms: Manifest) -> None:
    table = pd.read_csv(run / "predictions.csv").query("split == 'test' and fold == 1").head(5)
    rows = phantoms.frame.set_index("image_id").loc[table["image_id"]]
    predictor = Predictor(run / "fold-1" / "bundle")
    paths = [phantoms.root / path for path in rows["path"]]
    answers = predictor.predict(paths, {name: rows[name].to_numpy() for name in ("age_years", "sex", "site")})
    found = [answer.probabilities["malignant"] for answer in answers]
    assert np.allclose(found, table["p_malignant"], atol=1e-6)


def test_a_finished_run_is_not_run_again(run: Path, phantoms: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    recipe = Recipe.model_validate_json((run / "recipe.json").read_text())
    before = sha256(run / "predictions.csv")
    monkeypatch.setattr(module, "fit_rows", refuse)
    cross_validate(recipe, phantoms, run)
    assert sha256(run / "predictions.csv") == before


def test_only_some_folds(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    document = cross_validate(tiny.with_settings(["training.epochs=1"]), phantoms, tmp_path, only=[1])
    assert [fold["fold"] for fold in document["per_fold"]] == [1]
    assert document["metrics"]["auc"]["fold_sd"] is None
    assert document["provenance"]["folds_run"] == "1 of 2"
    with pytest.raises(DataError, match="fold 7 is not among the folds"):
        cross_validate(tiny.with_settings(["training.epochs=1"]), phantoms, tmp_path, only=[7])


def test_given_folds_that_split_a_group_are_refused(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    from nevus.data.splits import split

    rows, _, _ = phantoms.for_task("malignant")
    split(rows, task="malignant", num_folds=2).write(tmp_path / "folds.csv")
    lines = (tmp_path / "folds.csv").read_text().splitlines()
    several = rows.frame[rows.frame["group_id"].duplicated(keep=False)].iloc[0]
    place = next(index for index, line in enumerate(lines) if line.startswith(f"{several['image_id']},"))
    lines[place] = f"{several['image_id']},{1 - int(lines[place][-1])}"
    (tmp_path / "folds.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=f"(?s)groups lie in two folds.*{several['group_id']}"):
        cross_validate(tiny, phantoms, tmp_path / "run", folds=tmp_path / "folds.csv")
    assert not (tmp_path / "run" / "folds.csv").exists()


@pytest.mark.parametrize("protocol", ["paper-2022", "paper-zoome"])
def test_a_papers_protocol_is_called_optimistic(phantoms: Manifest, tiny: Recipe, tmp_path: Path, protocol: str) -> None:
    recipe = tiny.with_settings([f"data.protocol={protocol}", "training.epochs=1"])
    document = cross_validate(recipe, phantoms, tmp_path, only=[0])
    assert document["optimistic"] is True
    assert document["operating_point"]["chosen_on"] == "test"
    assert document["notes"][0].startswith("Optimistic")


def test_folds_of_another_protocol_or_task_are_refused(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    from nevus.data.splits import split

    rows, _, _ = phantoms.for_task("malignant")
    split(rows, task="malignant", protocol="paper-zoome", num_folds=2).write(tmp_path / "folds.csv")
    with pytest.raises(DataError, match="task malignant and protocol paper-zoome; the recipe asks for malignant and strict"):
        cross_validate(tiny, phantoms, tmp_path / "run", folds=tmp_path / "folds.csv")
