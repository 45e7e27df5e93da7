"""What a run says of its data and its limits: each number counted by hand from the run's own files."""

import dataclasses
from typing import Any

import pandas as pd
import pytest
from fabricated_run import TWO, fabricate

from nevus.reports import data_account, model_account, result_account
from nevus.reports.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One image-level split: a fifth is tested, the rest only trains."""
    folder = tmp_path_factory.mktemp("runs") / "split"
    return Run.read(fabricate(folder, classes=TWO, protocol="paper-2022", num_folds=5, num_images=100))


def _with(run: Run, **provenance: Any) -> Run:
    return dataclasses.replace(run, evaluation={**run.evaluation, "provenance": {**run.provenance, **provenance}})


def test_images_that_only_train_are_counted_apart_from_those_tested(run: Run) -> None:
    assert len(run.images) == 100
    num_tested = len(run.predictions.test)
    assert 0 < num_tested < 100
    assert data_account.sources(run) == f"Data sets: ham10000 (100 images, {num_tested} of them tested)."
    ages = run.images.merge(run.predictions.test[["image_id"]])["age_years"]
    assert f"age of {ages.isna().sum()}" in data_account.missing_data(run)


def test_validation_images_are_counted_by_fold(run: Run) -> None:
    table = run.predictions.frame
    assert f"{(table['split'] == 'validation').sum()} images." in data_account.analyses(run)
    fewer = table[~((table["split"] == "validation") & (table.index % 2 == 0))]
    folds = pd.concat([table.assign(fold=0), fewer.assign(fold=1, image_id=fewer["image_id"] + "b")])
    both = dataclasses.replace(run, predictions=dataclasses.replace(run.predictions, frame=folds))
    counts = folds[folds["split"] == "validation"].groupby("fold").size()
    assert f"Validation, of each fold: {counts[1]} to {counts[0]} images." in data_account.analyses(both)


def test_folds_that_were_not_run_are_a_limit_and_stand_in_the_head(run: Run) -> None:
    some, every = _with(run, folds_run="1 of 5"), _with(run, folds_run="5 of 5")
    assert "Trained and tested: 1 of the protocol's 5 folds." in result_account.limitations(some)
    assert "in 1 fold of the protocol's 5." in data_account.flow(some)
    assert "Trained and tested" not in result_account.limitations(every)
    assert "of the protocol" not in data_account.flow(every)


def test_the_epoch_is_said_to_be_chosen_where_it_was(run: Run) -> None:
    assert "on the test images themselves" in model_account.selection(run)
    strict = dataclasses.replace(run, evaluation={**run.evaluation, "protocol": "strict"})
    assert "on validation images" in model_account.selection(strict)
    assert model_account.updating(run) == ""


def test_images_that_could_not_be_read_are_counted(run: Run) -> None:
    assert "Every photograph could be read." in data_account.preprocessing(run)
    left_out = _with(run, unreadable=["a", "b"])
    assert "2 photographs could not be read and were left out." in data_account.preprocessing(left_out)
    assert "2 photographs" in data_account.exclusions(left_out)


def test_what_part_of_a_photograph_is_used_is_said(run: Run) -> None:
    assert data_account.crops(run) == "The whole photograph is used."
    assert "of the whole, at 224 pixels" in model_account.ensembling(run)
    middle = _with(run, recipe={**run.recipe, "data": {**run.recipe["data"], "central": [0.9]}})
    assert data_account.crops(middle) == "Of the photograph the central 0.9 of the sides is used."
    assert "of the photograph the central 0.9 of the sides is used, shrunk" in data_account.preprocessing(middle)
    assert "of the central 0.9 of its sides" in model_account.ensembling(middle)
    masked = _with(run, recipe={**run.recipe, "data": {**run.recipe["data"], "central": [1.0, 0.8], "crop": "mask"}})
    expected = "Of what the lesion's mask leaves of it the whole and the central 0.8 of the sides are used."
    assert data_account.crops(masked) == expected


def test_baselines_say_nothing_of_a_network(run: Run) -> None:
    recipe = {"name": "x", "data": {"metadata": ["age"]}, "training": {"estimator": "random_forest", "inputs": "metadata"}}
    baseline = _with(run, recipe=recipe)
    for subject in (model_account.network, model_account.training, model_account.selection, model_account.ensembling):
        assert subject(baseline) == ""
    assert data_account.predictors(baseline) == "Inputs: age."
