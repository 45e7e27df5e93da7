"""Predictions files about the same images: how far each figure differs, with its interval, and only then its p."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nevus.data.splits import label
from nevus.errors import DataError, listed
from nevus.evaluation.evaluate import group_indices, judge
from nevus.evaluation.figures import Judged, overall, value
from nevus.evaluation.operating_point import operating_point as choose_point
from nevus.evaluation.predictions import Predictions
from nevus.metrics.comparison import Effect, compare_figures
from nevus.metrics.paired import Test, delong_test, groups_needed, holm, macro_auc_test, mcnemar_test

Document = dict[str, Any]
# Those that images' weights say without repeating them: a debiased calibration error has no place in a difference.
FIGURES = (
    *("auc", "macro_auc", "balanced_accuracy", "accuracy", "macro_f1", "recall_sd"),
    *("sensitivity", "specificity", "precision", "brier"),
)
_LESS_IS_BETTER = ("recall_sd", "brier")
_METHOD = "second - first on the same images; percentile bootstrap over {} groups, {} resamples shared by both, 95%; two-sided p"


def compare(
    first: Predictions | Path | str,
    second: Predictions | Path | str,
    *,
    operating_point: str = "youden",
    decisions: str | None = None,
    margin: float | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """The difference of each figure between two systems that answered for the same images.

    Beside the paired bootstrap, AUC has DeLong's test and each share McNemar's, in their forms for groups where these have
    several images. `groups_needed` says how many lesions or patients would show a true difference of the size seen, in four
    studies of five.

    Parameters
    ----------
    first, second
        Predictions, ours or other programs'. Between two classes each is decided at its own operating point.
    operating_point
        "youden", or a sensitivity as in "sensitivity:0.90".
    decisions
        "likeliest" or "balanced", as `evaluate` takes it; by default what each of the predictions says.
    margin
        How much worse the second may be and still count as not inferior; each figure then has a verdict.
    num_resamples, seed
        Of the bootstrap over groups. p is 2 / (num_resamples + 1) at least.

    Raises
    ------
    DataError
        The files test different images, or disagree about an image's target, the classes or the groups.

    Examples
    --------
    >>> compare("runs/a/predictions.csv", "runs/b/predictions.csv")["differences"]["auc"]["p"]  # doctest: +SKIP
    0.013
    """
    tables = [(part if isinstance(part, Predictions) else Predictions.read(part)).deciding(decisions) for part in (first, second)]
    tests = _matched(tables)
    groups, num_groups, notes = _shared_groups(tables, tests)
    protocols = [table.protocol for table in tables]
    if protocols[0] != protocols[1]:
        named = " and ".join("an unknown one" if name is None else label(name) for name in protocols)
        notes.insert(0, f"The protocols differ, {named}: the difference is that of both systems and protocols.")
    judged = [judge(table, test, choose_point(table, operating_point, None)) for table, test in zip(tables, tests, strict=True)]
    figures = [overall(part) for part in judged]
    known = [name for name in FIGURES if all(part.get(name) is not None for part in figures)]
    chosen = [{name: figure for name in known if (figure := part[name]) is not None} for part in figures]
    one, other = chosen
    effects = compare_figures(one, other, groups, judged[0].targets, num_resamples=num_resamples, seed=seed)
    method = _METHOD.format(num_groups, num_resamples)

    def difference(name: str, found: Effect) -> Document:
        document = {
            "first": value(one[name], len(groups)),
            "second": value(other[name], len(groups)),
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "n": len(groups),
            "method": method if found.p is not None else f"no interval: {found.reason}",
        }
        needed = None if found.value is None or found.error is None else groups_needed(found.value, found.error, num_groups)
        test = _classical(name, judged[0], judged[1], groups)
        tested = None if test is None else {"method": test.method, "p": test.p, "only_first_only_second": test.counts}
        verdict = {} if margin is None else {"non_inferior": _verdict(name, found, margin)}
        return {**document, "test": tested, "groups_needed": needed, **verdict}

    return {
        "first": tables[0].source,
        "second": tables[1].source,
        "protocols": protocols,
        "num_images": len(groups),
        "num_groups": num_groups,
        "margin": margin,
        "differences": {name: difference(name, found) for name, found in effects.items()},
        "notes": notes,
        "provenance": provenance or {},
    }


def compare_all(
    files: Sequence[Path | str],
    *,
    operating_point: str = "youden",
    decisions: str | None = None,
    margin: float | None = None,
    num_resamples: int = 2000,
    seed: int = 0,
    provenance: Document | None = None,
) -> Document:
    """`compare` of every pair; with several pairs, each figure's `p_holm` allows for having looked at all of them (Holm 1979)."""
    tables = [Predictions.read(path).deciding(decisions) for path in files]
    documents = [
        compare(one, other, operating_point=operating_point, margin=margin, num_resamples=num_resamples, seed=seed)
        for one, other in combinations(tables, 2)
    ]
    names = list(dict.fromkeys(name for document in documents for name in document["differences"]))
    for name in names:
        found = [document["differences"][name] for document in documents if name in document["differences"]]
        for difference, adjusted in zip(found, holm([difference["p"] for difference in found]), strict=True):
            difference["p_holm"] = adjusted
    return {"comparisons": documents, "num_pairs": len(documents), "provenance": provenance or {}}


