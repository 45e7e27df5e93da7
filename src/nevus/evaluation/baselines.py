"""What simpler answers reach: metadata alone, and classical classifiers on the features of a frozen backbone.

The same folds, the same inner validation rows for temperature and operating point, and the same files as a network's run, so
that `nevus evaluate`, `report` and `compare` read them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.splits import Folds, Parts
from nevus.errors import DataError
from nevus.evaluation.cross_validate import answers, assign_folds
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.files import replacing, sha256, write_json
from nevus.metrics.calibration import fit_temperature
from nevus.networks.backbones import create_backbone
from nevus.predictor import softmax
from nevus.progress import CountProgress
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.estimators import ESTIMATORS, check_choice, fit_estimator
from nevus.training.features import frozen_features
from nevus.training.run import COLUMNS, begin_run

INPUTS = ("metadata", "image", "both")
ALONE = "No image was looked at: these are answers from age, sex and site alone."
# A forest's share of no tree at all; its logarithm must be finite.
_SMALLEST = 1e-6

Document = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What all estimators of a run share; `features` are (N, F) of the images, None where no image is looked at."""

    recipe: Recipe
    manifest: Manifest
    classes: tuple[str, ...]
    targets: NDArray[np.int64]
    folds: Folds
    features: NDArray[np.floating] | None
    with_metadata: bool
    class_weights: str


def baselines(
    recipe: Recipe,
    manifest: Manifest,
    out: Path | str,
    *,
    inputs: str = "both",
    models: Sequence[str] = tuple(ESTIMATORS),
    class_weights: str = "none",
    folds: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Document]:
    """Cross-validate classical classifiers; the evaluation of each, by name. Finished ones are kept and not run again.

    Of the recipe only `data` (without `views` and `augment`), the backbone's name, tap and weights, the seed and the operating
    point count. Each model is fitted to a fold's training rows; a temperature on its validation rows.

    Parameters
    ----------
    recipe
        Says the rows, the protocol and the backbone.
    manifest
        The rows. With `inputs` "metadata" it may hold rows without an image (`Manifest.read(..., without_images=True)`).
    out
        Becomes a folder with folds.csv and a run folder a model: folds.csv, predictions.csv, evaluation.json.
    inputs
        "metadata": age, sex and site, encoded, nothing else. "image": the pooled features of the recipe's backbone, never trained
        here. "both": side by side.
    models
        Of `ESTIMATORS`.
    class_weights
        "none": probabilities at the shares of the training rows. "balanced": at equal shares.
    folds
        A folds.csv to use instead of splitting anew.

    Raises
    ------
    DataError
        A name is unknown, `out` holds another run, or an image is asked for and not there.

    Examples
    --------
    >>> baselines(recipe, manifest, "runs/metadata", inputs="metadata")["logistic_regression"]["metrics"]["auc"]  # doctest: +SKIP
    """
    out = Path(out)
    if inputs not in INPUTS:
        raise DataError(f"--inputs {inputs}: expected one of {', '.join(INPUTS)}.")
    for name in models:
        check_choice(name, class_weights)
    if inputs != "image" and not recipe.data.metadata:
        raise DataError(f"--inputs {inputs}: the recipe's data.metadata names no field.")
    features = None
    if inputs == "metadata":
        manifest, classes, targets = manifest.for_task(recipe.data.task)
    else:
        if (num_without := int((manifest.frame["path"] == "").sum())) > 0:
            raise DataError(f"--inputs {inputs}: {num_without} rows have no image. They serve --inputs metadata alone.")
        run = begin_run(_frozen(recipe), manifest, out, say)
        manifest, classes, targets = run.manifest, run.classes, run.targets
        features = _features(run.recipe, run.pack, out / "features.npy")
    question = Question(
        recipe,
        manifest,
        classes,
        targets,
        assign_folds(recipe, manifest, out, folds),
        features,
        inputs != "image",
        class_weights,
    )
    _claim(question, inputs, out / "baselines.json")
    return {name: _run(question, name, inputs, out / name, say) for name in models}


def baselines_table(documents: dict[str, Document]) -> str:
    """The main figures of each model with their intervals, for people."""
    names = ("auc", "macro_auc", "balanced_accuracy", "accuracy", "sensitivity", "specificity")
    shown = [name for name in names if any(name in document["metrics"] for document in documents.values())]
    lines = [f"{'':22}" + "".join(f"{name:24}" for name in shown)]
    for model, document in documents.items():
        lines.append(f"{model:22}" + "".join(f"{_cell(document['metrics'][name]):24}" for name in shown))
    notes = dict.fromkeys(note for document in documents.values() for note in document["notes"])
    return "\n".join([*(line.rstrip() for line in lines), *notes])


def _frozen(recipe: Recipe) -> Recipe:
    """The recipe of the backbone alone; its precision is not measured, since nothing is trained."""
    attention = ["model.attention.kind=none", "model.fusion.kind=none", "model.pooling=average"]
    return recipe.with_settings([*attention, "training.precision=float32"])


