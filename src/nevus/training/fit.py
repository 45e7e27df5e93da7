"""From a recipe and a manifest to a bundle: encode, train, freeze."""

import hashlib
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from nevus.bundle import Bundle
from nevus.data.image_ids import images_sha256
from nevus.data.looks import looks_of
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.splits import Parts, split
from nevus.exporters.onnx import export_onnx
from nevus.exporters.served import Served
from nevus.files import write
from nevus.networks.classifier import LesionClassifier
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.calibrate import HeldOut, calibrate
from nevus.training.card import model_card
from nevus.training.checkpoint import save_weights
from nevus.training.loader import Examples
from nevus.training.log import LiveProgress
from nevus.training.loop import train
from nevus.training.novelty import fit_novelty, image_features, sample_rows
from nevus.training.prior import at_given_prior, given_prior
from nevus.training.processes import is_main, wait_for_everyone
from nevus.training.run import COLUMNS, Run, begin_run, create_network
from nevus.training.start import load_all, start_record, starting_bundle
from nevus.training.teacher import check_teacher, create_distiller, teacher_folder, teacher_recipe
from nevus.training.validation import predict_logits


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


def fit_rows(
    run: Run,
    parts: Parts,
    folder: Path,
    title: str,
    protocol: str | None,
    folds_sha256: str | None = None,
    fold: int | None = None,
    held_out: HeldOut | None = None,
    said: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Bundle:
    """Train on `parts.train`, choose on `parts.validation`, freeze to `folder`/bundle. `parts.test` is not looked at.

    A recipe with a teacher trains it first, on the same rows, into `folder`/teacher. Where answers `held_out` of other networks
    of the recipe are given, temperature, thresholds and limits are fitted to them, and there need be no validation rows. `said`
    is what else bundle.json shall say, and `texts` are further files of the bundle.
    """
    recipe = run.recipe
    columns = {name: run.manifest.frame[name].to_numpy() for name in COLUMNS}
    encoder = MetadataEncoder.fit({name: values[parts.train] for name, values in columns.items()}, recipe.data.metadata)
    metadata, missing = encoder.encode(columns, len(run.manifest))
    examples = Examples(run.pack, run.targets, encoder, metadata, missing, run.classes)
    network = create_network(recipe, run.classes)
    origin: dict[str, Any] = {
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
        **(said or {}),
    }
    identity = f"{run.identity} {hashlib.sha256(parts.train.tobytes()).hexdigest()}"
    if start := starting_bundle(recipe.model):
        origin["started_from"] = start_record(start)
        identity += f" {origin['started_from']['weights_sha256']}"
    distiller, distillation = None, recipe.training.distillation
    if distillation.on:
        teacher = _teacher(run, parts, folder, title, protocol, folds_sha256, fold)
        check_teacher(teacher, origin, distillation.watches)
        origin["teacher_sha256"] = teacher.document["files"]["weights.safetensors"]
        identity += f" {origin['teacher_sha256']}"
        if distillation.start:
            load_all(network, teacher)
        if distillation.teaches:
            distiller = create_distiller(recipe, teacher, network, examples, parts.train)
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
    weights = at_given_prior(weights, recipe, np.bincount(run.targets[parts.train], minlength=len(run.classes)), run.classes)
    network.load_state_dict(weights)
    looks = looks_of(origin["preprocessing"])
    sample = sample_rows(parts.train, recipe.training.seed)
    textures = image_features(network, examples, sample, looks)[:, : network.num_texture_features]
    novelty = fit_novelty(textures)
    if held_out is None:
        rows = parts.validation
        logits = predict_logits(network, weights, examples, rows, looks, recipe.data.views).numpy()
        scores = novelty.scores(logits, image_features(network, examples, rows, looks))
        held_out = HeldOut(logits, run.targets[rows], run.manifest.frame["group_id"].to_numpy()[rows], scores)
    document = {
        **origin,
        **calibrate(held_out, run.classes, recipe.operating_point),
        "prior": _prior(run, parts, held_out),
        "decisions": recipe.decisions,
        "precision": run.precision,
        "provenance": provenance(),
    }
    document["novelty"]["fitted_on"] = f"{len(sample)} training images"
    contents: dict[str, Callable[[Path], None]] = {
        "weights.safetensors": lambda path: save_weights(path, weights),
        "model.onnx": lambda path: export_onnx(Served(network, encoder, origin["preprocessing"], document["temperature"]), path),
        "novelty.safetensors": lambda path: write(path, save(novelty.tensors())),
        "README.md": lambda path: write(path, model_card(document)),
        **{name: partial(_write_text, text) for name, text in (texts or {}).items()},
    }
    bundle = Bundle.write(folder / "bundle", document, contents)
    wait_for_everyone()
    return bundle


def _write_text(text: str, path: Path) -> None:
    write(path, text)


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
    data = recipe.data
    return {
        "size": data.size,
        "crop": data.crop,
        "crop_margin": data.crop_margin if data.crop != "none" else None,
        "resolutions": list(data.resolutions),
        "central": list(data.central),
        "views": data.views,
        "steps": "upright; the part that crop says, none being the whole; the share of its sides that central says; stretched "
        "to size x size by a triangle filter with antialiasing (Pillow's bilinear, unrounded); / 255, - mean, / std; logits "
        "averaged over views: as it is, mirrored left to right, top to bottom, both, and the same four with rows and columns "
        "exchanged; and over central, and size and resolutions. The graph does all from stretching on; a large image may be "
        "averaged by 2, 4 or 8 before, down to twice the side at which the smallest share has size pixels",
        "mean": network.mean,
        "std": network.std,
    }


def _prior(run: Run, parts: Parts, held_out: HeldOut) -> dict[str, object]:
    """The shares of the classes that the answers belong to, and those of the rows which fitted the temperature."""
    counts = [np.bincount(targets, minlength=len(run.classes)) for targets in (run.targets[parts.train], held_out.targets)]
    answered = given_prior(run.recipe, counts[0], run.classes)
    return {
        "answered": dict(zip(run.classes, answered.tolist(), strict=True)),
        "validation": dict(zip(run.classes, (counts[1] / counts[1].sum()).tolist(), strict=True)),
    }


def _training_data(run: Run, parts: Parts) -> dict[str, object]:
    frame = run.manifest.frame.iloc[parts.train]
    counts = np.bincount(run.targets[parts.train], minlength=len(run.classes))
    return {
        "manifest_sha256": run.manifest.sha256,
        "images_sha256": images_sha256(frame["image_id"]),
        "num_images": len(parts.train),
        "num_groups": int(frame["group_id"].nunique()),
        "num_validation_images": len(parts.validation),
        "classes": dict(zip(run.classes, counts.tolist(), strict=True)),
        "datasets": {str(name): int(count) for name, count in frame["dataset"].value_counts().items()},
        "licences": {str(name): int(count) for name, count in frame["license"].value_counts().items()},
        "attributions": sorted(set(frame["attribution"]) - {""})[:20],
        "pretrained": run.recipe.model.pretrained,
    }
