"""Several runs' predictions of the same images as one predictions file, with what it costs in milliseconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.errors import BundleError, DataError
from nevus.evaluation.fitting_rows import FittingRows, fitting_rows
from nevus.evaluation.latency import LATENCY_METHOD, measure_latency
from nevus.evaluation.layouts import PREFIX
from nevus.evaluation.members import matched
from nevus.evaluation.predictions import Predictions
from nevus.metrics.ensemble import fit_weights, mean_probabilities, mean_ranks
from nevus.metrics.probabilities import log_losses

Document = dict[str, Any]
Floats = NDArray[np.float64]
_RANKS = (
    "These are mean ranks on the scale of the members' probabilities, and no probabilities: AUC and thresholds mean something, "
    "calibration and the Brier score do not. An image's rank depends on the other images of its fold and part, so there is no "
    "such answer for a single patient."
)
_OPTIMISTIC = "Optimistic: as this protocol chooses on its test images, the weights were fitted on them too."


@dataclass(frozen=True)
class Ensemble:
    """The predictions of all members together, and what was done."""

    predictions: Predictions
    document: Document


def ensemble(
    files: Sequence[Predictions | Path | str],
    *,
    how: str = "mean",
    runs: Sequence[Path | str] | None = None,
    provenance: Document | None = None,
) -> Ensemble:
    """Make one predictions file of several about the same images, folds and parts.

    Parameters
    ----------
    files
        Predictions of two members or more, ours or other programs'.
    how
        "mean": of the probabilities. "rank_mean": of each class's ranks, within each fold's test and validation rows; scores
        rather than probabilities. "weighted": the mean under weights, none negative and of sum 1, with the smallest log-loss on
        each fold's validation rows (under a paper's protocol on its test rows: optimistic).
    runs
        A run folder a member, in the same order, whose bundles say the cost; by default the folder that each file lies in.

    Raises
    ------
    DataError
        The files differ in images, folds, parts, targets, groups, classes or protocol: named, with the images. Or there are no
        rows to fit weights on.

    Examples
    --------
    >>> ensemble(["a/predictions.csv", "b/predictions.csv"]).predictions.write("both.csv")  # doctest: +SKIP
    """
    if how not in _BUILDERS:
        raise DataError(f"--how {how}: expected one of {', '.join(_BUILDERS)}.")
    tables = matched([part if isinstance(part, Predictions) else Predictions.read(part) for part in files])
    members = np.stack([table.probabilities(table.frame) for table in tables])
    fitting = fitting_rows(tables[0])
    combined, weights = _BUILDERS[how](tables[0], members, fitting)
    frame = tables[0].frame.copy()
    frame[[PREFIX + name for name in tables[0].classes]] = combined
    names = [table.source for table in tables]
    document = {
        "how": how,
        "members": names,
        "protocol": tables[0].protocol,
        "num_images": len(tables[0].test),
        "weights": weights,
        "fitted_on": fitting.part if how == "weighted" else None,
        "log_loss": None if how == "rank_mean" else _log_loss(tables[0], members, combined, fitting),
        "cost": _cost([Path(name).parent for name in names] if runs is None else [Path(run) for run in runs], names),
        "notes": _notes(how, fitting),
        "provenance": provenance or {},
    }
    return Ensemble(Predictions.from_frame(frame, "the ensemble"), document)


def ensemble_table(document: Document) -> str:
    """The document in words and columns, for people: each member's weights and milliseconds, and the sum of these."""
    cost = document["cost"]
    lines = [f"{document['how']} of {len(document['members'])} members, {document['num_images']} images tested"]
    lines.append(f"{'weights by fold':24}{'ms a photo':>12}  member")
    for index, name in enumerate(document["members"]):
        weights = (
            "equal" if document["weights"] is None else " ".join(f"{row[index]:.2f}" for row in document["weights"].values())
        )
        lines.append(f"{weights:24}{_milliseconds(cost['members_ms'][index]):>12}  {name}")
    lines.append(f"{'':24}{_milliseconds(cost['latency_ms']):>12}  all members, one after another")
    lines.append(f"Milliseconds: {cost['reason'] or cost['method']}.")
    return "\n".join([*lines, *document["notes"]])


def _mean(table: Predictions, members: Floats, fitting: FittingRows) -> tuple[Floats, None]:
    return mean_probabilities(members), None


def _rank_mean(table: Predictions, members: Floats, fitting: FittingRows) -> tuple[Floats, None]:
    combined = np.empty(members.shape[1:])
    for rows in table.frame.groupby(["fold", "split"]).indices.values():
        combined[rows] = mean_ranks(members[:, rows])
    return combined, None


def _weighted(table: Predictions, members: Floats, fitting: FittingRows) -> tuple[Floats, dict[str, list[float]]]:
    if not fitting.by_fold:
        raise DataError(f"{table.source}: {fitting.reason}. Give --how mean, or files with rows of split validation.")
    combined, weights = mean_probabilities(members), {}
    targets = table.targets(table.frame)
    for fold in fitting.by_fold:
        here = (table.frame["fold"] == fold).to_numpy()
        fitted = here & (table.frame["split"] == fitting.part).to_numpy()
        found = fit_weights(members[:, fitted], targets[fitted])
        combined[here] = mean_probabilities(members[:, here], found)
        weights[str(fold)] = found.tolist()
    return combined, weights


_BUILDERS: dict[str, Callable[[Predictions, Floats, FittingRows], tuple[Floats, dict[str, list[float]] | None]]] = {
    "mean": _mean,
    "rank_mean": _rank_mean,
    "weighted": _weighted,
}


def _log_loss(table: Predictions, members: Floats, combined: Floats, fitting: FittingRows) -> Document:
    """Mean log-loss of each member and of the ensemble, on the test rows and on those that weights are fitted on."""
    targets = table.targets(table.frame)
    parts = {"test", fitting.part} if fitting.by_fold else {"test"}
    document: Document = {}
    for part in sorted(parts):
        rows = (table.frame["split"] == part).to_numpy()
        each = [float(log_losses(targets[rows], member[rows]).mean()) for member in members]
        document[part] = {"ensemble": float(log_losses(targets[rows], combined[rows]).mean()), "members": each}
    return document


def _cost(runs: Sequence[Path], names: Sequence[str]) -> Document:
    """Milliseconds a photo of each member's first bundle, and their sum; null where one is not at hand."""
    if len(runs) != len(names):
        raise DataError(f"{len(runs)} run folders for {len(names)} predictions files. Give --run once for each, in their order.")
    each: list[float | None] = []
    reasons = []
    for run, name in zip(runs, names, strict=True):
        found = sorted(run.glob("fold-[0-9]*/bundle"))
        try:
            each.append(measure_latency(Bundle.load(found[0])) if found else None)
        except BundleError as error:
            raise DataError(f"{name}: its cost cannot be measured: {error}") from error
        if not found:
            reasons.append(f"{run} has no bundle (fold-K/bundle) of {Path(name).name}")
    known = [part for part in each if part is not None]
    whole = len(known) == len(each)
    return {
        "latency_ms": sum(known) if whole else None,
        "members_ms": each,
        "method": f"{LATENCY_METHOD}; the sum over members",
        "reason": None if whole else "; ".join(reasons),
    }


def _notes(how: str, fitting: FittingRows) -> list[str]:
    if how == "rank_mean":
        return [_RANKS]
    return [_OPTIMISTIC] if how == "weighted" and fitting.part == "test" else []


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
