"""Every fold trained on the others and tested once, through the same predictor that a clinic would use."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.data.masks import input_paths
from nevus.data.splits import Folds, Parts, split
from nevus.errors import DataError
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.held_out import write_held_out
from nevus.evaluation.predictions import Predictions
from nevus.files import sha256, write_json
from nevus.predictor import Predictor
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.fit import fit_rows
from nevus.training.processes import agreed, is_main, main_first, wait_for_everyone
from nevus.training.run import COLUMNS, Run, begin_run

_KEPT_COLUMNS = ("dataset", "attribution", "lesion_id", "patient_id", "age_years", "sex", "site", "skin_type")


def cross_validate(
    recipe: Recipe, manifest: Manifest, out: Path | str, *, only: Sequence[int] | None = None, folds: Path | None = None
) -> dict[str, Any]:
    """Run a recipe's protocol and return its evaluation; finished folds are kept and not run again.

    Parameters
    ----------
    recipe
        Its `data.protocol` and `data.num_folds` say how the rows are split.
    manifest
        The rows.
    out
        Becomes the run's folder: recipe.json, folds.csv, predictions.csv, evaluation.json, and a folder a fold.
    only
        Run these folds and no others; the evaluation then covers them alone and says so.
    folds
        A folds.csv to use instead of splitting anew.

    Examples
    --------
    >>> evaluation = cross_validate(recipe, Manifest.read("manifest.csv"), "runs/zoome")  # doctest: +SKIP
    >>> evaluation["metrics"]["auc"]["value"]                                           # doctest: +SKIP
    0.871
    """
    out = Path(out)
    run = begin_run(recipe, manifest, out, lambda text: print(text, file=sys.stderr))
    with main_first():
        assignment = assign_folds(run.recipe, run.manifest, run.folder, folds)
    chosen = sorted(set(assignment.tested if only is None else only))
    if unknown := [fold for fold in chosen if fold not in assignment.tested]:
        tested = ", ".join(map(str, assignment.tested))
        raise DataError(f"--only: fold {unknown[0]} is not among the folds that are tested: {tested}.")
    tables = [_run_fold(run, assignment, fold) for fold in chosen]
    predictions = Predictions.from_frame(pd.concat(tables, ignore_index=True))
    if is_main():
        predictions.write(out / "predictions.csv")
    origin = {
        **provenance(),
        "manifest": str(manifest.path),
        "manifest_sha256": manifest.sha256,
        "folds_sha256": sha256(out / "folds.csv"),
        "recipe": recipe.model_dump(mode="json"),
        "precision": run.precision,
        "unreadable": list(run.left_out),
        "folds_run": f"{len(chosen)} of {len(assignment.tested)}",
        "trained_at": ", ".join(sorted({_training_commit(out / f"fold-{fold}") for fold in chosen})),
        "training_seconds": round(sum(_training_seconds(out / f"fold-{fold}") for fold in chosen), 1),
    }
    document = evaluate(predictions, operating_point=recipe.operating_point, decisions=recipe.decisions, provenance=origin)
    if is_main():
        write_json(out / "evaluation.json", document)
    return document


def assign_folds(recipe: Recipe, manifest: Manifest, folder: Path, given: Path | None) -> Folds:
    """The folds of the run: those already in its folder, those given, or a new split; always written to its folder."""
    path = folder / "folds.csv"
    if path.exists():
        assignment = Folds.read(path, manifest)
    elif given:
        assignment = Folds.read(given, manifest)
        asked, found = (recipe.data.task, recipe.data.protocol), (assignment.task, assignment.protocol)
        if asked != found:
            raise DataError(
                f"{given}: its folds are for task {found[0]} and protocol {found[1]}; the recipe asks for {asked[0]} and "
                f"{asked[1]}. Split anew, or change the recipe with --set data.task=… --set data.protocol=…"
            )
    else:
        data = recipe.data
        assignment = split(
            manifest,
            task=data.task,
            protocol=data.protocol,
            num_folds=data.num_folds,
            validation_share=data.validation_share,
            seed=recipe.training.seed,
        )
    if is_main():
        assignment.write(path)
    return assignment


def _run_fold(run: Run, assignment: Folds, fold: int) -> pd.DataFrame:
    """The predictions of one fold, from its folder where they are finished."""
    folder = run.folder / f"fold-{fold}"
    path = folder / "predictions.csv"
    if agreed(path.exists()):
        return Predictions.read(path).frame
    parts = assignment.parts(run.manifest, fold)
    folds_sha256 = sha256(run.folder / "folds.csv")
    title = f"{run.recipe.name} {assignment.protocol} fold {fold + 1}/{len(assignment.tested)}"
    # Without a bundle, or with one that a kill cut short, training goes on from its last checkpoint.
    bundle = agreed(Bundle.finished(folder / "bundle"))
    bundle = bundle or fit_rows(run, parts, folder, title, assignment.protocol, folds_sha256, fold)
    if not is_main():
        wait_for_everyone()
        return Predictions.read(path).frame
    predictions = Predictions.from_frame(_predictions(run, bundle, assignment, parts, fold))
    predictions.write(path)
    # A finished fold needs its bundle and its log; the optimiser's state is most of the disk space.
    for name in ("last.safetensors", "best.safetensors"):
        (folder / name).unlink(missing_ok=True)
    wait_for_everyone()
    return predictions.frame


def _training_seconds(folder: Path) -> float:
    """How long a fold and its teacher trained, over all the runs that it took: a log's last line counts across resumptions."""
    logs = [path for path in (folder / "log.jsonl", folder / "teacher" / "log.jsonl") if path.exists()]
    return sum(float(json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["seconds"]) for path in logs)


