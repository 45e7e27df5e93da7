"""Columns that betray the answer: by their name, or because they alone tell it far better than a patient's age could."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.manifest import COLUMNS, FORBIDDEN

# A column's information is the share of the diagnosis's entropy that it takes away, out of fold. In HAM10000's own table age
# gives 0.108, localization 0.102 and sex 0.004; dx_type gives 0.224, and the order of the rows 0.778: it is sorted by diagnosis.
# The cut lies between what a patient is and what somebody already knew.
MIN_INFORMATION = 0.17
_NUM_FOLDS = 5
_NUM_BINS = 10
_MAX_CATEGORIES = 30
_ANSWERS = ("diagnosis", "target", "dx", "benign_malignant")
_MIN_ROWS = 50


def audit_columns(
    frame: pd.DataFrame, files: dict[str, NDArray[np.float64]], tables: list[tuple[Path, pd.DataFrame]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Forbidden and leaking columns, and every column's measure.

    Parameters
    ----------
    frame
        The rows of a pool; their answer is the diagnosis, else the target.
    files
        What the files themselves say of each row (their size in bytes, width, height), by name.
    tables
        Raw tables, each with its path; rows are matched by the column that holds the image ids.
    """
    answers = frame["answer"]
    groups = pd.factorize(frame["group_id"])[0]
    found, measured = [], []
    for path, table in tables:
        matched = matched_rows(frame, table)
        found += [
            {"table": str(path), "column": str(name), "kind": "forbidden", "reason": FORBIDDEN[name]}
            for name in table.columns
            if name in FORBIDDEN
        ]
        if matched is None:
            continue
        rows, id_column = matched
        for name, values in _features(table, id_column).items():
            known = rows >= 0
            inside = rows[known]
            values, told = values[known].reset_index(drop=True), answers.iloc[inside].reset_index(drop=True)
            measured.append({"table": str(path), **_measured(name, values, told, groups[inside])})
    # Within each data set: between two of them a size tells the source, and the source is known.
    for dataset, members in frame.groupby("dataset").indices.items():
        for name, numbers in files.items():
            texts = pd.Series(numbers[members]).map(lambda number: f"{number:g}" if number else "")
            given = answers.iloc[members].reset_index(drop=True)
            measured.append({"table": f"the image files of {dataset}", **_measured(name, texts, given, groups[members])})
    for item in measured:
        if item["information"] is not None and item["information"] >= MIN_INFORMATION:
            reason = f"it alone takes away {100 * item['information']:.0f}% of the uncertainty about the answer"
            found.append({"table": item["table"], "column": item["column"], "kind": "leaking", "reason": reason})
    return found, measured


def matched_rows(frame: pd.DataFrame, table: pd.DataFrame) -> tuple[NDArray[np.int64], str] | None:
    """For each row of a table its row in the pool, -1 for none, and the column that holds the ids; None where no column does."""
    places = pd.Index(frame["image_id"])
    if not places.is_unique:
        places = pd.Index(frame["image_id"].where(~frame["image_id"].duplicated(), frame["name"]))
    best: tuple[NDArray[np.int64], str] | None = None
    for column in table.columns:
        rows = places.get_indexer(table[column].str.strip())
        if len(set(rows) - {-1}) > 0.5 * len(frame) and (best is None or (rows >= 0).sum() > (best[0] >= 0).sum()):
            best = rows.astype(np.int64), str(column)
    return best


def information(values: "pd.Series[str]", answers: "pd.Series[str]", groups: NDArray[np.int64]) -> float:
    """The share of the answer's entropy that a column takes away, predicted out of fold: 0 nothing, 1 everything.

    Numbers are cut into ten bins of equal size, texts into their values (rare ones together), empty is a value of its own. Each
    group's answers are predicted from the other groups', so that a column of ids tells nothing by being unique. Negative where
    the column only misleads.
    """
    codes, targets = _binned(values), pd.factorize(answers)[0]
    num_bins, num_classes = int(codes.max()) + 1, int(targets.max()) + 1
    folds = np.random.default_rng(0).permutation(int(groups.max()) + 1)[groups] % _NUM_FOLDS
    log_loss, log_loss_prior = 0.0, 0.0
    for fold in range(_NUM_FOLDS):
        train, test = folds != fold, folds == fold
        prior = np.bincount(targets[train], minlength=num_classes) + 1.0
        prior /= prior.sum()
        counts = np.zeros((num_bins, num_classes))
        np.add.at(counts, (codes[train], targets[train]), 1)
        # Ten rows' worth of the prior: a value seen once says little.
        told = (counts + 10 * prior) / (counts.sum(axis=1, keepdims=True) + 10)
        log_loss -= float(np.log(told[codes[test], targets[test]]).sum())
        log_loss_prior -= float(np.log(prior[targets[test]]).sum())
    return 1 - log_loss / log_loss_prior if log_loss_prior else 0.0


def _measured(name: str, values: "pd.Series[str]", answers: "pd.Series[str]", groups: NDArray[np.int64]) -> dict[str, Any]:
    known = (answers != "").to_numpy()
    if known.sum() < _MIN_ROWS or answers[known].nunique() < 2:
        return {"column": name, "information": None, "reason": f"fewer than {_MIN_ROWS} rows with two answers"}
    _, groups = np.unique(groups[known], return_inverse=True)
    return {"column": name, "information": round(information(values[known], answers[known], groups), 4), "reason": ""}


def _features(table: pd.DataFrame, id_column: str) -> "dict[str, pd.Series[str]]":
    """What the columns of a table may betray: values, gaps, the order of ids and of rows, folders and prefixes."""
    found = {"order of the rows": pd.Series(range(len(table)), index=table.index).astype(str)}
    for column in table.columns:
        values = table[column].astype(str).str.strip()
        if column in _ANSWERS or column == "group_id":
            continue
        if column == "path":
            found["path: folder"] = values.str.rpartition("/")[0]
            found["path: suffix"] = values.str.rpartition(".")[2].str.lower()
        elif column == id_column or column.endswith("_id") or column == "image_name":
            found[f"{column}: order"] = values.str.extract(r"(\d+)\D*$")[0].fillna("")
            found[f"{column}: prefix"] = values.str.extract(r"^(\D*)")[0].fillna("")
        else:
            found[column] = values
        if (values == "").any() and column in COLUMNS:
            found[f"{column}: missing"] = (values == "").map({True: "missing", False: "given"})
    return {name: values for name, values in found.items() if values.nunique() > 1}


def _binned(values: "pd.Series[str]") -> NDArray[np.int64]:
    texts = values.astype(str)
    numbers = pd.to_numeric(texts.where(texts != ""), errors="coerce")
    if numbers.notna().sum() == (texts != "").sum() and numbers.nunique() > _NUM_BINS:
        edges = np.unique(np.nanquantile(numbers.to_numpy(float), np.linspace(0, 1, _NUM_BINS + 1)[1:-1]))
        binned = np.searchsorted(edges, numbers.to_numpy(float), side="right")
        return np.where(numbers.isna(), len(edges) + 1, binned).astype(np.int64)
    frequent = texts.value_counts().index[:_MAX_CATEGORIES]
    codes = pd.Index(frequent).get_indexer(texts)
    return np.where(codes < 0, len(frequent), codes).astype(np.int64)
