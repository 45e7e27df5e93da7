"""The audit as one self-contained HTML page: what crosses folds first, then pictures of copies, columns, classes, artefacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nevus import files as disk
from nevus.data.audit.pool import pool
from nevus.data.manifest import Manifest
from nevus.reports.audit_tables import artefact_tables, cleanup_tables, columns_table, contradiction_tables, crossing_table
from nevus.reports.document import document as html_document
from nevus.reports.markup import Html, element, folded, join, listing, section, table
from nevus.reports.pictures import photograph
from nevus.reports.wording import class_name, count

NUM_PAIRS = 40
NUM_LISTED = 500
TITLES = {
    "crossing": "What spans two folds",
    "copies": "Copies of one photograph",
    "columns": "Columns that betray the answer",
    "cleanup": "What a clean-up would remove",
    "artefacts": "Artefacts by class",
    "contradictions": "Contradictions and unreadable images",
    "methods": "Methods and provenance",
}


def write_audit_page(document: dict[str, Any], manifests: Sequence[Manifest], out: Path) -> Path:
    """Write the page of an audit's document to `out` and return its path.

    Parameters
    ----------
    document
        What `nevus.data.audit.audit` returned for these manifests.
    manifests
        Where the pictures are; one that cannot be read any more is shown as a frame that says so.
    out
        The HTML file to write, or a folder to write `audit.html` into. It stays under 5 MB: at most 40 pairs are shown, those
        that span folds, lesions or data sets first.

    Examples
    --------
    >>> write_audit_page(audit([manifest]), [manifest], Path("audit.html"))  # doctest: +SKIP
    """
    out = out / "audit.html" if out.is_dir() else out
    disk.write(out, audit_page(document, pool(manifests).set_index("name")))
    return out


def audit_page(document: dict[str, Any], images: pd.DataFrame) -> str:
    """The page's HTML; `images` are the pooled rows by name."""
    content = {
        "crossing": crossing_table(document),
        "copies": _copies(document, images),
        "columns": columns_table(document),
        "cleanup": cleanup_tables(document),
        "artefacts": artefact_tables(document, images),
        "contradictions": contradiction_tables(document),
        "methods": _methods(document),
    }
    contents = element("nav", listing(element("a", TITLES[name], href=f"#{name}") for name in content), aria_label="Contents")
    sections = [section(name, TITLES[name], part, level=2) for name, part in content.items()]
    body = [
        element("a", "Skip to the findings", href="#main", class_="skip"),
        element("header", element("p", "nevus", class_="kicker"), element("h1", "Audit of the data")),
        contents,
        element("main", _summary(document), *sections, id="main", tabindex="-1"),
    ]
    return html_document("Audit: " + ", ".join(dict.fromkeys(images["dataset"])), body)


def _summary(document: dict[str, Any]) -> Html:
    counts = document["counts"]
    key = {
        "Images": counts["num_images"],
        "Groups": counts["num_groups"],
        "Pairs of equal files": counts["num_exact_pairs"],
        "Pairs of near-duplicates": counts["num_near_pairs"],
        "Spanning folds": sum(counts["num_crossing"].values()),
    }
    figures = [element("div", element("dt", name), element("dd", f"{value:,}", class_="value")) for name, value in key.items()]
    return join([listing(_findings(document), class_="finding"), element("dl", *figures, class_="key")])


def _findings(document: dict[str, Any]) -> list[str]:
    """What was found, the worst first, and what to do about it."""
    counts = document["counts"]
    crossing = counts["num_crossing"]
    found = []
    if not counts["num_with_fold"]:
        found.append("No folds were given, so whether anything spans two of them is not known: add --folds folds.csv.")
    elif spans := [count(number, kind[:-1]) for kind, number in crossing.items() if number]:
        found.append(
            f"These folds leak: {', '.join(spans)} in two folds or more. A network is tested on what it was trained on. "
            "Split anew with nevus split --protocol strict, which keeps groups whole; do not merely remove images."
        )
    else:
        found.append(f"Nothing spans two folds, checked for {count(counts['num_with_fold'], 'image')}.")
    if counts["num_across"]:
        found.append(
            f"{count(counts['num_across'], 'pair')} of images are one photograph in two data sets: what has been trained on one "
            "must not be tested on the other. nevus audit --apart OUT writes the first manifest without them."
        )
    if copies := counts["num_exact_pairs"] + counts["num_near_pairs"]:
        found.append(f"{count(copies, 'pair')} of images are copies of one photograph: prepare links them into one group.")
    if names := list(dict.fromkeys(item["column"] for item in document["columns"])):
        found.append(f"Never use as an input, since they betray the answer: {', '.join(names)}.")
    if document["cleanup"] and document["cleanup"]["num_removed"]:
        found.append(document["cleanup"]["words"])
    if document["unreadable"]:
        found.append(f"{count(len(document['unreadable']), 'image')} could not be read and were left out.")
    return found


