"""The worst mistakes as pictures: first the positives that were missed, then the other confident errors."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from nevus.evaluation.decisions import decide_rows
from nevus.reports.markup import Html, element, join
from nevus.reports.pictures import photograph
from nevus.reports.run import Run
from nevus.reports.wording import class_name, count

NUM_SHOWN = 6


def mistakes(run: Run) -> Html:
    """Pictures of the most confident wrong out-of-fold answers, with what was known about each."""
    document = run.evaluation
    if document["confusion"] is None:
        reason = document["operating_point"]["reason"] or "there is no operating point"
        return element("p", f"Nothing was decided, so nothing was mistaken: {reason}.", class_="note")
    answers = _answers(run)
    wrong = answers[answers["decision"] != answers["target"]].sort_values(["certainty", "image_id"], ascending=[False, True])
    missed = wrong["target"] == document["positive"]
    parts = []
    if document["positive"] is not None:
        num_positive = int((answers["target"] == document["positive"]).sum())
        how = " (another diagnosis was more probable)" if len(document["classes"]) > 2 else ""
        title = f"Missed {class_name(document['positive'])}{how}: {int(missed.sum()):,} of {count(num_positive, 'image')}"
        parts.append(_gallery(run, title, wrong[missed]))
    others = f"{'Other w' if parts else 'W'}rong answers: {int((~missed).sum()):,} of {count(len(answers), 'image')}"
    parts.append(_gallery(run, others, wrong[~missed]))
    return join(parts)


def _answers(run: Run) -> pd.DataFrame:
    """Test rows with `decision`, `probability` (of the decision) and `certainty` (how far beyond the point of doubt)."""
    document, tested = run.evaluation, run.predictions.test
    probabilities, classes = run.predictions.probabilities(tested), np.array(document["classes"])
    known = [column for column in run.images if column not in tested]
    answers: pd.DataFrame = tested.merge(run.images[["image_id", *known]], on="image_id", how="left", validate="one_to_one")
    if len(classes) > 2:
        decided = decide_rows(run.predictions, tested)
        chosen = np.where(decided == len(classes), probabilities.argmax(axis=1), decided)
        answers["certainty"] = probabilities[np.arange(len(chosen)), chosen]
    else:
        positive = list(classes).index(document["positive"])
        thresholds = tested["fold"].astype(str).map(document["operating_point"]["thresholds"]).to_numpy(dtype=float)
        above = probabilities[:, positive] - thresholds
        chosen = np.where(above >= 0, positive, 1 - positive)
        # A threshold of 0.05 leaves little room below it: distance counts as a share of the room there is.
        room = np.where(above >= 0, 1 - thresholds, thresholds)
        answers["certainty"] = np.abs(above) / np.maximum(room, 1e-9)
    answers["decision"] = classes[chosen]
    answers["probability"] = probabilities[np.arange(len(chosen)), chosen]
    return answers


def _gallery(run: Run, title: str, wrong: pd.DataFrame) -> Html:
    heading = element("h4", title)
    if wrong.empty:
        return join([heading, element("p", "None.")])
    pictures = []
    for row in wrong.head(NUM_SHOWN).to_dict("records"):
        truth, decision = str(row["target"]), str(row["decision"])
        caption = [
            element("strong", f"{truth} called {decision}"),
            element("span", f"p({decision}) = {row['probability']:.2f}"),
            element("span", str(row["image_id"]), class_="id"),
            element("span", _metadata(row)),
        ]
        message = f"Image {row['image_id']}: {class_name(truth)} that was taken for {class_name(decision)}"
        pictures.append(photograph(run.root, str(row.get("path") or ""), message, caption, side=180))
    return join([heading, element("div", *pictures, class_="pictures large")])


def _metadata(row: dict[Hashable, Any]) -> str:
    """`63 years, male, torso`, each as far as it is known."""
    age = row.get("age_years")
    years = f"{float(age):g} years" if pd.notna(age) and age != "" else "age not known"
    rest = (str(row[name]) if row.get(name) and pd.notna(row[name]) else f"{name} not known" for name in ("sex", "site"))
    return ", ".join([years, *rest])
