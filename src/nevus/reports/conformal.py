"""Conformal sets on the page: whether they hold the truth as often as was promised, for whom not, and how large they are."""

from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.figures import Axis, Measured
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, count, in_hundred, reasons, with_interval

METHODS = {
    "lac": "one limit for all classes (LAC)",
    "aps": "sum of probabilities (APS)",
    "class_conditional": "a limit for each class",
}
_COLUMNS = {
    "coverage": "Hold the truth",
    "group_coverage": "The same, each group once",
    "mean_size": "Mean size",
    "single": "One class",
    "single_right": "Right, of these",
    "empty": "Empty",
}
_INTRODUCTION = (
    "Instead of one answer, each image gets a set of classes. The set is made large enough to hold the true class for a promised "
    "share of new patients, whatever the network. A set of one class is an answer; a larger one says: not sure between these."
)


def conformal(run: Run) -> Html:
    """Coverage and size of the sets, by method, by class and by subgroup."""
    document = run.evaluation.get("conformal")
    if document is None:
        return element("p", "This evaluation has no conformal sets; nevus evaluate makes it anew with them.", class_="note")
    if document["reason"]:
        return element("p", f"No conformal sets: {document['reason']}.", class_="note")
    promises = list(document["methods"]["lac"])
    return join(
        [
            element("p", _INTRODUCTION),
            listing(_findings(document), class_="finding"),
            _overall(document),
            element("div", *(_drawn(run, document, promise) for promise in promises), class_="figures"),
            folded("Coverage by class, all methods", _by_class(document)),
            folded("Coverage by age, sex and body site", *(_by_subgroup(document, promise) for promise in promises)),
            listing([*_calibration(document), *document["notes"]], class_="notes"),
        ]
    )


def _findings(document: dict[str, Any]) -> list[str]:
    """What the sets at the first promise came to: overall, when they are one class, and for the class they fail most."""
    promise, part = next(iter(document["methods"]["lac"].items()))
    held, single, right = (part["figures"][name] for name in ("coverage", "single", "single_right"))
    images = count(held["n"], "image")
    found = [f"Promised: {float(promise):.0%} of sets hold the truth. Found: {in_hundred(held)} of 100 do ({images})."]
    if right["value"] is not None:
        found.append(f"{in_hundred(single)} of 100 sets hold one class; of 100 such answers {in_hundred(right)} are right.")
    known = {name: figure for name, figure in part["per_class"].items() if figure["value"] is not None}
    worst = min(known, key=lambda name: float(known[name]["value"]))
    found.append(
        "This promise is for all images together and not for each class. It is kept least for "
        f"{class_name(worst)}: {in_hundred(known[worst])} of 100 sets hold the truth ({count(known[worst]['n'], 'image')}). A "
        "limit for each class promises it for every class; the price is larger sets."
    )
    return found


def _overall(document: dict[str, Any]) -> Html:
    rows: list[tuple[str, ...]] = []
    undefined: dict[str, dict[str, Any]] = {}
    for method, promises in document["methods"].items():
        for promise, part in promises.items():
            label = f"{METHODS[method]}, {float(promise):.0%} promised"
            rows.append((label, *(with_interval(part["figures"][name]) for name in _COLUMNS)))
            undefined |= {f"{label}: {title.lower()}": part["figures"][name] for name, title in _COLUMNS.items()}
    shown = table("What the sets hold, shares with 95% intervals", ("Sets", *_COLUMNS.values()), rows)
    return join([shown, reasons(undefined)])


def _by_class(document: dict[str, Any]) -> Html:
    methods = document["methods"]
    columns = [(method, promise) for promise in methods["lac"] for method in methods]
    first = next(iter(methods["lac"].values()))["per_class"]
    rows = [
        (
            element("span", name, title=class_name(name)),
            f"{figure['n']:,}",
            *(with_interval(methods[method][promise]["per_class"][name]) for method, promise in columns),
        )
        for name, figure in first.items()
    ]
    header = ("Class", "Images", *(f"{METHODS[method]}, {float(promise):.0%}" for method, promise in columns))
    return join([table("Share of a class's images whose set holds it", header, rows), reasons(first)])


def _drawn(run: Run, document: dict[str, Any], promise: str) -> Html:
    """Coverage by class with one limit for all and with a limit for each class."""
    parts = {name: document["methods"][name][promise]["per_class"] for name in ("lac", "class_conditional")}
    names = list(parts["lac"])
    series = {METHODS[name]: measured([part[cls] for cls in names]) for name, part in parts.items()}
    title, axis = f"Coverage by class, {float(promise):.0%} promised", Axis("Share of images whose set holds the truth")
    drawing = figures.dots(title, axis, names, series, float(promise))
    said = "; ".join(f"{cls} {_said(parts['lac'][cls])} and {_said(parts['class_conditional'][cls])}" for cls in names)
    message = f"{title}, with one limit for all and with a limit for each class: {said}."
    caption = f"Dots are shares, lines 95% intervals, dotted the promise of {float(promise):.0%}."
    return inline(drawing, f"{run.anchor}-conformal-{promise.replace('.', '-')}", message, caption)


def _by_subgroup(document: dict[str, Any], level: str) -> Html:
    parts = {method: levels[level].get("subgroups", {}) for method, levels in document["methods"].items()}
    rows = [
        (
            f"{field}: {name}",
            f"{figure['n']:,}",
            *(with_interval(part[field][name]) for part in parts.values()),
        )
        for field, groups in parts["lac"].items()
        for name, figure in groups.items()
    ]
    if not rows:
        return element("p", "Age, sex and site of these images are not known.", class_="note")
    header = ("Group", "Images", *(METHODS[method] for method in parts))
    return table(f"Share of images whose set holds the truth, {float(level):.0%} promised", header, rows)


def _calibration(document: dict[str, Any]) -> list[str]:
    """What calibrated the sets, and the classes that every set holds for want of images."""
    folds = document["calibration"].values()
    sizes = ", ".join(f"{count(fold['num_images'], 'image')} of {count(fold['num_groups'], 'group')}" for fold in folds)
    words = {"validation": "validation images inside the training folds", "test": "the tested images themselves (optimistic)"}
    found = [f"Calibrated on {words[document['calibrated_on']]}, fold by fold: {sizes}."]
    for level, part in document["methods"]["class_conditional"].items():
        if always := sorted({name for names in part["always"].values() for name in names}):
            found.append(
                f"With a limit for each class and {float(level):.0%} promised, every set of at least one fold holds "
                f"{', '.join(always)}: there are too few calibration images to leave it out, and its coverage says nothing."
            )
    return found


def measured(documents: list[dict[str, Any]]) -> Measured:
    """Figures of an evaluation as arrays, NaN where undefined."""
    columns = [[np.nan if figure[key] is None else figure[key] for figure in documents] for key in ("value", "low", "high")]
    return Measured(*(np.array(column, np.float64) for column in columns))


def _said(figure: dict[str, Any]) -> str:
    return "undefined" if figure["value"] is None else f"{figure['value']:.3f}"