def _training_commit(folder: Path) -> str:
    """The commit that trained a fold: a run that was interrupted and updated has several, and must say so."""
    document = json.loads((folder / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    return str(document["provenance"]["commit"] or "unknown")


def _predictions(run: Run, bundle: Bundle, assignment: Folds, parts: Parts, fold: int) -> pd.DataFrame:
    """Validation and test rows with the probabilities that the bundle gives from file to answer; what it gives for test rows

    before it is scaled is kept beside it.
    """
    predictor = Predictor(bundle)
    shared = np.array_equal(parts.validation, parts.test)
    tables: list[pd.DataFrame] = []
    for name, rows in (("validation", parts.validation), ("test", parts.test)):
        frame = run.manifest.frame.iloc[rows]
        if shared and tables:
            probabilities = tables[0][[f"p_{name}" for name in run.classes]].to_numpy()
        else:
            metadata = {column: frame[column].to_numpy() for column in COLUMNS}
            paths = [run.manifest.root / path for path in frame["path"]]
            paths = input_paths(run.recipe.data, paths, frame["image_id"].tolist())
            outputs = predictor.predict_outputs(paths, metadata)
            probabilities = predictor.probabilities(outputs.logits)
            if name == "test":
                kept, ids = run.folder / f"fold-{fold}" / "held_out.csv", frame["image_id"].tolist()
                write_held_out(kept, ids, run.classes, outputs.logits, predictor.novelty_scores(outputs))
        named = [run.classes[index] for index in run.targets[rows]]
        tables.append(
            answers(frame, fold, name, assignment.protocol, named, dict(zip(run.classes, probabilities.T, strict=True)))
        )
    return pd.concat(tables, ignore_index=True)


def answers(
    frame: pd.DataFrame, fold: int, part: str, protocol: str, targets: Sequence[str], probabilities: Mapping[str, Any]
) -> pd.DataFrame:
    """Rows of a predictions file: these rows of a manifest, validation or test of a fold, and what was answered for each."""
    table = pd.DataFrame({"image_id": frame["image_id"].to_numpy(), "fold": fold, "split": part})
    table["protocol"] = protocol
    table["target"] = list(targets)
    for name, column in probabilities.items():
        table[f"p_{name}"] = column
    table["group_id"] = frame["group_id"].to_numpy()
    for name in _KEPT_COLUMNS:
        if name in frame:
            table[name] = frame[name].to_numpy()
    return table