def _features(recipe: Recipe, pack: Any, path: Path) -> NDArray[np.floating]:
    """The pooled features of all images, from the run's folder where they are; `begin_run` has seen that it is the same run."""
    if not path.exists():
        backbone = create_backbone(recipe.model.backbone, recipe.model.tap, recipe.model.pretrained)
        with CountProgress("looking", "images") as progress, replacing(path) as beside, beside.open("wb") as file:
            np.save(file, frozen_features(backbone, pack, recipe.data.size, progress=progress))
    features: NDArray[np.floating] = np.load(path)
    return features


def _claim(question: Question, inputs: str, path: Path) -> None:
    """Refuse a folder that holds other baselines: their finished models would be taken for these."""
    claim = {**_recorded(question, "", inputs), "manifest_sha256": question.manifest.sha256}
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(claim)):
        raise DataError(
            f"{path.parent}: holds baselines of another recipe, manifest or inputs. Choose another --out, or delete it."
        )
    write_json(path, claim)


def _run(question: Question, name: str, inputs: str, folder: Path, say: Callable[[str], None]) -> Document:
    """One model over all folds; its run folder is written, the evaluation last."""
    path = folder / "evaluation.json"
    if path.exists():
        document: Document = json.loads(path.read_text(encoding="utf-8"))
        return document
    tables = []
    for fold in question.folds.tested:
        say(f"{name}: fold {fold}, {question.folds.tested.index(fold) + 1} of {len(question.folds.tested)}")
        tables.append(_fold(question, name, fold))
    predictions = Predictions.from_frame(pd.concat(tables, ignore_index=True))
    question.folds.write(folder / "folds.csv")
    predictions.write(folder / "predictions.csv")
    origin = {
        **provenance(),
        "manifest": str(question.manifest.path),
        "manifest_sha256": question.manifest.sha256,
        "folds_sha256": sha256(folder / "folds.csv"),
        "recipe": _recorded(question, name, inputs),
    }
    document = evaluate(predictions, operating_point=question.recipe.operating_point, provenance=origin)
    if question.features is None:
        document["notes"].insert(0, ALONE)
    write_json(path, document)
    return document


def _fold(question: Question, name: str, fold: int) -> pd.DataFrame:
    """Validation and test rows of a fold as one model answers for them, at the temperature of the validation rows."""
    parts = question.folds.parts(question.manifest, fold)
    inputs = _inputs(question, parts)
    groups = pd.factorize(question.manifest.frame["group_id"])[0].astype(np.int64)
    seed = question.recipe.training.seed
    train = parts.train
    _refuse_absent(question, train, fold)
    probabilities = fit_estimator(name, inputs[train], question.targets[train], groups[train], question.class_weights, seed)
    logits = {part: _log(probabilities(inputs[rows])) for part, rows in (("validation", parts.validation), ("test", parts.test))}
    temperature = fit_temperature(logits["validation"], question.targets[parts.validation])
    tables = []
    for part, rows in (("validation", parts.validation), ("test", parts.test)):
        columns = dict(zip(question.classes, softmax(logits[part], temperature).T, strict=True))
        named = [question.classes[index] for index in question.targets[rows]]
        tables.append(answers(question.manifest.frame.iloc[rows], fold, part, question.folds.protocol, named, columns))
    return pd.concat(tables, ignore_index=True)


def _inputs(question: Question, parts: Parts) -> NDArray[np.floating]:
    """Features, metadata as the package encodes it (fitted on the training rows), or both, (N, F) of all rows."""
    blocks = [] if question.features is None else [question.features]
    if question.with_metadata:
        columns = {name: question.manifest.frame[name].to_numpy() for name in COLUMNS}
        fields = question.recipe.data.metadata
        encoder = MetadataEncoder.fit({name: values[parts.train] for name, values in columns.items()}, fields)
        blocks.append(encoder.encode(columns, len(question.manifest))[0])
    return np.concatenate(blocks, axis=1)


def _refuse_absent(question: Question, rows: NDArray[np.int64], fold: int) -> None:
    """A class without a training row would have no column among the answers."""
    counts = np.bincount(question.targets[rows], minlength=len(question.classes))
    if missing := [name for name, count in zip(question.classes, counts, strict=True) if not count]:
        raise DataError(f"fold {fold}: no training row of {', '.join(missing)}. Use fewer folds, or leave the class out.")


def _log(probabilities: NDArray[np.float64]) -> NDArray[Any]:
    return np.asarray(np.log(np.clip(probabilities, _SMALLEST, 1)))


def _recorded(question: Question, name: str, inputs: str) -> Document:
    """What stands for a recipe in the run's record: the parts that counted."""
    recipe = question.recipe
    data = recipe.data.model_dump(mode="json", exclude={"views", "augment"} | ({"size"} if question.features is None else set()))
    model = {} if question.features is None else {n: getattr(recipe.model, n) for n in ("backbone", "tap", "pretrained")}
    settings = {"inputs": inputs, "class_weights": question.class_weights, "seed": recipe.training.seed}
    return {
        "name": "-".join([recipe.name, inputs, *([name] if name else [])]),
        "operating_point": recipe.operating_point,
        "data": data,
        **({"model": model} if model else {}),
        "training": {"estimator": name, **settings},
    }


def _cell(figure: Document) -> str:
    if figure["value"] is None:
        return "–"
    interval = "" if figure["low"] is None else f" [{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{figure['value']:.3f}{interval}"
