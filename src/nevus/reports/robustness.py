"""How a run holds when its images or its metadata are worse: curves by severity, pictures of the changes, metadata by rate."""

import base64
import json
from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.figures import Axis, Measured
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import metric, with_difference

_PANELS = (("hair", "ruler", "ink", "bubbles"), ("blur", "noise", "jpeg", "resolution"))
_WORDS = {"colour_cast": "colour cast", "jpeg": "JPEG"}


def robustness(run: Run) -> Html:
    """The run's robustness.json; nothing where `nevus robustness` was not run."""
    path = run.folder / "robustness.json"
    if not path.exists():
        return Html()
    document = json.loads(path.read_text(encoding="utf-8"))
    name = "auc" if "auc" in document["clean"] else "macro_auc"
    known, names = list(document["kinds"]), [each for each in (name, "sensitivity", "specificity") if each in document["clean"]]
    panels = [[kind for kind in kinds if kind in known] for kinds in _PANELS]
    panels.append([kind for kind in known if not any(kind in kinds for kinds in _PANELS)])
    drawn = [_severities(run, document, name, kinds, place) for place, kinds in enumerate(panels) if kinds]
    drawn += [_rates(run, document, name, how) for how, parts in document["metadata"].items() if parts]
    return join(
        [
            listing([text.replace(name, metric(name)) for text in _words(document)], class_="plain"),
            element("p", _note(document), class_="note"),
            element("div", *drawn, class_="figures"),
            _pictures(run, known),
            *([folded("Every change and its figures", *[_by_kind(document, shown) for shown in names])] if known else []),
            folded("Metadata missing or wrong, figures", *[_by_rate(document, shown) for shown in names]),
            element("p", "Accuracy and balanced accuracy stand in robustness.json.", class_="note"),
        ]
    )


def _words(document: dict[str, Any]) -> list[str]:
    sentences = [document["worst"]["words"]] if document["worst"] else []
    alone = document["image_only"]
    if alone and alone["figures"]:
        sentences += [part["words"] for part in alone["figures"].values()]
    else:
        sentences.append("Whether it holds without metadata beside a model that never had any was not measured (--image-only).")
    return sentences


def _note(document: dict[str, Any]) -> str:
    return (
        f"{document['num_images']:,} of the run's {document['num_images_of_the_run']:,} test images, "
        f"{document['num_groups']:,} groups, drawn by class (seed {document['seed']}). The changes are drawn on the photograph "
        "before it goes the whole way through the fold's own model, at the thresholds chosen beforehand. The grey band is the "
        "95% interval of the unchanged images; those of the curves stand in the tables, with the paired differences. Drawn "
        "artefacts are like real ones, not the same."
    )


def _series(document: dict[str, Any], parts: dict[str, Any], name: str) -> Measured:
    """The unchanged images' figure and those of each level; without their intervals, which would hide each other."""
    found = [document["clean"][name], *(part["figures"][name] for part in parts.values())]
    values = np.array([np.nan if figure["value"] is None else figure["value"] for figure in found])
    return Measured(values, np.full(len(values), np.nan), np.full(len(values), np.nan))


def _level(document: dict[str, Any], name: str) -> tuple[float, float] | None:
    clean = document["clean"][name]
    return None if clean["low"] is None else (clean["low"], clean["high"])


def _severities(run: Run, document: dict[str, Any], name: str, kinds: list[str], place: int) -> Html:
    first = document["clean"][name]["value"]
    series = {_WORDS.get(kind, kind): _series(document, document["kinds"][kind], name) for kind in kinds}
    levels = [int(level) for level in document["kinds"][kinds[0]]]
    axes = (Axis("Severity (0 is the photograph as it is)"), Axis(metric(name)))
    at = np.array([0, *levels], np.float64)
    drawing = figures.bands(f"{metric(name)} by severity", axes, at, series, _level(document, name))
    ends = ", ".join(f"{kind} {measured.value[-1]:.3f}" for kind, measured in series.items())
    message = f"{metric(name)} from {first:.3f} with growing severity; at {levels[-1]}: {ends}."
    caption = f"{metric(name)} with {', '.join(series)}."
    return inline(drawing, f"{run.anchor}-robustness-{place}", message, caption)


def _rates(run: Run, document: dict[str, Any], name: str, how: str) -> Html:
    parts = document["metadata"][how]
    series = {part: _series(document, rates, name) for part, rates in parts.items()}
    rates = [100 * float(rate) for rate in next(iter(parts.values()))]
    axes = (Axis(f"Images whose metadata is {how} (%)"), Axis(metric(name)))
    drawing = figures.bands(f"{metric(name)}, metadata {how}", axes, np.array([0, *rates]), series, _level(document, name))
    ends = ", ".join(f"{part} {measured.value[-1]:.3f}" for part, measured in series.items())
    explained = "left out" if how == "missing" else "another patient's, drawn at random"
    first = document["clean"][name]["value"]
    message = f"{metric(name)} with metadata {how}, {first:.3f} with all of it; for all images: {ends}."
    return inline(drawing, f"{run.anchor}-robustness-{how}", message, f"{metric(name)} when fields are {explained}.")


def _pictures(run: Run, kinds: list[str]) -> Html:
    """A strip a kind: one photograph unchanged, then at each severity."""
    strips = []
    for kind in kinds:
        path = run.folder / "robustness" / f"{kind}.jpg"
        if path.exists():
            data = f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
            words = f"{_WORDS.get(kind, kind)}: as it is, then by growing severity"
            strips.append(element("figure", element("img", src=data, alt=words, class_="strip"), element("figcaption", words)))
    return folded("What the changes look like", *strips) if strips else Html()


def _by_kind(document: dict[str, Any], name: str) -> Html:
    """A row a change, a column a severity."""
    levels = list(next(iter(document["kinds"].values())))
    rows = [
        (_WORDS.get(kind, kind), *(_cell(found[level], name) for level in levels)) for kind, found in document["kinds"].items()
    ]
    return table(_caption(document, name, "by severity"), ("Change", *levels), rows)


def _by_rate(document: dict[str, Any], name: str) -> Html:
    """A row a field that is missing or wrong, a column a share of the images."""
    rows, rates = [], []
    for how, parts in document["metadata"].items():
        for part, found in parts.items():
            rates = [f"{100 * float(rate):g}%" for rate in found]
            cells = (_cell(at, name) for at in found.values())
            rows.append((f"{part} {how}", *cells))
    return table(_caption(document, name, "by the share of images"), ("Metadata", *rates), rows) if rows else Html()


def _caption(document: dict[str, Any], name: str, by: str) -> str:
    clean = document["clean"][name]
    unchanged = "undefined" if clean["value"] is None else f"{clean['value']:.3f}"
    return f"{metric(name)} {by} (unchanged {unchanged}): value, [95% interval], paired difference to the unchanged images"


def _cell(found: dict[str, Any], name: str) -> Html:
    return with_difference(found["figures"][name], found["differences"].get(name))
