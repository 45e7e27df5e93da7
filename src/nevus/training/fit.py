"""From a recipe and a manifest to a bundle: encode, train, freeze."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.images import pack_side
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack, pack_images, refuse_unreadable
from nevus.data.splits import Parts, split
from nevus.errors import DataError, listed
from nevus.exporters.onnx import export_onnx
from nevus.files import write, write_json
from nevus.metrics.calibration import fit_temperature
from nevus.metrics.decision import choose_threshold
from nevus.networks.classifier import LesionClassifier
from nevus.predictor import softmax
from nevus.progress import CountProgress
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.card import model_card
from nevus.training.checkpoint import save_weights
from nevus.training.hardware import choose_precision, keep_memory
from nevus.training.loader import Examples
from nevus.training.log import LiveProgress
from nevus.training.loop import train
from nevus.training.processes import check_alone, is_main, main_first, wait_for_everyone
from nevus.training.teacher import check_teacher, create_distiller, load_network, teacher_folder, teacher_recipe
from nevus.training.validation import predict_logits

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
    network = create_network(recipe, classes)
    if recipe.training.distillation.teacher is not None:
        create_network(teacher_recipe(recipe), classes)  # what cannot be built is said before anything is trained
    say(f"{len(selected)} images, {len(set(selected.frame['group_id']))} groups, classes {', '.join(classes)}")
    precision = recorded["precision"] if recorded else choose_precision(recipe, network)
    if is_main():
        write_json(folder / "recipe.json", claim["recipe"])
        write_json(path, {**claim, "classes": classes, "precision": precision})
    return Run(folder, recipe, selected, classes, targets, pack, precision, left_out)


def _packed(recipe: Recipe, manifest: Manifest, selected: Manifest, say: Callable[[str], None]) -> Pack:
    """The selected rows of the whole manifest's pack: one file for every task and recipe of the same size."""
    with CountProgress("packing", "images") as progress:
        pack = pack_images(manifest.paths(), pack_side(recipe.data.size), progress=progress, unreadable="skip", say=say)
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


def fit(recipe: Recipe, manifest: Manifest, out: Path | str) -> Bundle:
    """Train on all rows of a manifest but a grouped validation share, and write the bundle to `out`/bundle.

    The validation rows choose the epoch, the temperature and the operating point. Nothing is tested here: for figures use
    `cross_validate`.

    Examples
    --------
    >>> bundle = fit(Recipe.read("recipes/demo-zoome.toml"), Manifest.read("manifest.csv"), "runs/mine")  # doctest: +SKIP
    """
    say = partial(print, file=sys.stderr)
    run = begin_run(recipe, manifest, Path(out), say)
    num_parts = min(20, max(2, round(1 / recipe.data.validation_share)))
    folds = split(run.manifest, task=recipe.data.task, protocol="strict", num_folds=num_parts, seed=recipe.training.seed)
    parts = folds.parts(run.manifest, 0)
    training = np.concatenate([parts.train, parts.validation])
    return fit_rows(run, Parts(training, parts.test, parts.test[:0]), Path(out), recipe.name, protocol=None)


def create_network(recipe: Recipe, classes: Sequence[str]) -> LesionClassifier:
    """The recipe's network, initialised by its seed."""
    torch.manual_seed(recipe.training.seed)
    encoder = MetadataEncoder.fit({name: [] for name in COLUMNS}, recipe.data.metadata)
    return LesionClassifier(recipe.model, len(classes), encoder.num_features, recipe.data.size)


