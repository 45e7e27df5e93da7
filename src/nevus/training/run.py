"""What all folds of a run share: its rows, its pixels, its precision, and the identity that a resumed run is compared with."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nevus.data.images import pack_side
from nevus.data.manifest import Manifest
from nevus.data.masks import input_paths
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack, pack_images, refuse_unreadable
from nevus.errors import DataError, RecipeError, listed
from nevus.files import write_json
from nevus.networks.classifier import LesionClassifier
from nevus.networks.resolutions import check_resolutions
from nevus.progress import CountProgress
from nevus.recipe import Recipe
from nevus.training.hardware import choose_precision, keep_memory
from nevus.training.processes import check_alone, is_main, main_first
from nevus.training.start import load_start, misfits, refuse_trained_on, starting_bundle
from nevus.training.teacher import teacher_recipe

COLUMNS = ("age_years", "sex", "site")


@dataclass(frozen=True)
class Run:
    """What all folds of a run share. `folder` holds `run.json`, the identity that a resumed run is compared with.

    `left_out` are the ids of images that could not be read, where the recipe lets them be left out.
    """

    folder: Path
    recipe: Recipe
    manifest: Manifest
    classes: tuple[str, ...]
    targets: NDArray[np.int64]
    pack: Pack
    precision: str
    left_out: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """A hash of the recipe, the manifest and the precision."""
        text = json.dumps([self.recipe.model_dump(mode="json"), self.manifest.sha256, self.classes, self.precision])
        return hashlib.sha256(text.encode()).hexdigest()


def begin_run(recipe: Recipe, manifest: Manifest, folder: Path, say: Callable[[str], None] = lambda text: None) -> Run:
    """Check that recipe and manifest fit, pack the images, choose the precision; or go on with the run in `folder`.

    Raises
    ------
    DataError
        `folder` holds a run of another recipe or other data; images cannot be read; the task's column is empty.
    """
    keep_memory()
    check_alone(recipe)
    with main_first():
        return _begin_run(recipe, manifest, folder, say if is_main() else lambda text: None)


def _begin_run(recipe: Recipe, manifest: Manifest, folder: Path, say: Callable[[str], None]) -> Run:
    selected, classes, targets = manifest.for_task(recipe.data.task)
    path = folder / "run.json"
    recorded = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    claim = {"recipe": recipe.model_dump(mode="json"), "manifest_sha256": manifest.sha256}
    if recorded is not None and {name: recorded.get(name) for name in claim} != claim:
        changed = "recipe" if recorded.get("recipe") != claim["recipe"] else "manifest"
        raise DataError(f"{folder}: holds a run of another {changed}. Choose another --out, or delete this folder.")
    pack = _packed(recipe, manifest, selected, say)
    left_out = tuple(selected.frame["image_id"].iloc[sorted(pack.problems)])
    if left_out:
        problems = sorted(pack.problems.values())
        say(listed(f"{len(problems)} of {len(selected)} images cannot be read and are left out:", problems))
        readable = np.delete(np.arange(len(pack)), list(pack.problems))
        selected, classes, targets = selected.where(np.isin(np.arange(len(pack)), readable)).for_task(recipe.data.task)
        pack = pack.rows(readable)
    if recipe.data.protocol == "strict":
        _refuse_twins(pack, selected)
    teacher = teacher_recipe(recipe) if recipe.training.distillation.teacher is not None else None
    for asked in filter(None, (recipe, teacher)):
        if start := starting_bundle(asked.model):
            refuse_trained_on(start, selected)
    network = create_network(recipe, classes)
    if teacher:
        # What cannot be built is said before anything is trained.
        built = create_network(teacher, classes)
        if recipe.training.distillation.start and (problems := misfits(built.state_dict(), network.state_dict())):
            remedy = "Give both the same model section, or leave training.distillation.start out."
            raise RecipeError(listed(f"recipe {recipe.name}: cannot start as its teacher ends:", problems, remedy=remedy))
    say(f"{len(selected)} images, {len(set(selected.frame['group_id']))} groups, classes {', '.join(classes)}")
    precision = recorded["precision"] if recorded else choose_precision(recipe, network)
    if is_main():
        write_json(folder / "recipe.json", claim["recipe"])
        write_json(path, {**claim, "classes": classes, "precision": precision})
    return Run(folder, recipe, selected, classes, targets, pack, precision, left_out)


def _packed(recipe: Recipe, manifest: Manifest, selected: Manifest, say: Callable[[str], None]) -> Pack:
    """The selected rows of the whole manifest's pack: one file for every task and recipe of the same size and crops."""
    paths = input_paths(recipe.data, manifest.paths(), manifest.frame["image_id"].tolist())
    with CountProgress("packing", "images") as progress:
        pack = pack_images(paths, pack_side(recipe.data.side), progress=progress, unreadable="skip", say=say)
    places = pd.Index(manifest.frame["image_id"]).get_indexer(pd.Index(selected.frame["image_id"]))
    pack = pack.rows(places.astype(np.int64))
    if recipe.data.unreadable == "refuse":
        refuse_unreadable(pack)
    return pack


def _refuse_twins(pack: Pack, manifest: Manifest) -> None:
    """The last gate against a leak: the same photo in two groups could be trained on and tested."""
    frame = manifest.frame
    groups, ids = frame["group_id"].tolist(), frame["image_id"].tolist()
    apart = [f"{ids[one]} and {ids[other]}" for one, other in pack.twins() if groups[one] != groups[other]]
    if apart:
        remedy = f"Join their groups: nevus audit {manifest.path} --join JOINED.csv, then train on that manifest."
        raise DataError(
            listed(f"protocol strict, and {len(apart)} pairs of images are pixel for pixel the same:", apart, remedy=remedy)
        )


def create_network(recipe: Recipe, classes: Sequence[str]) -> LesionClassifier:
    """The recipe's network, initialised by its seed."""
    torch.manual_seed(recipe.training.seed)
    encoder = MetadataEncoder.fit({name: [] for name in COLUMNS}, recipe.data.metadata)
    start = starting_bundle(recipe.model)
    model = recipe.model.model_copy(update={"pretrained": "none"}) if start else recipe.model
    network = LesionClassifier(model, len(classes), encoder.num_features, recipe.data.size)
    if start:
        load_start(network, start)
    check_resolutions(network, recipe)
    return network
