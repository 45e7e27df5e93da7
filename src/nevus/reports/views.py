"""What predicting a photograph in several views brings, and costs: figures and milliseconds at 1, 2, 4 and 8."""

import json
from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.figures import Axis, Measured
from nevus.reports.markup import Html, element, join, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import count, metric, with_difference

Document = dict[str, Any]
_PARTS = {"validation": "Validation images", "test": "Test images"}


def views(run: Run) -> Html:
    """The run's views.json; nothing where `nevus views` was not run."""
    path = run.folder / "views.json"
    if not path.exists():
        return Html()
    document = json.loads(path.read_text(encoding="utf-8"))
    parts = {part: title for part, title in _PARTS.items() if document["num_rows"][part]}
    tables = [_table(document, part, title) for part, title in parts.items()]
    drawing = element("div", _curve(run, document, parts), class_="figures")
    notes = [element("p", note, class_="note") for note in document["notes"]]
    return join([element("p", _words(document)), drawing, *tables, element("p", _note(document), class_="note"), *notes])


def _words(document: Document) -> str:
    """The largest number of views against one, on the test images, in a sentence."""
    single, last = document["views"]["1"], list(document["views"])[-1]
    found, name = document["views"][last], _ranking(document)
    gap = found["test"]["differences"][name]
    before, after = single["test"]["figures"][name]["value"], found["test"]["figures"][name]["value"]
    milliseconds = f"{single['latency_ms']:.0f} to {found['latency_ms']:.0f} milliseconds a photograph"
    if before is None or after is None:
        return f"{last} views take {milliseconds}. {metric(name)} is undefined on the test images."
    spread = "" if gap["low"] is None else f", 95% interval {gap['low']:+.3f} to {gap['high']:+.3f}"
    return (
        f"{last} views in place of one take {metric(name)} on the test images from {before:.3f} to {after:.3f} (difference "
        f"{gap['value']:+.3f}{spread}) and the time from {milliseconds}. This run uses "
        f"{count(document['views_of_the_run'], 'view')}."
    )


def _note(document: Document) -> str:
    return (
        "A view is the photograph mirrored or turned by quarters; the network's outputs for all views are averaged. Each number "
        "of views has its own thresholds, chosen on the validation images. Choose a number by the validation images, since the "
        f"test images only say what that was worth. Milliseconds: {document['latency_method']}."
    )


def _curve(run: Run, document: Document, parts: dict[str, str]) -> Html:
    name, series = _ranking(document), {}
    for part, title in parts.items():
        found = [views[part]["figures"][name] for views in document["views"].values()]
        columns = [np.array([np.nan if one[key] is None else one[key] for one in found]) for key in ("value", "low", "high")]
        series[title] = Measured(*columns)
    milliseconds = np.array([views["latency_ms"] for views in document["views"].values()])
    axes = (Axis("Time of a photograph (milliseconds, one thread)"), Axis(metric(name)))
    drawing = figures.bands(f"{metric(name)} at {', '.join(document['views'])} views", axes, milliseconds, series)
    ends = "; ".join(f"{title}: {', '.join(f'{value:.3f}' for value in measured.value)}" for title, measured in series.items())
    message = f"{metric(name)} at {', '.join(document['views'])} views. {ends}."
    caption = f"{metric(name)} against the time of a photograph; a point a number of views, bands are 95% intervals."
    return inline(drawing, f"{run.anchor}-views", message, caption)


def _table(document: Document, part: str, title: str) -> Html:
    names = list(document["views"]["1"][part]["figures"])
    rows = []
    for views, found in document["views"].items():
        cells = (with_difference(found[part]["figures"][name], found[part]["differences"].get(name)) for name in names)
        rows.append((views, f"{found['latency_ms']:.1f}", *cells))
    caption = f"{title}, {document['num_rows'][part]:,}: value [95% interval], and the paired difference to one view"
    return table(caption, ("Views", "Milliseconds", *map(metric, names)), rows)


def _ranking(document: Document) -> str:
    return "auc" if "auc" in document["views"]["1"]["test"]["figures"] else "macro_auc"
