"""Whether the figures hold for everyone: a forest plot a figure, tables with counts, gaps and the worst group in words."""

from typing import Any

from nevus.reports import figures
from nevus.reports.figures import Axis, Estimate
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, number, with_interval

_SHOWN = {"sensitivity": "Sensitivity", "specificity": "Specificity", "auc": "AUC"}
_AXES = {
    "sensitivity": Axis("Sensitivity (share of positives flagged)", 0.0, 1.0),
    "specificity": Axis("Specificity (share of others not flagged)", 0.0, 1.0),
    "auc": Axis("AUC of the positive class", 0.0, 1.0),
}


def subgroups(run: Run) -> Html:
    """Every group of every field with intervals and counts; nothing for evaluations that were made without them."""
    document = run.evaluation.get("subgroups")
    if document is None:
        return Html()
    if document["reason"]:
        return element("p", f"No subgroups: {document['reason']}.", class_="note")
    drawn = [_forest(run, document, name) for name in _SHOWN if _whole(run, name)["value"] is not None]
    tables = [_table(field) for field in document["fields"]]
    return join(
        [
            listing(_words(document), class_="plain"),
            element("p", _note(document), class_="note"),
            element("div", *drawn, class_="figures"),
            *tables,
            folded("How far each group lies from all other images", *[_gaps(field) for field in document["fields"]]),
        ]
    )


def _whole(run: Run, name: str) -> dict[str, Any]:
    """The figure of all images."""
    metrics = run.evaluation["metrics"]
    if name == "auc" and "auc" not in metrics:
        return dict(run.evaluation["per_class"][run.evaluation["positive"]]["auc"])
    return dict(metrics[name])


def _words(document: dict[str, Any]) -> list[str]:
    """The worst group of each figure, and which gaps are more than chance."""
    titles = {field["field"]: field["title"] for field in document["fields"]}
    sentences = []
    for name, worst in document["worst"].items():
        if worst is None:
            continue
        gap = worst["gap"]
        against = ""
        if gap and gap["low"] is not None:
            against = f": {gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}] against all other images"
        sentences.append(
            f"Lowest {_SHOWN[name] if name == 'auc' else name}: {titles[worst['field']].lower()} {worst['name']}, "
            f"{worst['figure']['value']:.3f} [{_limit(worst['figure']['low'])}, {_limit(worst['figure']['high'])}]{against}."
        )
    clear = [
        f"{titles[field['field']].lower()} {group['name']}, {_SHOWN[name] if name == 'auc' else name} {gap['value']:+.3f}"
        for field in document["fields"]
        for group in field["groups"]
        for name, gap in group["gaps"].items()
        if gap["p_holm"] is not None and gap["p_holm"] < 0.05
    ]
    if clear:
        sentences.append(f"More than chance even among {document['num_gaps']} gaps looked at (Holm): {'; '.join(clear)}.")
    elif document.get("least_p_holm", 0.0) >= 0.05:
        sentences.append(
            f"Too few resamples to tell any of {document['num_gaps']} gaps from chance (Holm): look at their intervals."
        )
    else:
        sentences.append(
            f"None of {document['num_gaps']} gaps looked at is more than chance (Holm), which does not show that there is none."
        )
    return sentences


def _limit(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _note(document: dict[str, Any]) -> str:
    return (
        f"Positive is {class_name(document['positive'])}; every group is judged at the same threshold. Small groups, of under "
        f"{document['min_images']} images or {document['min_positives_and_others']} of either kind, are marked and hollow in the "
        "figures: their figures may be far off, and no gap of theirs is tested."
    )


def _forest(run: Run, document: dict[str, Any], name: str) -> Html:
    estimates = []
    for field in document["fields"]:
        estimates.append(Estimate(f"{field['title']}"))
        for group in field["groups"]:
            figure = group["figures"][name]
            value, low, high = (float("nan") if figure[key] is None else figure[key] for key in ("value", "low", "high"))
            estimates.append(Estimate(f"{group['name'][:24]} ({figure['n']:,})", value, low, high, not group["small"]))
    figure = _whole(run, name)
    limits = [figure["value"] if figure[key] is None else figure[key] for key in ("value", "low", "high")]
    drawing = figures.forest(f"{_SHOWN[name]} by group", _AXES[name], estimates, Estimate("all", *limits))
    known = [e for e in estimates if e.value == e.value and e.sure]
    said = "no group is large enough"
    if known:
        lowest, highest = (pick(known, key=lambda e: e.value) for pick in (min, max))
        said = f"from {lowest.value:.3f} ({lowest.name}) to {highest.value:.3f} ({highest.name}) among groups that are not small"
    counted = {"sensitivity": "positives", "specificity": "others", "auc": "images"}[name]
    caption = (
        f"{_SHOWN[name]} by group, number of {counted} in brackets; bars are 95% intervals, hollow dots small groups, "
        "the dotted line and band all images."
    )
    return inline(drawing, f"{run.anchor}-subgroups-{name}", f"{_SHOWN[name]} by group: {said}.", caption)


def _table(field: dict[str, Any]) -> Html:
    rows = [
        (
            _name(group),
            f"{group['num_images']:,}",
            f"{group['num_groups']:,}",
            f"{group['num_positives']:,}",
            *(with_interval(group["figures"][name]) for name in (*_SHOWN, "accuracy")),
            number(group["figures"]["stated_minus_observed"]["value"], "undefined in this group"),
        )
        for group in field["groups"]
    ]
    header = (field["title"], "Images", "Groups", "Positives", *_SHOWN.values(), "Accuracy", "Stated − observed share")
    left_out = f" ({field['num_left_out']} rarer ones left out)" if field["num_left_out"] else ""
    return table(f"By {field['title'][0].lower()}{field['title'][1:]}, with 95% intervals{left_out}", header, rows)


def _name(group: dict[str, Any]) -> Html:
    """The group's name, marked where it is small; its row says how many it has."""
    mark = [" ", element("span", "small", class_="small")] if group["small"] else []
    return join([group["name"], *mark])


def _gaps(field: dict[str, Any]) -> Html:
    rows = [(group["name"], *(_gap(group["gaps"].get(name), group["small"]) for name in _SHOWN)) for group in field["groups"]]
    caption = f"{field['title']}: each group minus all other images, 95% bootstrap interval, p by Holm"
    return table(caption, (field["title"], *_SHOWN.values()), rows)


def _gap(gap: dict[str, Any] | None, small: bool) -> str:
    if gap is None or gap["value"] is None or gap["low"] is None:
        return "small group" if small else "–"
    return f"{gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}], p {gap['p_holm']:.3f}"