def fit_rows(
    run: Run,
    parts: Parts,
    folder: Path,
    title: str,
    protocol: str | None,
    folds_sha256: str | None = None,
    fold: int | None = None,
) -> Bundle:
    """Train on `parts.train`, choose on `parts.validation`, freeze to `folder`/bundle. `parts.test` is not looked at.

    A recipe with a teacher trains it first, on the same rows, into `folder`/teacher.
    """
    recipe = run.recipe
    columns = {name: run.manifest.frame[name].to_numpy() for name in COLUMNS}
    encoder = MetadataEncoder.fit({name: values[parts.train] for name, values in columns.items()}, recipe.data.metadata)
    metadata, missing = encoder.encode(columns, len(run.manifest))
    examples = Examples(run.pack, run.targets, encoder, metadata, missing)
    network = create_network(recipe, run.classes)
    origin = {
        "name": recipe.name,
        "task": recipe.data.task,
        "classes": run.classes,
        "preprocessing": _preprocessing(recipe, network),
        "metadata": encoder.to_json(),
        "protocol": protocol,
        "folds_sha256": folds_sha256,
        "fold": fold,
        "training_data": _training_data(run, parts),
        "recipe": recipe.model_dump(mode="json"),
    }
    identity = f"{run.identity} {hashlib.sha256(parts.train.tobytes()).hexdigest()}"
    distiller = None
    if recipe.training.distillation.on:
        teacher = _teacher(run, parts, folder, title, protocol, folds_sha256, fold)
        check_teacher(teacher, origin)
        origin["teacher_sha256"] = teacher.document["files"]["weights.safetensors"]
        identity += f" {origin['teacher_sha256']}"
        distiller = create_distiller(recipe, load_network(teacher), network, parts.train, run.targets[parts.train])
    live = LiveProgress(title, recipe.training.batch_size) if is_main() else nullcontext(lambda event: None)
    with live as progress:
        weights = train(
            network,
            examples,
            parts.train,
            parts.validation,
            recipe,
            folder,
            identity=identity,
            precision=run.precision,
            report=progress,
            distiller=distiller,
        )
    if distiller:
        distiller.detach()
    if not is_main():
        wait_for_everyone()
        return Bundle.load(folder / "bundle")
    network = network.cpu()
    network.load_state_dict(weights)
    logits = predict_logits(network, weights, examples, parts.validation, recipe.data.size, recipe.data.views).numpy()
    targets = run.targets[parts.validation]
    temperature = fit_temperature(logits, targets)
    document = {
        **origin,
        "temperature": temperature,
        "operating_point": _operating_point(run, softmax(logits, temperature), targets),
        "precision": run.precision,
        "provenance": provenance(),
    }
    contents: dict[str, Callable[[Path], None]] = {
        "weights.safetensors": lambda path: save_weights(path, weights),
        "model.onnx": lambda path: export_onnx(network, recipe.data.size, encoder.num_features, path),
        "README.md": lambda path: write(path, model_card(document)),
    }
    bundle = Bundle.write(folder / "bundle", document, contents)
    wait_for_everyone()
    return bundle


def _teacher(
    run: Run, parts: Parts, folder: Path, title: str, protocol: str | None, folds_sha256: str | None, fold: int | None
) -> Bundle:
    """The bundle of a recipe's teacher: that of the run it names, or one trained on these very rows."""
    distillation = run.recipe.training.distillation
    if distillation.teacher is None:
        return Bundle.load(teacher_folder(distillation.teacher_run, fold))
    finished = Bundle.finished(folder / "teacher" / "bundle")
    if finished:
        return finished
    recipe = teacher_recipe(run.recipe)
    precision = run.precision if recipe.training.precision == "auto" else recipe.training.precision
    alone = replace(run, recipe=recipe, precision=precision)
    bundle = fit_rows(alone, parts, folder / "teacher", f"{title}, teacher", protocol, folds_sha256, fold)
    # The optimiser's state is most of the disk space.
    for name in ("last.safetensors", "best.safetensors"):
        (folder / "teacher" / name).unlink(missing_ok=True)
    return bundle


def _preprocessing(recipe: Recipe, network: LesionClassifier) -> dict[str, object]:
    return {
        "size": recipe.data.size,
        "short_side": pack_side(recipe.data.size),
        "views": recipe.data.views,
        "steps": "upright; shorter side area-averaged to short_side; whole image stretched to size x size, bilinear; logits "
        "averaged over views: as it is, mirrored left to right, top to bottom, both",
        "mean": network.mean,
        "std": network.std,
    }


def positive_class(classes: Sequence[str]) -> str | None:
    """The class an operating point is about: mel among the diagnoses, else malignant; None where there is neither."""
    return next((name for name in ("mel", "malignant") if name in classes), None)


def _operating_point(run: Run, probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, object]:
    positive = positive_class(run.classes)
    point: dict[str, object] = {"positive": positive, "rule": run.recipe.operating_point, "threshold": None}
    if positive is not None:
        index = run.classes.index(positive)
        point["threshold"] = choose_threshold(run.recipe.operating_point, probabilities[:, index], targets == index)
    return {**point, "chosen_on": f"{len(targets)} validation images"}


def _training_data(run: Run, parts: Parts) -> dict[str, object]:
    frame = run.manifest.frame.iloc[parts.train]
    counts = np.bincount(run.targets[parts.train], minlength=len(run.classes))
    return {
        "manifest_sha256": run.manifest.sha256,
        "images_sha256": hashlib.sha256("\n".join(sorted(frame["image_id"])).encode()).hexdigest(),
        "num_images": len(parts.train),
        "num_groups": int(frame["group_id"].nunique()),
        "num_validation_images": len(parts.validation),
        "classes": dict(zip(run.classes, counts.tolist(), strict=True)),
        "datasets": {str(name): int(count) for name, count in frame["dataset"].value_counts().items()},
        "licences": {str(name): int(count) for name, count in frame["license"].value_counts().items()},
        "attributions": sorted(set(frame["attribution"]) - {""})[:20],
        "pretrained": run.recipe.model.pretrained,
    }