def _copies(document: dict[str, Any], images: pd.DataFrame) -> Html:
    pairs = [(first, second, None) for first, second in document["exact_duplicates"]]
    pairs += [(first, second, score) for first, second, score in document["near_duplicates"]]
    if not pairs:
        return element("p", "No two images are copies of one photograph.")
    ordered = sorted(pairs, key=lambda pair: (*_harmless(pair[0], pair[1], images, document["folds"]), pair[2] or 1.0))
    shown = [_pair(*pair, images, document["folds"]) for pair in ordered[:NUM_PAIRS]]
    num_exact, num_near = len(document["exact_duplicates"]), len(document["near_duplicates"])
    words = (
        f"{count(num_exact, 'pair')} of equal files, {num_near:,} more of the same photograph: re-saved, resized, turned, "
        "cropped a little or exposed anew. The score is the correlation of their fine details, 1 for a perfect copy. Pairs of "
        "two data sets or groups come first, then those that span folds, then the lowest scores."
    )
    rest = [(first, second, "equal bytes" if score is None else f"{score:.3f}") for first, second, score in ordered[NUM_PAIRS:]]
    rest = rest[:NUM_LISTED]
    more = table(f"{len(rest)} of {len(pairs) - NUM_PAIRS:,} further pairs", ("Image", "Copy", "Score"), rest) if rest else Html()
    return join([element("p", words), element("div", *shown, class_="rows"), folded("Further pairs", more) if rest else Html()])


def _harmless(first: str, second: str, images: pd.DataFrame, folds: dict[str, list[str]]) -> tuple[bool, bool, bool]:
    """Same data set, same group, same fold: sorted, what nobody can know from the tables comes first."""
    ours, theirs = images.loc[first], images.loc[second]
    same_fold = not (folds.get(first) and folds.get(second)) or folds[first] == folds[second]
    same_dataset = bool(ours["dataset"] == theirs["dataset"])
    return same_dataset, same_dataset and bool(ours["group_id"] == theirs["group_id"]), same_fold


def _pair(first: str, second: str, score: float | None, images: pd.DataFrame, folds: dict[str, list[str]]) -> Html:
    same_dataset, same_group, same_fold = _harmless(first, second, images, folds)
    marks = ["spans folds"] * (not same_fold) + ["two data sets"] * (not same_dataset)
    marks += ["two groups"] * (same_dataset and not same_group)
    said = "equal bytes" if score is None else f"score {score:.3f}"
    title = element("p", join([element("strong", said), *(element("span", mark, class_="badge") for mark in marks)], " "))
    pictures = [_picture(name, images, folds) for name in (first, second)]
    style = "grid-template-columns: repeat(2, 1fr)"
    return element("div", title, element("div", *pictures, class_="pictures", style=style), class_="row")


def _picture(name: str, images: pd.DataFrame, folds: dict[str, list[str]]) -> Html:
    row = images.loc[name]
    fold = f"fold {', '.join(folds[name])}" if name in folds else "no fold"
    diagnosis = class_name(str(row["diagnosis"])) if row["diagnosis"] else "diagnosis not known"
    lesion = f"lesion {row['lesion_id']}" if row["lesion_id"] else "lesion not known"
    caption = [element("strong", name, class_="id"), f" {row['dataset']}, {lesion}, {fold}, {diagnosis}"]
    return photograph(row["file"].parent, str(row["file"].name), f"Image {name}", caption, side=140)


def _methods(document: dict[str, Any]) -> Html:
    compared, origin = document["counts"]["num_compared"], document["provenance"]
    words = (
        "Copies are sought among images whose fingerprints (26 numbers that flips and quarter turns leave alone) lie close "
        f"together: {compared['fingerprint']:,} pairs of {document['counts']['num_images']:,} images. "
        f"{compared['spectrum']:,} of these have similar coarse spectra in one of eight orientations, and "
        f"{compared['alignment']:,} agree in their fine details after a small shift and scale. Another photograph of the same "
        "lesion is not a copy."
    )
    rows = [(item["path"], item["sha256"][:12], f"{item['num_images']:,}") for item in origin["manifests"]]
    facts = [
        f"Command: {origin['command']}",
        f"nevus {origin['nevus']}, commit {origin['commit'] or 'not known'}",
        origin["date"],
    ]
    return join([element("p", words), table("Manifests", ("File", "SHA-256", "Images"), rows), listing(facts, class_="notes")])
