"""Predictions whose probabilities mean what they say, at the shares of the classes in the clinic in question."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.errors import DataError
from nevus.evaluation.fitting_rows import fitting_rows
from nevus.evaluation.predictions import Predictions
from nevus.metrics.prior import shift_prior, stated_prior
from nevus.metrics.scaling import SCALINGS

Document = dict[str, Any]
PRIORS = ("validation", "equal")
_MENDED = ("vector", "isotonic")


@dataclass(frozen=True)
class Recalibrated:
    """The new predictions, and what was done to them."""

    predictions: Predictions
    document: Document


def recalibrate(
    predictions: Predictions | Path | str,
    *,
    method: str | None = None,
    prevalence: Mapping[str, float] | None = None,
    prior: str = "validation",
) -> Recalibrated:
    """Scale probabilities as validation rows say, then move them to stated shares of the classes (Saerens et al. 2002).

    Each fold's rows, validation and test, are changed by what its validation rows say (under a paper's protocol its test rows:
    optimistic). Moving takes it that the lesions of each class look as they do here. Rows of folds that test nothing go.

    Parameters
    ----------
    method
        "temperature", "vector" or "isotonic"; None leaves the probabilities as they are before they are moved.
    prevalence
        Shares of some classes, as in {"mel": 0.02}; the others keep the proportions that they have on the validation rows.
    prior
        The shares that the probabilities belong to: "validation", those of the fold's validation rows, or "equal", as those of a
        network with a logit-adjusted or class-weighted loss do. After vector or isotonic scaling they are validation's.

    Raises
    ------
    DataError
        An option is unknown, a fold has no rows to say what is asked of them, or the prevalence cannot be.

    Examples
    --------
    >>> recalibrate("predictions.csv", method="vector", prevalence={"mel": 0.02}).predictions.write("moved.csv")  # doctest: +SKIP
    """
    table = predictions if isinstance(predictions, Predictions) else Predictions.read(predictions)
    _check(method, prevalence, prior)
    frame, columns = table.frame.copy(), [f"p_{name}" for name in table.classes]
    folds = []
    known = fitting_rows(table)
    if known.reason:
        raise DataError(f"{table.source}: {known.reason} to say what its probabilities mean. Add them, with `split` validation.")
    for fold, rows in known.by_fold.items():
        targets, fitting = table.targets(rows), table.probabilities(rows)
        counts = np.bincount(targets, minlength=len(table.classes)).astype(np.float64)
        _check_rows(table, fold, counts, method)
        here = (frame["fold"] == fold).to_numpy()
        scaled = table.probabilities(table.frame[here])
        if method:
            scaling = SCALINGS[method](fitting, targets)
            scaled, fitting = scaling(scaled), scaling(fitting)
        shares = counts / counts.sum()
        old = np.full(len(shares), 1 / len(shares)) if prior == "equal" and method not in _MENDED else shares
        new = _stated(table, shares, prevalence) if prevalence else old
        frame.loc[here, columns] = shift_prior(scaled, old, new) if prevalence else scaled
        parts = {"prior": old, "new_prior": new, "validation_shares": shares, "validation_mean": fitting.mean(axis=0)}
        named = {key: dict(zip(table.classes, part.tolist(), strict=True)) for key, part in parts.items()}
        folds.append({"fold": fold, **named})
    kept = frame["fold"].isin([part["fold"] for part in folds])
    document = {
        "method": method,
        "prevalence": dict(prevalence or {}),
        "fitted_on": known.part,
        "folds": folds,
        "notes": _notes(table.classes, folds, prior, method) if prevalence else [],
    }
    return Recalibrated(Predictions.from_frame(frame[kept], table.source), document)


def recalibration_table(result: Recalibrated) -> str:
    """A row a class: share and mean probability on validation rows, the new share, and the mean probability of the test rows."""
    table, folds = result.predictions, result.document["folds"]
    after = table.probabilities(table.test).mean(axis=0)
    lines = [f"{'':14}{'validation share':>18}{'mean probability':>18}{'new share':>11}{'mean in test, after':>21}"]
    for index, name in enumerate(table.classes):
        share, mean, new = (np.mean([fold[key][name] for fold in folds]) for key in _SHOWN)
        lines.append(f"{name:14}{share:18.3f}{mean:18.3f}{new:11.3f}{after[index]:21.3f}")
    return "\n".join([*lines, *result.document["notes"]])


_SHOWN = ("validation_shares", "validation_mean", "new_prior")


def _check(method: str | None, prevalence: Mapping[str, float] | None, prior: str) -> None:
    if method is not None and method not in SCALINGS:
        raise DataError(f"--method {method}: expected one of {', '.join(SCALINGS)}.")
    if prior not in PRIORS:
        raise DataError(f"--prior {prior}: expected one of {', '.join(PRIORS)}.")
    if method is None and not prevalence:
        raise DataError("nothing to do. Give --method, --prevalence as in --prevalence mel=0.02, or both.")


def _check_rows(table: Predictions, fold: int, counts: NDArray[np.float64], method: str | None) -> None:
    if not counts.sum():
        remedy = "Add rows with split validation"
        raise DataError(
            f"{table.source}: fold {fold} has no validation rows, which say what the probabilities belong to. {remedy}."
        )
    absent = [name for name, count in zip(table.classes, counts, strict=True) if not count]
    if absent and method != "temperature":
        remedy = "Use fewer folds, leave the class out, or give --method temperature alone"
        raise DataError(f"{table.source}: fold {fold} has no validation row of {', '.join(absent)}. {remedy}.")


def _stated(table: Predictions, shares: NDArray[np.float64], prevalence: Mapping[str, float]) -> NDArray[np.float64]:
    try:
        new = stated_prior(table.classes, shares, prevalence)
    except ValueError as error:
        raise DataError(f"--prevalence: {error}.") from error
    if not shares.all():
        raise DataError(f"{table.source}: a class without validation rows has no share to move from. Leave out --prevalence.")
    return new


def _notes(classes: tuple[str, ...], folds: list[Document], prior: str, method: str | None) -> list[str]:
    """What the new probabilities are not, and where the old ones do not belong to the shares they were taken to belong to."""
    notes = [
        "The test images have other shares than those stated: on them the new probabilities are not calibrated, nor should be."
    ]
    if prior == "equal" or method in _MENDED:
        return notes
    ratios = [np.mean([fold["validation_mean"][name] / fold["validation_shares"][name] for fold in folds]) for name in classes]
    off = [name for name, ratio in zip(classes, ratios, strict=True) if not 2 / 3 < ratio < 3 / 2]
    if off:
        notes.append(
            f"On the validation rows the mean probability of {', '.join(off)} is far from its share: these probabilities do not "
            "belong to the validation rows' class mix. Give --method vector, which mends that, or --prior equal."
        )
    return notes
