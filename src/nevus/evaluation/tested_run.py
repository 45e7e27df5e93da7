"""A cross-validated run as it can be tested again: its test rows, their image files, and each fold's own bundle."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.splits import Folds
from nevus.errors import DataError
from nevus.evaluation.evaluate import group_indices
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested import Document
from nevus.recipe import Recipe


def read_evaluation(run: Path) -> Document:
    """The run's evaluation.json.

    Raises
    ------
    DataError
        It is missing, or no JSON.
    """
    path = run / "evaluation.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a folder that `nevus cross-validate` finished.") from error


def read_recipe(run: Path) -> Recipe:
    """The recipe that the run was trained by.

    Raises
    ------
    DataError
        The run's recipe.json is missing, or no recipe.
    """
    path = run / "recipe.json"
    try:
        return Recipe.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Give a folder that `nevus cross-validate` made.") from error


def run_predictions(run: Path) -> Predictions:
    """The run's predictions, with the rule that its recipe decides by."""
    return Predictions.read(run / "predictions.csv").deciding(read_evaluation(run).get("decisions"))


def threshold_rule(run: Path) -> str:
    """The rule that the run's operating point was chosen by; youden for one that was given as a number."""
    rule = str(read_evaluation(run)["operating_point"]["rule"])
    return "youden" if rule == "given" else rule


def drawn_rows(test: pd.DataFrame, num_images: int | None, seed: int) -> pd.DataFrame:
    """Whole groups, of each class its share and two at least, until about `num_images` images."""
    if num_images is None or num_images >= len(test):
        return test.reset_index(drop=True)
    groups, _, _ = group_indices(test)
    frame = test.assign(_group=groups)
    order = np.random.default_rng(seed).permutation(groups.max() + 1)
    chosen: set[int] = set()
    for _, part in frame.groupby("target"):
        sizes = part.groupby("_group").size()
        sizes = sizes.loc[[group for group in order if group in sizes.index]]
        wanted = max(2, round(num_images * len(part) / len(test)))
        count = max(2, int((sizes.cumsum() < wanted).sum()) + 1)
        chosen |= set(sizes.index[:count])
    return test[np.isin(groups, list(chosen))].reset_index(drop=True)


def own_manifest(run: Path, manifest: Path | str | None) -> Manifest:
    """The manifest that is given, or the one that the run names."""
    given = manifest or read_evaluation(run)["provenance"].get("manifest")
    if not given:
        raise DataError(f"{run}: names no manifest. Give --manifest, the one that the run was trained on.")
    return Manifest.read(given, check_files=False)


def training_images(
    run: Path, manifest: Path | str | None, bundle: Bundle, at_most: int, seed: int
) -> tuple[list[Path], NDArray[np.int64]]:
    """The files and classes of the images that a fold's bundle was trained on; some drawn evenly where there are more."""
    selected, _, targets = own_manifest(run, manifest).for_task(bundle.document["task"])
    rows = Folds.read(run / "folds.csv", selected).parts(selected, bundle.document["fold"]).train
    if len(rows) > at_most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))
    places = selected.paths()
    return [places[row] for row in rows], targets[rows]


def image_paths(run: Path, manifest: Path | str | None, test: pd.DataFrame) -> list[Path]:
    """The image file of each row."""
    rows = own_manifest(run, manifest)
    places = dict(zip(rows.frame["image_id"], rows.paths(), strict=True))
    if missing := [name for name in test["image_id"] if name not in places]:
        raise DataError(
            f"{rows.path}: has no row for image {missing[0]}, which {run} tests. Give the manifest that the run was trained on."
        )
    return [places[name] for name in test["image_id"]]


def whole_image_bundles(run: Path, folds: Iterable[int]) -> dict[int, Bundle]:
    """Each fold's own bundle, opened and verified; one that was trained on crops is refused."""
    bundles = {fold: Bundle.load(run / f"fold-{fold}" / "bundle") for fold in folds}
    for bundle in bundles.values():
        if bundle.document["preprocessing"].get("crop", "none") != "none":
            raise DataError(f"{bundle.path}: trained on crops by masks; artefacts are drawn on whole images only.")
    return bundles
