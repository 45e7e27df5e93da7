"""From a predictions file to figures with intervals: the document that `evaluation.json` holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.splits import OPTIMISTIC, PROTOCOLS, label
from nevus.errors import DataError
from nevus.evaluation.abstention import abstention
from nevus.evaluation.calibration import calibration
from nevus.evaluation.conformal import conformal
from nevus.evaluation.decision import check_stated, decision
from nevus.evaluation.decisions import decide_rows
from nevus.evaluation.figures import OF_PROBABILITIES, Judged, overall, per_class, value
from nevus.evaluation.fitting_rows import group_names
from nevus.evaluation.operating_point import OperatingPoint
from nevus.evaluation.operating_point import operating_point as choose_point
from nevus.evaluation.predictions import Predictions
from nevus.evaluation.shortages import shortages
from nevus.evaluation.subgroups import subgroups
from nevus.evaluation.tested import Tested
from nevus.metrics.bootstrap import WeightedFigure
from nevus.metrics.classification import confusion_matrix
from nevus.metrics.intervals import KINDS

_ABOUT_PROBABILITIES = ("calibration", "conformal", "abstention")
_NO_PROBABILITIES = "the rows do not sum to 1, so that they are no probabilities"
Document = dict[str, Any]
Figures = dict[tuple[str, str], WeightedFigure | None]
# What the document says beside the figures, each by its own file; a section that cannot be is a document with its `reason`.
SECTIONS: dict[str, Callable[[Tested], Any]] = {
    "decision": decision,
    "calibration": calibration,
    "conformal": conformal,
    "abstention": abstention,
    "subgroups": subgroups,
}


def evaluate(
    predictions: Predictions | Path | str,
    *,
    truth: Path | str | None = None,
    logits: bool = False,
    threshold: float | None = None,
    operating_point: str = "youden",
    intervals: str = "analytic",
    num_resamples: int = 2000,
    seed: int = 0,
    prevalence: float | None = None,
    cost_ratio: float | None = None,
    decisions: str | None = None,
    provenance: Document | None = None,
) -> Document:
    """Evaluate predictions, ours or another program's.

    With two classes the operating point decides, with more the rule `decisions`. Intervals are over groups, with thresholds and
    shares held fixed.

    Parameters
    ----------
    predictions
        A predictions file, or one that is already read.
    truth, logits
        As `Predictions.read` takes them; of no use where the file is already read.
    threshold
        The operating point on the positive class's probability; by default it is chosen on each fold's validation rows.
    operating_point
        "youden", a sensitivity as in "sensitivity:0.90", or costs as in "cost:10" or "cost:10@0.02".
    intervals
        "analytic": Wilson's of shares, DeLong's of areas or their forms for groups, the percentile bootstrap of all else;
        "bootstrap" or "bca" of everything.
    num_resamples, seed
        Of the bootstraps.
    prevalence
        The positive class's share among the people in question, for the table of a thousand people and the decision curve.
    cost_ratio
        How many false alarms a missed positive costs: a threshold is chosen for it too.
    decisions
        "likeliest", the class of the largest probability, or "balanced", the one whose probability is largest for its share of
        the images that a fold does not test; by default what the predictions say, "likeliest" where they are read from a file.
    provenance
        Goes into the document as it is.

    Raises
    ------
    DataError
        The predictions are not what they must be, or `intervals` is none of these.

    Examples
    --------
    >>> evaluate("runs/zoome/predictions.csv")["metrics"]["auc"]["value"]  # doctest: +SKIP
    0.871
    """
    if intervals not in KINDS:
        raise DataError(f"intervals {intervals!r}: expected one of {', '.join(KINDS)}.")
    check_stated(prevalence, cost_ratio)
    table = predictions if isinstance(predictions, Predictions) else Predictions.read(predictions, truth=truth, logits=logits)
    table = table.deciding(decisions)
    test, point = table.test, choose_point(table, operating_point, threshold)
    judged = judge(table, test, point)
    fold_of = test["fold"].to_numpy()
    groups, num_groups, notes = group_indices(test)
    notes = [*table.notes, *notes, *shortages(judged, table.classes, num_groups)]
    if table.protocol in OPTIMISTIC:
        notes.insert(0, f"Optimistic: {PROTOCOLS[str(table.protocol)]}. Photos of one lesion may lie on both sides.")
    tested = Tested(table, test, point, judged, groups, num_groups, intervals, num_resamples, seed, prevalence, cost_ratio)
    figures = _figures(judged, table.classes)
    folds = {int(fold): judged.rows(fold_of == fold) for fold in np.unique(fold_of)}
    by_fold = {fold: _values(part, table.classes) for fold, part in folds.items()}
    measured = tested.measure({_key(*name): figure for name, figure in figures.items()})

    def document(owner: str, name: str) -> Document:
        found = measured[_key(owner, name)]
        if found["value"] is None:
            reason = _reason(figures[owner, name], point, owner or table.positive)
            if name in OF_PROBABILITIES and not table.sum_to_one:
                reason = _NO_PROBABILITIES
            found = {**found, "method": f"no interval: {reason}", "reason": reason}
        return found | _spread([values[owner, name] for values in by_fold.values()])

    decided = None if judged.decisions is None else confusion_matrix(judged.targets, judged.decisions, len(table.classes))
    return {
        "protocol": table.protocol,
        "optimistic": None if table.protocol is None else table.protocol in OPTIMISTIC,
        "classes": list(table.classes),
        "positive": table.positive,
        "num_images": len(test),
        "num_groups": num_groups,
        "decisions": table.decisions if len(table.classes) > 2 else None,
        "operating_point": point.document(),
        "metrics": {name: document(owner, name) for owner, name in figures if not owner},
        "per_class": {own: {name: document(owner, name) for owner, name in figures if owner == own} for own in table.classes},
        "per_fold": [
            {
                "fold": fold,
                "num_images": len(part.targets),
                "num_groups": len(np.unique(groups[fold_of == fold])),
                "threshold": None if point.thresholds is None else point.thresholds[fold],
                "metrics": {name: number for (owner, name), number in by_fold[fold].items() if not owner},
            }
            for fold, part in folds.items()
        ],
        "confusion": None if decided is None else _confusion(decided, table.classes),
        **{name: _section(name, tested) for name in SECTIONS},
        "notes": notes,
        "provenance": provenance or {},
    }


def evaluation_table(document: Document) -> str:
    """The figures as plain text: value, interval, and mean ± standard deviation over folds as the papers print it."""
    protocol = "protocol unknown" if document["protocol"] is None else label(document["protocol"])
    lines = [f"{protocol}: {document['num_images']} images in {document['num_groups']} groups"]
    lines += [f"{'':28}{'value':>7}  {'95% interval':18}folds, mean ± sd"]
    lines += [_line(name, figure) for name, figure in document["metrics"].items()]
    lines += [f"{'sensitivity by class':28}"]
    lines += [_line(f"  {name}", figures["sensitivity"]) for name, figures in document["per_class"].items()]
    reasons = sorted({figure["reason"] for figure in document["metrics"].values() if "reason" in figure})
    return "\n".join([*lines, *(f"– {reason}." for reason in reasons), *document["notes"]])


def _line(name: str, figure: Document) -> str:
    if figure["value"] is None:
        return f"{name:28}{'–':>7}"
    interval = "" if figure["low"] is None else f"[{figure['low']:.3f}, {figure['high']:.3f}]"
    spread = "" if figure["fold_sd"] is None else f"{figure['fold_mean']:.3f} ± {figure['fold_sd']:.3f}"
    return f"{name:28}{figure['value']:7.3f}  {interval:18}{spread}".rstrip()


def _figures(judged: Judged, classes: tuple[str, ...]) -> Figures:
    """All figures by (class, name); the class is "" for those over all classes."""
    figures: Figures = {("", name): figure for name, figure in overall(judged).items()}
    for index, owner in enumerate(classes):
        figures |= {(owner, name): figure for name, figure in per_class(judged, index).items()}
    return figures


def _values(judged: Judged, classes: tuple[str, ...]) -> dict[tuple[str, str], float | None]:
    return {name: value(figure, len(judged.targets)) for name, figure in _figures(judged, classes).items()}


def _reason(figure: WeightedFigure | None, point: OperatingPoint, owner: str | None) -> str:
    """Why a figure is null."""
    if figure is None:
        return point.reason
    return f"undefined: too few images, no image of {owner or 'a class'}, or none decided to be it"


def _key(owner: str, name: str) -> str:
    return f"{owner}/{name}"


def _spread(values: list[float | None]) -> Document:
    """Mean and standard deviation over folds, where the figure is defined in all of them."""
    known = [value for value in values if value is not None]
    whole = len(known) == len(values)
    return {
        "fold_mean": float(np.mean(known)) if known and whole else None,
        "fold_sd": float(np.std(known, ddof=1)) if len(known) > 1 and whole else None,
    }


def _section(name: str, tested: Tested) -> Any:
    """A section of the document; of scores that are no probabilities there is none that takes them at their word."""
    known = tested.predictions.sum_to_one or name not in _ABOUT_PROBABILITIES
    return SECTIONS[name](tested) if known else {"reason": _NO_PROBABILITIES}


def _confusion(decided: NDArray[np.int64], classes: tuple[str, ...]) -> Document:
    """The counts; images without a decision, where several classes are the most probable, stand beside them, by true class."""
    num_classes = len(classes)
    undecided = decided[:, num_classes:].sum(axis=1)
    return {"classes": list(classes), "matrix": decided[:, :num_classes].tolist(), "undecided": undecided.tolist()}


def judge(table: Predictions, test: pd.DataFrame, point: OperatingPoint) -> Judged:
    """Rows with their decisions: by the table's rule, and between two classes the operating point's.

    In the ISIC challenges' layout each class's own figures are those of its column above 0.5, as their scorer has it.
    """
    probabilities = table.probabilities(test)
    positive = None if table.positive is None else table.classes.index(table.positive)
    flags = None if positive is None else point.flags(test["fold"].to_numpy(), probabilities[:, positive])
    if len(table.classes) > 2:
        decisions: NDArray[np.int64] | None = decide_rows(table, test)
    else:
        decisions = None if flags is None or positive is None else np.where(flags, positive, 1 - positive)
    named = probabilities > 0.5 if table.by_column else None
    return Judged(table.targets(test), probabilities, decisions, flags, positive, named, table.sum_to_one)


def group_indices(test: pd.DataFrame) -> tuple[NDArray[np.int64], int, list[str]]:
    """Group indices; where the file names no groups, each image is one, and that is said."""
    if "group_id" in test:
        codes, uniques = pd.factorize(group_names(test))
        return codes.astype(np.int64), len(uniques), []
    note = "Intervals are by image, since the file has no group_id: too narrow where photos share a lesion or a patient."
    return np.arange(len(test)), len(test), [note]
