"""Whether the figures hold for everyone: by sex, age, site, skin type and source, each against the rest, small ones marked."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.evaluation.figures import value
from nevus.evaluation.people import NOT_KNOWN, divided
from nevus.evaluation.tested import Document, Tested
from nevus.metrics.bootstrap import Floats, WeightedFigure, resample
from nevus.metrics.classification import ratio
from nevus.metrics.comparison import effect
from nevus.metrics.intervals import Auc, Share
from nevus.metrics.paired import holm

MIN_IMAGES, MIN_OF_A_KIND = 30, 10
# Columns of a predictions file and what they are called; any of them may be missing.
FIELDS = {
    "sex": "Sex",
    "age_years": "Age in years",
    "site": "Body site",
    "skin_type": "Skin type (Fitzpatrick)",
    "dataset": "Data set",
    "attribution": "Image source",
    "image_type": "Kind of image",
    "dx_type": "How the diagnosis was made",
}
_MOST = 20
COMPARED = ("sensitivity", "specificity", "auc")


def subgroups(tested: Tested) -> Document:
    """The section `subgroups`: each field's groups with figures, intervals and counts, the gaps to the rest, and the worst.

    A gap is the group's figure minus that of all other images, both on the same resamples; its `p_holm` allows for all gaps of
    the section. A group is `small` below 30 images, 10 positives or 10 others: its figures are shown and say little, and it has
    no gaps, since resamples of a few images that are all right show no doubt.
    """
    judged = tested.judged
    if judged.positive is None:
        return {"reason": "no class is the positive one, so that there is no sensitivity to compare"}
    fields = [_field(tested, column) for column in FIELDS if column in tested.test and not _repeats(tested.test, column)]
    known = [field for field in fields if field is not None]
    if not known:
        return {"reason": f"the file has none of the columns {', '.join(FIELDS)} with at least two groups"}
    members = [(field, group, rows) for field, parts in known for group, rows in parts]
    _add_gaps(tested, [(group, rows) for _, group, rows in members])
    num_gaps = sum(gap["p"] is not None for _, group, _ in members for gap in group["gaps"].values())
    return {
        "reason": None,
        "positive": tested.predictions.positive,
        "min_images": MIN_IMAGES,
        "min_positives_and_others": MIN_OF_A_KIND,
        "num_gaps": num_gaps,
        # The least that Holm's first p can be: a resampled p is never below 2 / (R + 1).
        "least_p_holm": min(1.0, num_gaps * 2 / (tested.num_resamples + 1)),
        "fields": [{**field, "groups": [group for group, _ in parts]} for field, parts in known],
        "worst": {name: _worst(name, members) for name in COMPARED},
    }


def _repeats(test: pd.DataFrame, column: str) -> bool:
    """Where every data set has one source of its own, the sources are the data sets: their gaps would be counted twice."""
    if column != "attribution" or "dataset" not in test:
        return False
    return len(test[["dataset", "attribution"]].drop_duplicates()) == test["dataset"].nunique() == test["attribution"].nunique()


Groups = list[tuple[Document, NDArray[np.bool_]]]


def _field(tested: Tested, column: str) -> tuple[Document, Groups] | None:
    """A field's groups with their figures; None where everyone is in one group."""
    names, values = divided(tested.test, column)
    present = [name for name in values if (names == name).any()]
    known = [name for name in present if name != NOT_KNOWN]
    left_out = len(known) - _MOST
    order = known[:_MOST] + present[len(known) :]
    if len(order) < 2:
        return None
    parts = [(name, (names == name).to_numpy()) for name in order]
    measured = tested.measure(
        {f"{name}/{key}": figure for name, rows in parts for key, figure in _figures(tested, rows).items()},
        "no positives or no others in this group, or no operating point",
    )
    document = {"field": column, "title": FIELDS[column], "num_left_out": max(0, left_out)}
    return document, [(_group(tested, name, rows, measured), rows) for name, rows in parts]


