"""Bundles that were written without novelty scores get them, without being trained again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from nevus.bundle import Bundle
from nevus.data.images import pack_side
from nevus.data.manifest import Manifest
from nevus.data.masks import input_paths
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import pack_images
from nevus.data.splits import Folds
from nevus.errors import DataError
from nevus.exporters.onnx import export_onnx
from nevus.files import sha256, write
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.loader import Examples
from nevus.training.novelty import fit_from_rows, sample_rows
from nevus.training.run import COLUMNS
from nevus.training.teacher import load_network
from nevus.training.validation import predict_logits


def add_novelty(run: Path | str, manifest: Manifest) -> list[Bundle]:
    """Fit the scores to each fold's training rows and write them, and the model with its features, into the fold's bundle.

    Weights, temperature and thresholds stay as they are; bundles that have the scores are left alone.

    Parameters
    ----------
    run
        A folder that `cross_validate` wrote.
    manifest
        The one it was trained on.

    Raises
    ------
    DataError
        The run has no bundles or folds, or was trained on another manifest.
    """
    run = Path(run)
    places = sorted(run.glob("fold-[0-9]*/bundle"))
    if not places or not (run / "folds.csv").exists():
        raise DataError(f"{run}: has no fold-K/bundle or no folds.csv. Give a folder that `nevus cross-validate` finished.")
    return [_with_novelty(Bundle.load(place), run, manifest) for place in places]


def _with_novelty(bundle: Bundle, run: Path, manifest: Manifest) -> Bundle:
    document = bundle.document
    if "novelty" in document:
        return bundle
    trained_on = (document["training_data"]["manifest_sha256"], document["folds_sha256"])
    if trained_on != (manifest.sha256, sha256(run / "folds.csv")):
        raise DataError(f"{bundle.path}: was trained on another manifest or other folds than {manifest.path}. Give its own.")
    recipe = Recipe.model_validate(document["recipe"])
    selected, _, targets = manifest.for_task(recipe.data.task)
    parts = Folds.read(run / "folds.csv", manifest).parts(selected, document["fold"])
    sample = sample_rows(parts.train, recipe.training.seed)
    rows = np.concatenate([sample, parts.validation])
    frame = selected.frame.iloc[rows]
    paths = input_paths(recipe.data, [selected.root / path for path in frame["path"]], frame["image_id"].tolist())
    encoder = MetadataEncoder.from_json(document["metadata"])
    encoded = encoder.encode({name: frame[name].to_numpy() for name in COLUMNS}, len(rows))
    pack = pack_images(paths, pack_side(max(recipe.data.sizes)))
    examples = Examples(pack, targets[rows], encoder, *encoded, bundle.classes)
    network = load_network(bundle).cpu().eval()
    training, validation = np.arange(len(sample)), np.arange(len(sample), len(rows))
    data = recipe.data
    logits = predict_logits(network, network.state_dict(), examples, validation, data.size, data.views, data.resolutions).numpy()
    groups = frame["group_id"].to_numpy()[validation]
    novelty, limits = fit_from_rows(network, examples, training, validation, logits, groups, recipe)
    said = {name: value for name, value in document.items() if name not in ("format", "files", "checksum")}
    kept: dict[str, Callable[[Path], Any]] = {name: lambda path: None for name in document["files"]}
    contents = {
        **kept,
        "model.onnx": lambda path: export_onnx(network, data.size, encoder.num_features, path, data.resolutions),
        "novelty.safetensors": lambda path: write(path, save(novelty.tensors())),
    }
    return Bundle.write(bundle.path, {**said, "novelty": {**limits, "added_at": provenance()["commit"]}}, contents)
