"""Whether the probabilities mean what they say, and what another scaling of them would change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.evaluation.fitting_rows import fitting_rows
from nevus.evaluation.tested import Tested
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.calibration import BINNINGS, ESTIMATES, NUM_BINS, Binned, brier_score, calibration_figure, equal_mass
from nevus.metrics.intervals import Share
from nevus.metrics.recalibration import RecalibrationIntercept, RecalibrationSlope
from nevus.metrics.scaling import SCALINGS, log_probabilities

Document = dict[str, Any]
_UNDEFINED = "undefined: too few images for the bins, a class is missing, or the probabilities separate the classes"


@dataclass(frozen=True)
class Claim:
    """What is claimed with which confidence, (N,), and whether it came true, (N,)."""

    confidence: Floats
    outcomes: NDArray[np.bool_]


def calibration(tested: Tested) -> Document:
    """Reliability bins, calibration errors, slope and intercept, and each scaling's gain, fitted on a fold's validation rows."""
    table, targets, positive = tested.judged.probabilities, tested.judged.targets, tested.judged.positive
    claims = _claims(table, targets, positive)
    scaled, reasons = _scaled(tested)
    figures: dict[str, WeightedFigure | None] = {}
    for name, claim in claims.items():
        figures |= {f"{name}/{key}": figure for key, figure in _errors(claim).items()}
        bins = equal_mass(claim.confidence)
        figures |= {f"{name}/bin/{place}": Share(claim.outcomes, bins == place) for place in np.unique(bins)}
    if "positive" in claims:
        logistic = (claims["positive"].confidence, claims["positive"].outcomes)
        figures |= {"slope": RecalibrationSlope(*logistic), "intercept": RecalibrationIntercept(*logistic)}
    for index, name in enumerate(tested.predictions.classes):
        figures[f"class/{name}"] = calibration_figure(Binned(table[:, index], targets == index, "equal_mass"), "debiased")
    scores = {method: dict(_scores(answers, targets, positive)) for method, answers in {"none": table, **scaled}.items()}
    for method, named in scores.items():
        for name, figure in named.items():
            figures[f"{method}/{name}"] = figure
            if method != "none":
                figures[f"{method}/difference/{name}"] = _difference(scores["none"][name], figure)
    measured = tested.measure(figures, _UNDEFINED)
    return {
        "positive": tested.predictions.positive,
        "claims": {name: _claim(name, claim, measured) for name, claim in claims.items()},
        "slope": measured.get("slope"),
        "intercept": measured.get("intercept"),
        "class_wise": {name: measured[f"class/{name}"] for name in tested.predictions.classes},
        "scalings": {
            "fitted_on": fitting_rows(tested.predictions).part,
            "methods": [_method(name, measured) for name in ("none", *scaled)],
            "reasons": reasons,
        },
    }


def _claims(table: Floats, targets: NDArray[np.int64], positive: int | None) -> dict[str, Claim]:
    """Of the positive class, and with more than two classes also of the first choice."""
    claims = {}
    if positive is not None:
        claims["positive"] = Claim(table[:, positive], targets == positive)
    if table.shape[1] > 2:
        claims["first_choice"] = Claim(table.max(axis=1), table.argmax(axis=1) == targets)
    return claims


def _errors(claim: Claim) -> dict[str, WeightedFigure]:
    binned = {binning: Binned(claim.confidence, claim.outcomes, binning) for binning in BINNINGS}
    return {f"{name}/{estimate}": calibration_figure(part, estimate) for name, part in binned.items() for estimate in ESTIMATES}


def _claim(name: str, claim: Claim, measured: dict[str, Document]) -> Document:
    bins = equal_mass(claim.confidence)
    places = np.unique(bins)
    return {
        "bins": [
            {
                "confidence": float(claim.confidence[bins == place].mean()),
                "num_images": int((bins == place).sum()),
                "frequency": measured[f"{name}/bin/{place}"],
            }
            for place in places
        ],
        "num_bins": NUM_BINS,
        "errors": {
            binning: {estimate: measured[f"{name}/{binning}/{estimate}"] for estimate in ESTIMATES} for binning in BINNINGS
        },
    }


def _scaled(tested: Tested) -> tuple[dict[str, Floats], dict[str, str]]:
    """The test rows' probabilities under each scaling that can be fitted in every fold, and why the others cannot."""
    predictions, folds = tested.predictions, tested.test["fold"].to_numpy()
    scaled = {name: np.zeros_like(tested.judged.probabilities) for name in SCALINGS}
    reasons: dict[str, str] = {}
    fitting = fitting_rows(predictions)
    if fitting.reason:
        return {}, dict.fromkeys(SCALINGS, f"{fitting.reason} to fit it on")
    for fold, rows in fitting.by_fold.items():
        here = folds == fold
        targets, probabilities = predictions.targets(rows), predictions.probabilities(rows)
        absent = [name for index, name in enumerate(predictions.classes) if not (targets == index).any()]
        for name, fit in SCALINGS.items():
            if absent and name != "temperature":
                reasons[name] = f"fold {fold} has no validation row of {', '.join(absent)}"
            else:
                scaled[name][here] = fit(probabilities, targets)(tested.judged.probabilities[here])
    return {name: table for name, table in scaled.items() if name not in reasons}, reasons


def _scores(table: Floats, targets: NDArray[np.int64], positive: int | None) -> Iterator[tuple[str, WeightedFigure]]:
    surprise = -log_probabilities(table)[np.arange(len(table)), targets]
    right = table.argmax(axis=1) == targets
    yield "log_loss", _mean(surprise)
    yield "brier", _mean(brier_score(targets, table))
    claims = _claims(table, targets, positive)
    claim = claims.get("first_choice") or claims["positive"]
    yield "ece", calibration_figure(Binned(claim.confidence, claim.outcomes, "equal_mass"), "debiased")
    yield "accuracy", Share(right, np.ones_like(right))


def _mean(values: Floats) -> WeightedFigure:
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


def _difference(before: WeightedFigure, after: WeightedFigure) -> WeightedFigure:
    return lambda weights: np.asarray(after(weights) - before(weights))


def _method(name: str, measured: dict[str, Document]) -> Document:
    names = ("log_loss", "brier", "ece", "accuracy")
    differences = None if name == "none" else {key: measured[f"{name}/difference/{key}"] for key in names}
    return {"method": name, "figures": {key: measured[f"{name}/{key}"] for key in names}, "differences": differences}
