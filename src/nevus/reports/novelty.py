"""Whether the model knows what it was not trained on: figures by set of images, a curve, and small pictures with their scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.figures import Axis
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.pictures import photograph
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import count, with_interval

_NAMES = {
    "mahalanobis": "Mahalanobis distance",
    "energy": "energy",
    "class_mahalanobis": "distance to the nearest class",
    "isolation": "isolation forest",
}
_MOST_CURVES = 7


def novelty(run: Run) -> Html:
    """The run's novelty.json; nothing where `nevus novelty` was not run."""
    path = run.folder / "novelty.json"
    if not path.exists():
        return Html()
    document = json.loads(path.read_text(encoding="utf-8"))
    return join(
        [
            listing(_words(document), class_="plain"),
            element("p", _note(document), class_="note"),
            element("div", _curves(run, document), class_="figures"),
            _refused(document),
            *[_table(name, other) for name, other in document["others"].items()],
            folded("Pictures with their scores", *_pictures(run.folder / "novelty", document)),
        ]
    )


def _words(document: dict[str, Any]) -> list[str]:
    """What the score that decides refuses, of the own images and of the others."""
    decides, accepted = document["decides"], document["accepted"]
    if accepted is None:
        return ["Too few validation groups to choose a threshold on: the model refuses no image for being unlike its training."]
    own = document["own"]["refused"][decides][accepted]
    sentences = [
        f"The model refers an image as unlike its training images by its {_NAMES[decides]}, at the threshold that accepts "
        f"{float(accepted):.0%} of images like its validation images. Of its own test images that refers {_percent(own)}."
    ]
    for name, other in document["others"].items():
        found = other["scores"][decides]
        sentences.append(
            f"{name[0].upper()}{name[1:]} ({count(other['num_images'], 'image')}, {count(other['num_groups'], 'group')}): "
            f"{_percent(found['refused'][accepted])} are referred; AUROC {_plain(found['auroc'])}."
        )
    return sentences


def _percent(figure: dict[str, Any]) -> str:
    if figure["low"] is None:
        return f"{figure['value']:.1%} (no interval)"
    return f"{figure['value']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"


def _plain(figure: dict[str, Any]) -> str:
    if figure["value"] is None or figure["low"] is None:
        return "without an interval"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _note(document: dict[str, Any]) -> str:
    return (
        f"Own images: {document['num_images']:,} test images of fold {document['fold']}, {document['num_groups']:,} groups, "
        f"judged by that fold's model. The scores were fitted on {document['fitted_on']}, the thresholds chosen on "
        f"{document['chosen_on']}. Larger scores are stranger. An image that is accepted is not thereby judged well."
    )


def _curves(run: Run, document: dict[str, Any]) -> Html:
    shown = list(document["others"].items())[:_MOST_CURVES]
    named = {name: (np.array(other["curve"][0]), np.array(other["curve"][1])) for name, other in shown}
    axes = (Axis("Own test images referred (share)", 0.0, 1.0), Axis("Other images referred (share)", 0.0, 1.0))
    drawing = figures.curves("Other images against own", axes, named, reference=(np.array([0.0, 1.0]), np.array([0.0, 1.0])))
    areas = "; ".join(f"{name} {_plain(other['scores'][document['decides']]['auroc'])}" for name, other in shown)
    caption = (
        f"By {_NAMES[document['decides']]}. As the threshold falls more is referred; on the dotted line the others are no "
        "stranger than the own images."
    )
    return inline(drawing, f"{run.anchor}-novelty", f"Area under each curve: {areas}.", caption)


def _refused(document: dict[str, Any]) -> Html:
    shares = list(document["own"]["refused"][document["decides"]])
    rows = [
        (_NAMES[score], *(with_interval(refused[share]) for share in shares))
        for score, refused in document["own"]["refused"].items()
    ]
    header = ("Score", *(f"At the threshold for {float(share):.0%}" for share in shares))
    return table("Own test images referred needlessly, with 95% intervals", header, rows)


def _table(name: str, other: dict[str, Any]) -> Html:
    shares = list(next(iter(other["scores"].values()))["refused"])
    rows = [
        (
            _NAMES[score],
            with_interval(found["auroc"]),
            with_interval(found["accepted_at_95"]),
            *(with_interval(found["refused"][share]) if share in found["refused"] else "" for share in shares),
        )
        for score, found in other["scores"].items()
    ]
    header = ("Score", "AUROC", "Accepted where 95% of own are", *(f"Referred, threshold for {float(s):.0%}" for s in shares))
    return table(f"{name}: {other['num_images']:,} images, {other['num_groups']:,} groups, with 95% intervals", header, rows)


def _pictures(folder: Path, document: dict[str, Any]) -> list[Html]:
    sets = {"Own test images": document["own"], **document["others"]}
    parts = []
    for name, content in sets.items():
        shown = []
        for example in content["examples"]:
            scores = ", ".join(
                f"{_NAMES[score]} {value:,.0f}" if "mahalanobis" in score else f"{_NAMES[score]} {value:.2f}"
                for score, value in example["scores"].items()
            )
            said = f"{'referred' if example['refused'] else 'accepted'}; {scores}"
            message = f"{name}: {example['image']}, {said}"
            shown.append(photograph(folder, example["picture"], message, (said,), side=96))
        words = f"{name}: the three most and the three least like the training images"
        parts.append(join([element("p", words), element("div", *shown, class_="pictures")]))
    return parts
