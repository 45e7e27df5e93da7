"""Predictions of other programs: the ISIC challenges' layouts, known by their header, and logits, as a table of ours."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from nevus.data import taxonomy
from nevus.data.image_ids import plain_id
from nevus.data.sources import ONE_HOT
from nevus.errors import DataError, listed
from nevus.evaluation.prediction_rows import (
    TOLERANCE,
    Problems,
    rows_where,
    seem_no_logits,
    to_numbers,
    value_problems,
    value_remedy,
    with_rows,
)
from nevus.evaluation.truth import UNKNOWN, Truth

PREFIX = "p_"
_TESTED = "Nothing was evaluated: figures of the images that are answered would flatter a system that leaves out others."


@dataclass
class Answers:
    """Rows of `image_id, target, p_<class>…` and perhaps more, those of the file in its order.

    `by_column` where each class is decided by its own column above 0.5; `left_out` (N,) are rows that do not count.
    """

    frame: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    by_column: bool = False
    left_out: NDArray[np.bool_] | None = None


def read_answers(table: pd.DataFrame, source: str, truth: Truth | None = None, *, logits: bool = False) -> Answers:
    """A table of ours from one of any layout, its targets joined from `truth`.

    Parameters
    ----------
    table
        Every cell text, as `read_table` gives it.
    source
        What errors call the table.
    truth
        The answers. The challenges' layouts have none of their own; to ours it adds targets, groups and metadata.
    logits
        Whether the numbers are logits: softmax makes probabilities of them, of a single score the logistic function.

    Raises
    ------
    DataError
        The header is of no known layout, or rows, images or values are at fault: all are named.
    """
    names = set(map(str, table.columns))
    layout = next((read for fits, read in LAYOUTS.values() if fits(names)), None)
    if layout is None:
        raise DataError(
            f"{source}: no layout that is known here. It has {', '.join(map(str, table.columns))}. Expected image_id, target and "
            "p_<class> for each class; image and MEL, NV, … (ISIC 2018, 2019); or image_name or isic_id and target "
            "(ISIC 2020, 2024)."
        )
    return layout(table, source, truth, logits)


def _own(table: pd.DataFrame, source: str, truth: Truth | None, logits: bool) -> Answers:
    columns = [name for name in table.columns if str(name).startswith(PREFIX)]
    if truth is None and "target" not in table:
        raise DataError(f"{source}: no column target, and no ground truth (--truth). It has {', '.join(table.columns)}.")
    answers = Answers(table.copy())
    if logits and columns:
        numbers = to_numbers(table[columns])
        _refuse(source, value_problems(table, numbers, logits=True), value_remedy(numbers, logits=True))
        answers.frame[columns] = _probabilities(numbers, source, answers.notes)
    if truth is None:
        return answers
    frame = answers.frame
    ids = frame["image_id"].astype(str)
    problems = [(row, f"image_id {ids[row]!r}: is not in {truth.source}") for row in rows_where(~ids.isin(truth.frame.index))]
    _refuse(source, problems, _TESTED)
    found = truth.answers(ids, [name.removeprefix(PREFIX) for name in columns])
    if "target" in frame:
        wrong = rows_where((found != frame["target"]) & (found != ""))
        texts = [(row, f"target {frame['target'][row]!r}: {truth.source} says {found[row]!r}") for row in wrong]
        _refuse(source, texts, "One of the files is of other images or classes; nothing was evaluated.")
    else:
        frame["target"] = found
    tested = ids[frame["split"] != "validation"] if "split" in frame else ids
    if untested := len(truth.frame.index.difference(pd.Index(tested))):
        answers.notes.append(
            f"{untested:,} images of {truth.source} are not tested in this file; the figures are of those that are."
        )
    described = truth.describing(ids)
    for name in described.columns.difference(frame.columns):
        frame[name] = described[name]
    return _counted(answers, truth)


def _columns(table: pd.DataFrame, source: str, truth: Truth | None, logits: bool) -> Answers:
    """`image,MEL,NV,…`: rows need not sum to 1; each class is decided by its own column, and the whole by the largest."""
    columns = [name for name in ONE_HOT if name in table]
    if extra := [str(name) for name in table.columns if name not in (*columns, "image")]:
        raise DataError(f"{source}: column {', '.join(extra)} is no class of the challenges: {', '.join(ONE_HOT)}.")
    if {"AK", "AKIEC"} <= set(columns):
        raise DataError(f"{source}: has both AK and AKIEC, which are one class. Leave out one of them.")
    known = _truth(truth, source, "image,MEL,NV,…")
    answers = Answers(pd.DataFrame({"image_id": table["image"].map(plain_id)}), by_column=True)
    classes = {name: taxonomy.diagnosis(name) or UNKNOWN for name in columns}
    numbers = _numbers(table, columns, source, answers, known, logits)
    targets = known.answers(answers.frame["image_id"], list(classes.values()))
    if unheard := sorted(set(targets) - {"", *classes.values()}):
        raise DataError(f"{source}: has no column for {', '.join(unheard)}, of which {known.source} has images.")
    if UNKNOWN in classes.values() and not (targets == UNKNOWN).any():
        numbers = numbers.drop(columns=UNKNOWN.upper())
        answers.notes.append(
            f"No image is of the class {UNKNOWN.upper()}: its column is left out, and the largest of the others decides."
        )
    for name in map(str, numbers):
        answers.frame[PREFIX + classes[name]] = numbers[name]
    sums = np.abs(numbers.sum(axis=1) - 1) <= TOLERANCE
    answers.notes.append(
        "The ISIC challenge's layout: as in its scorer each class's own figures are those of its column above 0.5, and the "
        "decision is the largest column, none where several are largest. "
        + (
            "The rows sum to 1."
            if sums.all()
            else f"{int((~sums).sum()):,} of {len(sums):,} rows do not sum to 1, so that they are scores and no probabilities: "
            "Brier score, log-loss and calibration have no meaning."
        )
    )
    return _joined(answers, targets, known)


def _score(table: pd.DataFrame, source: str, truth: Truth | None, logits: bool) -> Answers:
    """`image_name,target` or `isic_id,target`: one score, of the image being malignant."""
    ids = next(name for name in ("image_name", "isic_id") if name in table)
    known = _truth(truth, source, f"{ids},target")
    answers = Answers(pd.DataFrame({"image_id": table[ids].map(plain_id)}))
    score = _numbers(table, ["target"], source, answers, known, logits)["target"]
    answers.frame = answers.frame.assign(p_benign=1 - score, p_malignant=score)
    answers.notes.append("The ISIC challenge's layout: its target is taken as the probability that the image is malignant.")
    return _joined(answers, known.answers(answers.frame["image_id"], ["benign", "malignant"]), known)


# Whether a header's names are of the layout, and what reads it; the first that fits.
LAYOUTS: dict[str, tuple[Callable[[set[str]], bool], Callable[[pd.DataFrame, str, Truth | None, bool], Answers]]] = {
    "own": (lambda names: "image_id" in names, _own),
    "one-hot": (lambda names: "image" in names and bool(names & set(ONE_HOT)), _columns),
    "score": (lambda names: names in ({"image_name", "target"}, {"isic_id", "target"}), _score),
}


def _truth(truth: Truth | None, source: str, layout: str) -> Truth:
    if truth is None:
        raise DataError(
            f"{source}: the layout {layout} has no answers in it. Give them with --truth: a ground truth or a manifest."
        )
    return truth


def _numbers(table: pd.DataFrame, columns: list[str], source: str, answers: Answers, truth: Truth, logits: bool) -> pd.DataFrame:
    """The columns as numbers from 0 to 1; every fault of them and of the images is raised at once."""
    ids, numbers = answers.frame["image_id"], to_numbers(table[columns])
    problems = value_problems(table, numbers, logits=logits, sums=False)
    remedy = value_remedy(numbers, logits=logits) if problems else _TESTED
    first = ids.drop_duplicates().reset_index().set_index("image_id")["index"]
    twice = rows_where(ids.duplicated())
    problems += [(row, f"image {ids[row]!r}: is there twice, first in row {first[ids[row]] + 2}") for row in twice]
    problems += [(row, f"image {ids[row]!r}: is not in {truth.source}") for row in rows_where(~ids.isin(truth.frame.index))]
    missing = truth.frame.index.difference(pd.Index(ids))
    problems += [(len(table), f"image {name!r} of {truth.source}: is missing") for name in missing]
    _refuse(source, problems, remedy, len(table))
    return _probabilities(numbers, source, answers.notes) if logits else numbers


def _probabilities(logits: pd.DataFrame, source: str, notes: list[str]) -> pd.DataFrame:
    """Softmax over the columns, or the logistic function of a single one."""
    if seem_no_logits(logits):
        raise DataError(f"{source}: all values lie from 0 to 1: they seem to be probabilities and no logits. Leave out --logits.")
    if len(logits.columns) == 1:
        notes.append("--logits: the logistic function made probabilities of the scores.")
        return pd.DataFrame(expit(logits), columns=logits.columns)
    notes.append(f"--logits: the softmax over {len(logits.columns)} columns made probabilities of the scores.")
    return pd.DataFrame(softmax(logits.to_numpy(), axis=1), columns=logits.columns)


def _joined(answers: Answers, targets: "pd.Series[str]", truth: Truth) -> Answers:
    described = truth.describing(answers.frame["image_id"])
    answers.frame = pd.concat([answers.frame.assign(target=targets), described], axis=1)
    return _counted(answers, truth)


def _counted(answers: Answers, truth: Truth) -> Answers:
    """Leave out the images that have no answer, and those that the challenge's scorer does not count."""
    frame = answers.frame
    unanswered, uncounted = frame["target"] == "", frame["image_id"].isin(truth.uncounted)
    if unanswered.any():
        answers.notes.append(f"{int(unanswered.sum()):,} images have no answer in {truth.source} and are left out.")
    if uncounted.any():
        names = ", ".join(sorted(truth.uncounted)[:3]) + (", …" if len(truth.uncounted) > 3 else "")
        answers.notes.append(
            f"{int(uncounted.sum()):,} images have no weight in the challenge's own scoring and are left out: {names}."
        )
    answers.left_out = (unanswered | uncounted).to_numpy()
    return answers


def _refuse(source: str, problems: Problems, remedy: str, num_rows: int | None = None) -> None:
    """Raise for all of them; what is beyond the last row, as a missing image, has no row."""
    if problems:
        ordered = with_rows([item for item in problems if item[0] != num_rows])
        texts = [*ordered, *(text for row, text in problems if row == num_rows)]
        raise DataError(listed(f"{source}: {len(texts)} problems:", texts, remedy=remedy))
