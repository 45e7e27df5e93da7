"""The audit page's tables: crossings, columns, clean-up, artefacts, contradictions."""

from pathlib import Path
from typing import Any

import pandas as pd

from nevus.reports.markup import Html, bar, element, folded, join, listing, table
from nevus.reports.pictures import photograph
from nevus.reports.wording import class_name, count

_FIRST, _MOST = 8, 500


def crossing_table(document: dict[str, Any]) -> Html:
    """What spans folds, some of each kind at once and up to five hundred folded away."""
    if not document["counts"]["num_with_fold"]:
        return element("p", "No folds were given.")
    kinds = {kind: items for kind, items in document["crossing"].items() if items}
    if not kinds:
        return element("p", "Nothing.")
    parts = []
    for kind, items in kinds.items():
        rows = [(item["name"], _some(item["ids"]), ", ".join(item["folds"])) for item in items]
        header = ("Name", "Images", "Folds")
        parts.append(table(f"{kind.capitalize()} in two folds: {len(items):,}", header, rows[:_FIRST], kind="words"))
        if rest := rows[_FIRST:_MOST]:
            more = table(f"Further {kind}, up to {_MOST:,}", header, rest, kind="words")
            parts.append(folded(f"{len(items) - _FIRST:,} further {kind}", more))
    return join(parts)


def columns_table(document: dict[str, Any]) -> Html:
    """Forbidden and leaking columns with their reasons, then how much every column tells."""
    rows = [(item["column"], item["kind"], item["reason"], Path(item["table"]).name) for item in document["columns"]]
    found = (
        table("Never an input", ("Column", "Kind", "Why", "Table"), rows, kind="words")
        if rows
        else element("p", "No column is forbidden, and none tells the diagnosis suspiciously well.")
    )
    measured = sorted(document["columns_measured"], key=lambda item: -(item["information"] or 0))
    told = [
        (item["column"], _percent(item["information"]), _bar(item["information"]), Path(item["table"]).name)
        for item in measured
        if item["information"] is not None
    ]
    note = element(
        "p",
        "How much of the uncertainty about the diagnosis one column alone takes away, each group predicted from the others. "
        "From 17% on it is called leaking: in HAM10000 age takes 11%, the column dx_type 22%.",
        class_="note",
    )
    return join([found, table("What each column tells", ("Column", "Share", "", "Table"), told) if told else Html(), note])


def cleanup_tables(document: dict[str, Any]) -> Html:
    """The class mix and difficulty of what would stay and go."""
    found = document["cleanup"]
    if not found:
        return element("p", "No folds were given, so there is nothing to remove from them.")
    words = element("p", found["words"], class_="lead")
    if not found["num_removed"]:
        return words
    rows = [(name, class_name(name), *_both(sides)) for name, sides in found["class_mix"].items()]
    rows.append(("siblings", "images of lesions with several images", *_both(found["multi_image_lesions"])))
    header = ("Class", "Meaning", "Stays", "Share", "Goes", "Share")
    parts = [words, table("Class mix of what stays and of what goes", header, rows, kind="numbers classes")]
    if found["difficulty"]:
        names = {"error_rate": "Error rate", "probability_of_truth": "Mean probability of the true class"}
        told = [
            (names[name], f"{item['kept']:.3f}", f"{item['removed']:.3f}", _interval(item["difference"]))
            for name, item in found["difficulty"].items()
            if item["difference"]
        ]
        parts.append(table(f"Difficulty, {found['source']}", ("Measure", "Stays", "Goes", "Difference"), told))
    return join(parts)


def artefact_tables(document: dict[str, Any], images: pd.DataFrame) -> Html:
    """For each data set: warnings, shares by class, and the clearest example of each artefact."""
    parts: list[Html] = []
    for found in document["artefacts"]["datasets"]:
        parts.append(element("h3", found["dataset"] or "No data set named"))
        parts.append(listing(found["warnings"], class_="notes") or element("p", "No artefact goes with a class."))
        signs = found["signs"]
        classes = list(signs[0]["by_class"]) if signs else []
        rows = [(sign["title"], _share(sign["overall"]), *(_share(sign["by_class"][name]) for name in classes)) for sign in signs]
        caption = "Share of images with each artefact, percent (95% interval)"
        parts.append(table(caption, ("Artefact", "All", *classes), rows))
        pictures = [_example(sign, images) for sign in signs if sign["examples"]]
        parts.append(element("div", *pictures, class_="pictures large"))
    notes = [
        f"{sign['title']}: {sign['measures']}, from {sign['cut']:g}" + (f" ({sign['weakness']})" if sign["weakness"] else "")
        for sign in (document["artefacts"]["datasets"] or [{"signs": []}])[0]["signs"]
    ]
    notes += [f"{name} is not reported: {reason}" for name, reason in document["artefacts"]["left_out"].items()]
    return join([*parts, folded("How each is measured, and how far to trust it", listing(notes, class_="notes"))])


def contradiction_tables(document: dict[str, Any]) -> Html:
    """Lesions with two diagnoses or patients, and images that could not be read."""
    parts = []
    for kind, items in document["contradictions"].items():
        if items:
            rows = [(item["lesion_id"], item["dataset"], ", ".join(item["values"]), _some(item["ids"])) for item in items[:_MOST]]
            title = f"{kind.replace('_', ' ').capitalize()}: {len(items):,}"
            parts.append(table(title, ("Lesion", "Data set", "Values", "Images"), rows, kind="words"))
    if document["unreadable"]:
        title = f"Unreadable: {count(len(document['unreadable']), 'image')}"
        parts.append(table(title, ("Image", "Reason"), document["unreadable"][:_MOST], kind="words"))
    return join(parts) if parts else element("p", "No lesion has two diagnoses or two patients, and every image could be read.")


def _example(sign: dict[str, Any], images: pd.DataFrame) -> Html:
    name = sign["examples"][0]
    row = images.loc[name]
    title = sign["title"]
    caption = [element("strong", title), element("span", name, class_="id")]
    return photograph(row["file"].parent, str(row["file"].name), f"Clearest find of {title}: image {name}", caption, side=120)


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:6]) + (f" and {len(ids) - 6} more" if len(ids) > 6 else "")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _bar(share: float) -> Html:
    return element("td", bar(max(0.0, share)), class_="bars")


def _both(sides: dict[str, Any]) -> tuple[str, str, str, str]:
    kept, removed = sides["kept"], sides["removed"]
    return f"{kept['count']:,}", _percent(kept["share"]), f"{removed['count']:,}", _percent(removed["share"])


def _interval(item: dict[str, float]) -> str:
    return f"{item['value']:+.3f} [{item['low']:+.3f}, {item['high']:+.3f}]"


def _share(item: dict[str, Any]) -> Html:
    if item["value"] is None:
        return element("span", "–")
    limits = element("span", f" ({100 * item['low']:.1f}–{100 * item['high']:.1f})", class_="interval")
    return join([f"{100 * item['value']:.1f}", limits])