def comparison_table(document: Document) -> str:
    """The document in words and columns, for people."""
    lines = [
        f"first: {document['first']}; second: {document['second']}",
        f"{document['num_images']} images in {document['num_groups']} groups",
        f"{'':20}{'first':>8}{'second':>8}  second - first, 95% interval; p; groups needed to tell them apart",
    ]
    lines += [_line(name, found) for name, found in document["differences"].items()]
    tests = [
        f"{name}: {found['test']['method']}, {_p(found['test']['p'])}"
        for name, found in document["differences"].items()
        if found["test"]
    ]
    verdicts = [
        f"{name}: {found['non_inferior']['words']}" for name, found in document["differences"].items() if "non_inferior" in found
    ]
    if verdicts:
        verdicts.insert(0, f"Not inferior by a margin of {document['margin']:g}?")
    needed = "Groups needed: for four studies of five to show a true difference of the size seen here, which is itself uncertain."
    return "\n".join([*lines, *tests, *verdicts, needed, *document["notes"]])


def _line(name: str, found: Document) -> str:
    if found["value"] is None:
        return f"{name:20}{'–':>8}"
    test = "–"
    if found["p"] is not None:
        many = f"  Holm {_p(found['p_holm'])}" if found.get("p_holm") not in (None, found["p"]) else ""
        test = f"[{found['low']:+.3f}, {found['high']:+.3f}]  {_p(found['p'])}{many}"
    needed = "" if found["groups_needed"] is None else f"  {found['groups_needed']:,}"
    return f"{name:20}{found['first']:8.3f}{found['second']:8.3f}  {found['value']:+.3f} {test}{needed}"


def _p(value: float | None) -> str:
    if value is None:
        return "p undefined"
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def _classical(name: str, first: Judged, second: Judged, groups: "np.ndarray[Any, Any]") -> Test | None:
    """The test that the field knows for a figure; the images that count for a share are those of its denominator."""
    if name == "auc":
        return delong_test(first.targets == 1, first.probabilities[:, 1], second.probabilities[:, 1], groups)
    if name == "macro_auc":
        return macro_auc_test(first.targets, first.probabilities, second.probabilities, groups)
    if name == "accuracy":
        right = [judged.decisions == judged.targets for judged in (first, second)]
        return mcnemar_test(right[0], right[1], groups)
    if name in ("sensitivity", "specificity") and first.flags is not None and second.flags is not None:
        rows = (first.targets == first.positive) == (name == "sensitivity")
        return mcnemar_test(
            first.flags[rows] == (name == "sensitivity"), second.flags[rows] == (name == "sensitivity"), groups[rows]
        )
    return None


def _verdict(name: str, found: Effect, margin: float) -> Document:
    """Whether the whole interval of what the second gains lies above -margin; less is better of some figures."""
    if found.value is None or found.low is None or found.high is None:
        return {"value": None, "words": "undecided: there is no interval"}
    low, high = (-found.high, -found.low) if name in _LESS_IS_BETTER else (found.low, found.high)
    if low > -margin:
        return {"value": True, "words": f"the second is not inferior: at worst it loses {max(0.0, -low):.3f}"}
    if high < -margin:
        return {"value": False, "words": f"the second is inferior: at best it loses {-high:.3f}"}
    return {"value": None, "words": f"not shown: it may lose as much as {-low:.3f}"}


def _matched(tables: list[Predictions]) -> list[pd.DataFrame]:
    """The test rows of both, in one order."""
    first, second = tables
    if first.classes != second.classes:
        raise DataError(
            f"{second.source}: its classes are {', '.join(second.classes)}; those of {first.source} are "
            f"{', '.join(first.classes)}. Only answers to one question can be compared."
        )
    one, other = (table.test.sort_values("image_id", ignore_index=True) for table in tables)
    ids = [set(one["image_id"]), set(other["image_id"])]
    problems = [f"{name}: only in {first.source}" for name in sorted(ids[0] - ids[1])]
    problems += [f"{name}: only in {second.source}" for name in sorted(ids[1] - ids[0])]
    if problems:
        remedy = "A paired test needs the same images in both: run both with one folds.csv (--folds)."
        raise DataError(listed(f"{len(problems)} images are tested in one file only:", problems, remedy=remedy))
    unequal = np.flatnonzero((one["target"] != other["target"]).to_numpy())
    if len(unequal):
        problems = [f"{one['image_id'][row]}: {one['target'][row]!r} and {other['target'][row]!r}" for row in unequal]
        raise DataError(listed(f"{first.source} and {second.source}: {len(unequal)} targets disagree:", problems))
    return [one, other]


def _shared_groups(tables: list[Predictions], tests: list[pd.DataFrame]) -> "tuple[np.ndarray[Any, Any], int, list[str]]":
    """The groups that both files name, or that one of them does."""
    named = [group_indices(test) for test in tests if "group_id" in test] or [group_indices(tests[0])]
    if not np.array_equal(named[0][0], named[-1][0]):
        raise DataError(
            f"{tables[0].source} and {tables[1].source}: they put the same images in different groups (group_id). "
            "Predict both from one manifest."
        )
    return named[0]
