"""Settings of the papers' regimes, seen in the log of a real run."""

import json
from pathlib import Path
from typing import Any

import pytest

from nevus.data.manifest import Manifest
from nevus.recipe import Recipe
from nevus.training.fit import fit

pytestmark = pytest.mark.slow
WEIGHTED = ["training.loss.kind=class_weighted", "training.loss.class_weights.malignant=50", "model.backbone=resnet10t"]


def logged(recipe: Recipe, phantoms: Manifest, folder: Path) -> list[dict[str, Any]]:
    fit(recipe, phantoms, folder)
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_end_and_the_length_of_epochs_are_the_recipes(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    settings = ["training.epochs=9", "training.early_stopping=2", "training.stop_monitor=loss", "training.stop_min_delta=100"]
    log = logged(tiny.with_settings([*settings, "training.monitor=last", "training.epoch_steps=1"]), phantoms, tmp_path)
    # Only the first epoch is better by 100 than none at all; "last" alone would never have stopped.
    assert [line["step"] for line in log] == [1, 2, 3]


def test_validation_may_be_without_the_class_weights(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    recipe = tiny.with_settings([*WEIGHTED, "training.epochs=1"])
    (weighted,) = logged(recipe, phantoms, tmp_path / "weighted")
    (plain,) = logged(recipe.with_settings(["training.loss.validation=cross_entropy"]), phantoms, tmp_path / "plain")
    assert plain["train_loss"] == weighted["train_loss"]
    assert plain["validation_auc"] == weighted["validation_auc"]
    assert plain["validation_loss"] < weighted["validation_loss"] / 3
