"""The run's material: classes, people, sources, example photographs, and how images were dealt to folds."""

import numpy as np
import pandas as pd

from nevus.evaluation.people import NOT_KNOWN, people
from nevus.reports.markup import Html, bar, element, folded, join, table
from nevus.reports.pictures import photograph
from nevus.reports.run import Run
from nevus.reports.wording import class_name, count

_TITLES = {"age": "Age in years", "sex": "Sex", "site": "Body site"}


def material(run: Run) -> Html:
    """Counts by class, age, sex and site, sources, and four random photographs a class."""
    images, classes = run.images, run.evaluation["classes"]
    counts = images["target"].value_counts().reindex(classes, fill_value=0)
    rows = [
        (name, class_name(name), f"{counts[name]:,}", _percent(counts[name], len(images)), _bar(counts[name], counts.max()))
        for name in classes
    ]
    by_class = table("Images by class", ("Class", "Meaning", "Images", "Share", ""), rows, kind="numbers classes")
    return join([by_class, _people(run), _sources(images), _examples(run)])


def folds(run: Run) -> Html:
    """Images, groups and class counts a fold, and whether any group lies in two, checked on the files as they are now."""
    images, classes = run.images, run.evaluation["classes"]
    rows = []
    for fold, part in images.groupby("fold"):
        groups = f"{part['group_id'].nunique():,}" if "group_id" in part else "–"
        counts = part["target"].value_counts().reindex(classes, fill_value=0)
        name = "only trains" if fold == -1 else str(fold)
        rows.append((name, f"{len(part):,}", groups, *(f"{number:,}" for number in counts)))
    by_fold = table("Images by fold", ("Fold", "Images", "Groups", *classes), rows)
    return join([element("p", leak(images), class_="finding"), by_fold])


def leak(images: pd.DataFrame) -> str:
    """What groups say about the folds: how many lie in two, and how many test images have a sibling that trained."""
    if "group_id" not in images or not images["group_id"].ne("").all():
        return "Whether a patient or lesion lies in two folds cannot be checked: the groups of these images are not known."
    num_folds = images.groupby("group_id")["fold"].nunique()
    crossing = images["group_id"].map(num_folds) > 1
    tested = images["fold"] != -1
    if not crossing.any():
        return f"Checked now: no group lies in two folds ({count(len(num_folds), 'group')}, {count(len(images), 'image')})."
    siblings = int((crossing & tested).sum())
    return (
        f"Checked now: {count(int((num_folds > 1).sum()), 'group')} of {len(num_folds):,} lie in two or more folds. "
        f"{siblings:,} of {count(int(tested.sum()), 'test image')} ({100 * siblings / tested.sum():.0f}%) have a sibling, a "
        "photograph of the same patient or lesion, outside their fold, where their network trains: these it may recognise."
    )


def _people(run: Run) -> Html:
    images, positive = run.images, run.evaluation["positive"]
    parts = people(images)
    if not parts:
        return element("p", "Age, sex and site of these images are not known.", class_="note")
    header = ("Images", "Share", "", *([positive] if positive else []))
    tables = []
    for field, (values, names) in parts.items():
        title, counts = _TITLES[field], values.value_counts()
        rows = []
        for name in names:
            count_here = counts.get(name, 0)
            positives = [_percent(int((images["target"][values == name] == positive).sum()), count_here)] if positive else []
            rows.append((name, f"{count_here:,}", _percent(count_here, len(images)), _bar(count_here, counts.max()), *positives))
        among = f", and the share of {positive} among them" if positive else ""
        tables.append(table(f"Images by {title[0].lower()}{title[1:]}{among}", (title, *header), rows))
    return element("div", *tables, class_="columns")


def _sources(images: pd.DataFrame) -> Html:
    if not {"dataset", "attribution", "license"} <= set(images):
        return Html()
    rows = [
        (*(str(name) or NOT_KNOWN for name in source), f"{len(part):,}")
        for source, part in images.groupby(["dataset", "attribution", "license"])
    ]
    shown = table("Sources and licences", ("Data set", "Attribution", "Licence", "Images"), rows[:10], kind="words")
    if len(rows) <= 10:
        return shown
    rest = table("Further sources and licences", ("Data set", "Attribution", "Licence", "Images"), rows[10:200], kind="words")
    return join([shown, folded(f"{len(rows) - 10:,} further sources", rest)])


def _examples(run: Run) -> Html:
    if run.pictures_in:
        return element(
            "p", element("a", "Example photographs", href=f"#{run.pictures_in}-data"), " are shown with the run above."
        )
    if run.root is None:
        return element("p", "No example photographs: the run’s manifest is not at hand.", class_="note")
    rng = np.random.default_rng(0)
    rows = []
    for name in run.evaluation["classes"]:
        of_class = run.images[run.images["target"] == name].sort_values("image_id")
        chosen = of_class.iloc[np.sort(rng.choice(len(of_class), min(4, len(of_class)), replace=False))]
        pictures = [
            photograph(run.root, image.path, f"{class_name(name)}, image {image.image_id}", [str(image.image_id)], side=110)
            for image in chosen.itertuples()
        ]
        title = element("p", element("strong", name), " ", class_name(name) if class_name(name) != name else "")
        rows.append(element("div", title, element("div", *pictures, class_="pictures"), class_="row"))
    note = element("p", "Four photographs a class, drawn at random, not chosen.", class_="note")
    return join([element("h4", "Example photographs"), note, element("div", *rows, class_="rows")])


def _bar(part: int, largest: int) -> Html:
    return element("td", bar(part / largest), class_="bars")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"