def _figures(tested: Tested, rows: NDArray[np.bool_]) -> dict[str, WeightedFigure | None]:
    judged = tested.judged
    positive = judged.positive or 0
    truth, scores = judged.targets == positive, judged.probabilities[:, positive]
    flags = judged.flags
    return {
        "sensitivity": None if flags is None else Share(flags, truth & rows),
        "specificity": None if flags is None else Share(~flags, ~truth & rows),
        "auc": Auc(truth, scores, rows),
        "accuracy": None if judged.decisions is None else Share(judged.decisions == judged.targets, rows),
        "stated_minus_observed": _mean(scores - truth, rows) if judged.sum_to_one else None,
    }


def _group(tested: Tested, name: str, rows: NDArray[np.bool_], measured: dict[str, Document]) -> Document:
    positives = int((tested.judged.targets[rows] == tested.judged.positive).sum())
    size = int(rows.sum())
    lacks = [
        f"{count} {what}, fewer than {least}"
        for count, what, least in (
            (size, "images", MIN_IMAGES),
            (positives, "positives", MIN_OF_A_KIND),
            (size - positives, "others", MIN_OF_A_KIND),
        )
        if count < least
    ]
    return {
        "name": name,
        "num_images": size,
        "num_groups": len(np.unique(tested.groups[rows])),
        "num_positives": positives,
        "small": bool(lacks),
        "why_small": "; ".join(lacks) or None,
        "figures": {key: {**measured[f"{name}/{key}"], "n": _count(key, size, positives)} for key in _NAMES},
        "gaps": {},
    }


_NAMES = ("sensitivity", "specificity", "auc", "accuracy", "stated_minus_observed")


def _count(key: str, size: int, positives: int) -> int:
    return {"sensitivity": positives, "specificity": size - positives}.get(key, size)


def _add_gaps(tested: Tested, members: Groups) -> None:
    """Each group's figures minus those of all other images, from one set of resamples, with Holm's p over all of them."""
    gaps: dict[tuple[int, str], WeightedFigure] = {}
    for place, (group, rows) in enumerate(members):
        if group["small"]:
            continue
        inside, outside = _figures(tested, rows), _figures(tested, ~rows)
        for name in COMPARED:
            if (one := inside[name]) is not None and (other := outside[name]) is not None:
                gaps[place, name] = _difference(one, other)
    flat = {f"{place}/{name}": figure for (place, name), figure in gaps.items()}
    values = resample(flat, tested.groups, tested.judged.targets, num_resamples=tested.num_resamples, seed=tested.seed)
    found = {}
    for key, figure in flat.items():
        number = value(figure, len(tested.test))
        found[key] = effect(float("nan") if number is None else number, values[key], tested.num_resamples)
    adjusted = dict(zip(found, holm([part.p for part in found.values()]), strict=True))
    for place, name in gaps:
        part, key = found[f"{place}/{name}"], f"{place}/{name}"
        gap = {"value": part.value, "low": part.low, "high": part.high, "p": part.p, "p_holm": adjusted[key]}
        members[place][0]["gaps"][name] = {**gap, "reason": part.reason or None}


def _worst(name: str, members: list[tuple[Document, Document, NDArray[np.bool_]]]) -> Document | None:
    """The group with the lowest figure among those that are not small; None where all are small or have none."""
    ranked = [
        (group["figures"][name]["value"], field, group)
        for field, group, _ in members
        if not group["small"] and group["figures"][name]["value"] is not None
    ]
    if not ranked:
        return None
    _, field, group = min(ranked, key=lambda entry: entry[0])
    return {"field": field["field"], "name": group["name"], "figure": group["figures"][name], "gap": group["gaps"].get(name)}


def _mean(values: Floats, rows: NDArray[np.bool_]) -> WeightedFigure:
    kept, counted = np.where(rows, values, 0.0), rows.astype(np.float64)
    return lambda weights: ratio(weights @ kept, weights @ counted)


def _difference(one: WeightedFigure, other: WeightedFigure) -> WeightedFigure:
    return lambda weights: one(weights) - other(weights)
