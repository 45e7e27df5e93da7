"""Abstention on the page: what is wrong among the answers when the least sure images go to a doctor, and who goes."""

from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.conformal import measured
from nevus.reports.figures import Axis
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, count, in_hundred, reasons, with_interval

CONFIDENCES = {
    "largest_probability": "probability of the first choice",
    "margin": "lead of the first choice over the second",
    "distance_from_threshold": "distance from the operating point, in log odds",
    "set_size": "size of the 90% conformal set",
}
# A share of fewer images is not drawn: one image would be a point at 0 or at 1.
_FEWEST = 10
_INTRODUCTION = (
    "A system may leave the images it is least sure of to a doctor. Here is what remains wrong among the answers it gives, and "
    "who is sent on. What matters is whether the melanomas that would be missed are among those."
)


def abstention(run: Run) -> Html:
    """Errors and misses against the share answered, the table of thresholds, and who is referred."""
    document = run.evaluation.get("abstention")
    if document is None:
        return element("p", "This evaluation was made without abstention; nevus evaluate makes it anew with it.", class_="note")
    if document["reason"]:
        return element("p", f"No abstention: {document['reason']}.", class_="note")
    positive = run.evaluation["positive"]
    introduction = _INTRODUCTION if positive == "mel" else _INTRODUCTION.replace("melanomas", "malignant lesions")
    return join(
        [
            element("p", introduction if positive else _INTRODUCTION.rpartition(" What")[0]),
            listing(_findings(document, positive), class_="finding"),
            element("div", _curve(run, document, positive), class_="figures"),
            _referral(document, positive),
            _areas(document),
            listing(document["notes"], class_="notes"),
        ]
    )


def _findings(document: dict[str, Any], positive: str | None) -> list[str]:
    """What the largest referral of the table would change, whichever way it goes."""
    if not document["referral"]:
        return []
    first, last = document["referral"][0], document["referral"][-1]
    before, after = first["figures"], last["figures"]
    if after["error"]["value"] is None or before["error"]["value"] is None:
        return []
    found = [
        f"With {count(last['num_referred'], 'image')} of {first['num_answered']:,} left to a doctor, wrong answers go from "
        f"{in_hundred(before['error'])} to {in_hundred(after['error'])} of 100 answers."
    ]
    if positive and before["missed"]["value"] is not None and after["missed"]["value"] is not None:
        name = class_name(positive)
        found.append(
            f"Of 100 answered images of a {name}, the missed go from {in_hundred(before['missed'])} to "
            f"{in_hundred(after['missed'])}: {last['num_missed']:,} of {after['missed']['n']:,} are still missed, and "
            f"{last['num_positives_referred']:,} are sent to the doctor."
        )
    return found


def _curve(run: Run, document: dict[str, Any], positive: str | None) -> Html:
    curve = document["curve"][::-1]
    names = {"error": "wrong answers", "balanced_error": "mean over classes of wrong answers"}
    if positive:
        names["missed"] = f"{class_name(positive)} missed"
    shares = np.array([100 * row["coverage"] for row in curve])
    series = {label: measured([_drawn(row["figures"][name]) for row in curve]) for name, label in names.items()}
    axes = (Axis("Images answered, the surest first (%)", 0, 100), Axis("Share of the answered", 0, None))
    drawing = figures.bands("Risk against coverage", axes, shares, series)
    said = "; ".join(f"at {row['coverage']:.0%} answered {_said(row['figures']['error'])}" for row in curve[::-1])
    message = f"Share of wrong answers against the share of images answered: {said}."
    caption = (
        f"How sure an answer is: {CONFIDENCES[document['confidence']]}. Bands are 95% intervals. A line ends where a class has "
        f"no image left among the answered, and where fewer than {_FEWEST} images count."
    )
    return inline(drawing, f"{run.anchor}-abstention", message, caption)


def _referral(document: dict[str, Any], positive: str | None) -> Html:
    if not document["referral"]:
        return element("p", f"No table of thresholds: {document['referral_reason']}.", class_="note")
    columns = {"coverage": "Share answered", "error": "Wrong answers", "balanced_error": "The same, mean over classes"}
    if positive:
        columns["missed"] = f"{positive} missed, of those answered"
        columns["positives_among_referred"] = f"{positive} among the referred"
        columns["caught_or_referred"] = f"{positive} flagged or referred"
    counts = {"num_missed": f"{positive} missed, images", "num_positives_referred": f"{positive} referred, images"}
    counts = {"num_answered": "Answered, images"} | (counts if positive else {})
    rows = [
        (
            f"{row['coverage']:.0%}",
            *(with_interval(row["figures"][name]) for name in columns),
            *(f"{row[name]:,}" for name in counts),
        )
        for row in document["referral"]
    ]
    words = {"validation": "validation images", "test": "the tested images themselves, optimistic"}
    header = ("Meant to answer", *columns.values(), *counts.values())
    shown = table(f"Thresholds chosen on {words[document['chosen_on']]}, with 95% intervals", header, rows)
    undefined = {
        f"{title} at {row['coverage']:.0%}": row["figures"][name]
        for row in document["referral"]
        for name, title in columns.items()
    }
    by_class = table(
        "Share of each class that is referred",
        ("Class", *(f"{row['coverage']:.0%} meant to be answered" for row in document["referral"])),
        [
            (class_name(name), *(with_interval(row["referred_per_class"][name]) for row in document["referral"]))
            for name in document["referral"][0]["referred_per_class"]
        ],
    )
    return join([shown, reasons(undefined), folded("Who is referred, by class", by_class)])


def _areas(document: dict[str, Any]) -> Html:
    areas = document["areas"].items()
    rows = [(CONFIDENCES[name], with_interval(part["aurc"]), with_interval(part["excess"])) for name, part in areas]
    header = ("How sure an answer is, by", "Mean risk over all coverages (AURC)", "Of it, due to a wrong order (E-AURC)")
    return table("Which doubt is the best? Lower is better, with 95% intervals", header, rows)


def _drawn(figure: dict[str, Any]) -> dict[str, Any]:
    """The figure, left out of a drawing where it is a share of next to nothing."""
    return figure if figure["n"] >= _FEWEST else {"value": None, "low": None, "high": None}


def _said(figure: dict[str, Any]) -> str:
    return "undefined" if figure["value"] is None else f"{figure['value']:.3f}"
