"""The model that is given away: a cross-validated recipe trained on all of its rows, calibrated on its out-of-fold answers."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nevus.bundle import Bundle
from nevus.data.splits import Parts, label
from nevus.errors import DataError, RecipeError
from nevus.evaluation.held_out import read_held_out
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.tested_run import own_manifest, read_evaluation, read_recipe
from nevus.files import sha256
from nevus.recipe import Recipe
from nevus.training.calibrate import HeldOut
from nevus.training.fit import fit_rows
from nevus.training.run import begin_run

_KEPT = ("value", "low", "high", "n", "method")


def refit(run: Path | str, out: Path | str, *, manifest: Path | str | None = None, account: str = "") -> Bundle:
    """Train a run's recipe on all of its rows, and write the bundle to `out`/bundle.

    No row is left to choose anything on. The temperature, the operating points, the limits of prediction sets and of unlike
    images are fitted to what the folds' bundles answer for the images that they did not see: those of networks of the same
    recipe, trained on a fold's worth of images less. The run's figures go with the bundle, and are those of its folds.

    Parameters
    ----------
    run
        A folder that `cross_validate` finished under the strict protocol, all folds of it.
    out
        Checkpoints, log and bundle; the same call goes on where it was stopped.
    manifest
        The one that the run was trained on; by default the one it names.
    account
        What was measured in the run, in Markdown, as `nevus.reports.model_card` writes it: the bundle's EVALUATION.md.

    Raises
    ------
    DataError
        The run's folds are not all there, its protocol is another, or the manifest is not its own.
    RecipeError
        The recipe chooses its last epoch, or its learning rate, on validation rows.

    Examples
    --------
    >>> refit("runs/ours", "runs/ours-whole").document["operating_point"]["chosen_on"]  # doctest: +SKIP
    '10015 out-of-fold images'
    """
    run = Path(run)
    evaluation = read_evaluation(run)
    rows = own_manifest(run, manifest)
    table = Predictions.read(run / "predictions.csv")
    _refuse_parts(run, evaluation, table)
    recipe = read_recipe(run)
    _refuse_choices(recipe)
    if rows.sha256 != evaluation["provenance"]["manifest_sha256"]:
        raise DataError(f"{rows.path}: is not the manifest that {run} was trained on. Give that one with --manifest.")
    begun = begin_run(recipe, rows, Path(out), partial(print, file=sys.stderr))
    everything = np.arange(len(begun.manifest))
    parts = Parts(everything, everything[:0], everything[:0])
    figures = {name: {key: figure[key] for key in _KEPT} for name, figure in evaluation["metrics"].items()}
    measured = {
        "protocol": table.protocol,
        "metrics": figures,
        "trained_at": evaluation["provenance"]["trained_at"],
        "account": bool(account),
    }
    return fit_rows(
        begun,
        parts,
        Path(out),
        f"{recipe.name}, all rows",
        protocol=None,
        folds_sha256=sha256(run / "folds.csv"),
        held_out=_held_out(run, table),
        said={"evaluation": measured},
        texts={"EVALUATION.md": account} if account else {},
    )


def _refuse_parts(run: Path, evaluation: dict[str, Any], table: Predictions) -> None:
    if table.protocol != "strict":
        found = "no protocol" if table.protocol is None else f"the protocol {label(table.protocol)}"
        raise DataError(f"{run}: has {found}. Thresholds for use come from a strict run.")
    done, of = evaluation["provenance"]["folds_run"].split(" of ")
    if done != of:
        raise DataError(f"{run}: {done} of {of} folds are tested. Run nevus cross-validate without --only.")


def _refuse_choices(recipe: Recipe) -> None:
    training = recipe.training
    if training.monitor != "last" or training.early_stopping or training.schedule.kind == "plateau":
        raise RecipeError(
            f"recipe {recipe.name}: chooses its epoch or its learning rate on validation rows, and none are left when all rows "
            'train. Cross-validate it with training.monitor = "last", without early stopping and plateau.'
        )


def _held_out(run: Path, table: Predictions) -> HeldOut:
    """Each test row's answer by the bundle of its fold, fold by fold."""
    logits, targets, groups, scores = [], [], [], []
    for fold, rows in table.test.groupby("fold"):
        answered, scored = read_held_out(run / f"fold-{fold}" / "held_out.csv", rows["image_id"].tolist(), table.classes)
        if (answered.argmax(axis=1) != table.probabilities(rows).argmax(axis=1)).any():
            raise DataError(
                f"{run}: the answers in fold-{fold}/held_out.csv are not those of predictions.csv. Delete "
                f"fold-{fold}/predictions.csv and run nevus cross-validate again: the fold is predicted anew, not trained."
            )
        logits.append(answered)
        scores.append(pd.DataFrame(scored))
        targets.append(table.targets(rows))
        groups.append(rows["group_id"].to_numpy())
    columns = pd.concat(scores, ignore_index=True)
    return HeldOut(
        np.concatenate(logits),
        np.concatenate(targets),
        np.concatenate(groups),
        {str(name): columns[name].to_numpy() for name in columns},
        "out-of-fold images",
    )
