"""Whether the probabilities mean what they say: reliability, errors, slope and intercept, and what a scaling would change."""

from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.markup import Html, element, folded, join, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, number, with_interval

Document = dict[str, Any]
_BINNINGS = {"equal_mass": "bins of equally many images", "equal_width": "bins of equal width"}
_ESTIMATES = {"absolute": "mean gap (plug-in)", "root_mean_square": "root mean square (plug-in)", "debiased": "debiased"}
_FIGURES = {"log_loss": "Log-loss", "brier": "Brier score", "ece": "Calibration error", "accuracy": "Accuracy"}
_METHODS = {
    "none": "as they are",
    "temperature": "temperature",
    "vector": "vector (a factor and a shift a class)",
    "isotonic": "isotonic",
}


def calibration(run: Run) -> Html:
    """The section; a note where the evaluation has none."""
    document = run.evaluation.get("calibration")
    if document is None:
        return element("p", "This evaluation is older than its calibration. Run nevus evaluate again.", class_="note")
    return join(
        [
            element("div", *(_reliability(run, name, claim) for name, claim in document["claims"].items()), class_="figures"),
            _logistic(document),
            _errors(document),
            _scalings(document["scalings"]),
        ]
    )


def _reliability(run: Run, name: str, claim: Document) -> Html:
    positive = class_name(run.evaluation["positive"] or "")
    what, labels = {
        "positive": (positive, (f"Probability of {positive}", f"Share that is {positive}")),
        "first_choice": ("first choice", ("Probability of the first choice", "Share of first choices that are right")),
    }[name]
    bins = claim["bins"]
    columns = [[bin_["confidence"] for bin_ in bins], *([_nan(bin_["frequency"][key]) for bin_ in bins] for key in _LIMITS)]
    confidence, observed, low, high = (np.array(column, np.float64) for column in columns)
    error = claim["errors"]["equal_mass"]["debiased"]
    words = "undefined" if error["value"] is None else f"{error['value']:.3f}"
    drawing = figures.reliability(f"Calibration, {what} (error {words})", confidence, observed, labels, (low, high))
    off = int(np.sum((confidence < low) | (confidence > high)))
    message = (
        f"Reliability diagram, {what}: debiased calibration error {words}; {off} of {len(bins)} bins lie off the diagonal by "
        "more than their interval."
    )
    caption = (
        f"Below the dotted line the probabilities claim too much, above it too little. {len(bins)} bins of about "
        f"{bins[0]['num_images']} images; bars: 95% intervals. In {off} of them the line lies outside the bar."
    )
    return inline(drawing, f"{run.anchor}-reliability-{name.replace('_', '-')}", message, caption)


_LIMITS = ("value", "low", "high")


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _logistic(document: Document) -> Html:
    if document["slope"] is None:
        return Html()
    positive = class_name(document["positive"])
    return element(
        "p",
        f"Logistic recalibration of {positive}: slope ",
        with_interval(document["slope"]),
        " (1 is right; below it the probabilities are too extreme), intercept ",
        with_interval(document["intercept"]),
        f" (0 is right; below it {positive} is claimed too often).",
    )


def _errors(document: Document) -> Html:
    names = {"positive": class_name(document["positive"] or ""), "first_choice": "first choice"}
    rows = [
        (f"{names[name]}, {_BINNINGS[binning]}", *(with_interval(claim["errors"][binning][key]) for key in _ESTIMATES))
        for name, claim in document["claims"].items()
        for binning in claim["errors"]
    ]
    caption = "Expected calibration error, 15 bins, with 95% intervals"
    shown = table(caption, ("Of", *(text.capitalize() for text in _ESTIMATES.values())), rows)
    if len(document["class_wise"]) == 2:
        return shown
    classes = [(class_name(name), with_interval(figure)) for name, figure in document["class_wise"].items()]
    return join([shown, folded("By class", table("Debiased calibration error of each class", ("Class", "Error"), classes))])


def _scalings(document: Document) -> Html:
    """What each scaling, fitted on validation images, would change on the test images."""
    where = {"validation": "the validation images of each fold", "test": "the test images themselves: optimistic"}
    rows = []
    for method in document["methods"]:
        changed = method["differences"] or {}
        cells = [_cell(method["figures"][name], changed.get(name)) for name in _FIGURES]
        rows.append((_METHODS[method["method"]], *cells))
    caption = "The test images under other scalings of the probabilities; in brackets the change with its 95% interval"
    shown = table(caption, ("Scaling", *_FIGURES.values()), rows)
    why = [f"– {_METHODS[name]}: {reason}." for name, reason in document["reasons"].items()]
    note = (
        f"Fitted on {where[document['fitted_on']]}. Log-loss, Brier score and calibration error are better when lower. The "
        "accuracy is that of the most probable class. Models of nevus already carry a temperature."
    )
    return join([shown, *(element("p", text, class_="note") for text in (note, *why))])


def _cell(figure: Document, difference: Document | None) -> Html:
    if difference is None or difference["value"] is None:
        return number(figure["value"], figure.get("reason") or "")
    change = _signed(difference["value"])
    if difference["low"] is not None:
        change += f", {_signed(difference['low'])} to {_signed(difference['high'])}"
    return join([number(figure["value"]), element("span", f"({change})", class_="interval")], " ")


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if text in ("+0.000", "-0.000") else text
