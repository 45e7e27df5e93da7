"""The audit of data sets: copies, leaks over folds, columns that betray the answer, artefacts, and what a clean-up would do."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nevus.data.audit.artefact_shares import artefact_shares
from nevus.data.audit.cleanup import cleanup, from_fingerprints, from_predictions
from nevus.data.audit.columns import audit_columns
from nevus.data.audit.duplicates import Duplicates, find_duplicates, near_duplicate_links
from nevus.data.audit.leaks import contradictions, crossing, folds_of, read_folds
from nevus.data.audit.looks import Looks, Progress, look
from nevus.data.audit.pool import pool
from nevus.data.grouping import components
from nevus.data.manifest import COLUMNS, Manifest
from nevus.data.tables import read_table
from nevus.provenance import provenance

__all__ = ["audit", "near_duplicate_links", "num_crossing", "read_audited"]

_TRAINED_ONLY = frozenset({"-1", "train", "training"})


def audit(
    manifests: Sequence[Manifest],
    *,
    folds: Path | None = None,
    predictions: Path | None = None,
    tables: Sequence[Path] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Audit data sets, alone and against each other.

    Parameters
    ----------
    manifests
        One or several. Images are named by their id, or `dataset:id` where two data sets have the same.
    folds
        A folds.csv, ours or any program's with `image_id` and `fold`; without it nothing crosses.
    predictions
        A predictions.csv, for the difficulty of what a clean-up removes.
    tables
        Further raw tables of these images, whose columns are looked at too; the manifests' own files always are.
    progress
        Called with the number of images read and their total.

    Returns
    -------
    dict
        The JSON document: `exact_duplicates` [[id, id]], `near_duplicates` [[id, id, score]], `across` (those of two data sets,
        [[id, id]]), `crossing`, `columns` and more.

    Raises
    ------
    DataError
        The folds or predictions cannot be read, or a data set is given twice. Unreadable images are named in the document.

    Examples
    --------
    >>> document = audit([Manifest.read("manifest.csv")], folds=Path("folds.csv"))  # doctest: +SKIP
    """
    frame = pool(manifests)
    assigned = folds_of(frame, read_folds(folds)) if folds else {}
    looks = look(frame["file"].tolist(), progress=progress)
    duplicates = find_duplicates(frame["file"].tolist(), looks)
    names = frame["name"].tolist()
    found, measured = audit_columns(frame, _of_files(looks), _tables(manifests, tables))
    spans = crossing(frame, assigned, _components(len(frame), duplicates))
    return {
        "exact_duplicates": [[names[first], names[second]] for first, second in duplicates.exact],
        "near_duplicates": [[names[p.first], names[p.second], round(p.alignment.correlation, 4)] for p in duplicates.near],
        "same_pixels": [[names[pair.first], names[pair.second]] for pair in duplicates.near if pair.same_pixels],
        "across": _across(frame, duplicates),
        "crossing": spans,
        "columns": found,
        "columns_measured": measured,
        "contradictions": contradictions(frame),
        "artefacts": artefact_shares(frame, looks),
        "cleanup": _cleanup(frame, looks, assigned, spans, predictions),
        "unreadable": [[names[row], problem] for row, problem in looks.problems.items()],
        "counts": _counts(frame, looks, duplicates, assigned, spans),
        "folds": {names[row]: values for row, values in assigned.items()},
        "provenance": {
            **provenance(),
            "manifests": [
                {"path": str(manifest.path), "sha256": manifest.sha256, "num_images": len(manifest)} for manifest in manifests
            ],
            "folds": str(folds) if folds else None,
            "predictions": str(predictions) if predictions else None,
        },
    }


def num_crossing(document: dict[str, Any]) -> int:
    """How many things span two folds: the verb exits with 1 where it is not zero."""
    return sum(map(len, document["crossing"].values()))


def apart(manifest: Manifest, document: dict[str, Any]) -> Manifest:
    """A manifest of those audited without its groups of which another data set has a photograph.

    A network that has seen that data set knows a lesion of theirs, and must not be tested on them.
    """
    shared = {name for pair in document["across"] for name in pair}
    names = manifest.frame["image_id"]
    known = names.isin(shared) | (manifest.frame["dataset"] + ":" + names).isin(shared)
    groups = manifest.frame["group_id"]
    return manifest.where(~groups.isin(set(groups[known])))


def read_audited(path: Path) -> Manifest:
    """Read a manifest for an audit: columns that do not belong there are left to the audit, missing files to its `unreadable`.

    Raises
    ------
    DataError
        As `Manifest.read`, but for these two.
    """
    table = read_table(path)
    return Manifest.build(table[[name for name in table.columns if name in COLUMNS]], path.parent, path, check_files=False)


def _of_files(looks: Looks) -> dict[str, Any]:
    width, height = looks.sizes.T
    return {
        "file size": looks.num_bytes.astype(float),
        "image width": width.astype(float),
        "image height": height.astype(float),
    }


def _tables(manifests: Sequence[Manifest], tables: Sequence[Path]) -> list[tuple[Path, pd.DataFrame]]:
    paths = [manifest.path for manifest in manifests if manifest.path.is_file()] + list(tables)
    return [(path, read_table(path)) for path in paths]


def _components(num_rows: int, duplicates: Duplicates) -> list[list[int]]:
    """Sets of rows that copies link, directly or over others."""
    if not duplicates.links:
        return []
    first, second = np.array(duplicates.links).T
    labels = components(num_rows, first, second)
    linked = np.unique([first, second])
    sets: dict[int, list[int]] = {}
    for row in linked:
        sets.setdefault(int(labels[row]), []).append(int(row))
    return list(sets.values())


def _across(frame: pd.DataFrame, duplicates: Duplicates) -> list[list[str]]:
    names, datasets = frame["name"].tolist(), frame["dataset"].tolist()
    pairs = [*duplicates.exact, *((pair.first, pair.second) for pair in duplicates.near)]
    return [[names[one], names[other]] for one, other in pairs if datasets[one] != datasets[other]]


def _cleanup(
    frame: pd.DataFrame, looks: Looks, assigned: dict[int, list[str]], spans: dict[str, Any], predictions: Path | None
) -> dict[str, Any] | None:
    """What removing every test image that shares something with another fold would do; null without folds."""
    if not assigned:
        return None
    rows = {name: row for row, name in enumerate(frame["name"])}
    touched = {rows[name] for kind in spans.values() for item in kind for name in item["ids"]}
    tested = np.array(sorted(row for row, folds in assigned.items() if set(folds) - _TRAINED_ONLY), np.int64)
    removed = np.array(sorted(touched & set(tested.tolist())), np.int64)
    if predictions:
        probability, wrong = from_predictions(frame, predictions)
        return cleanup(frame, removed, tested, probability, wrong, f"by {predictions.name}")
    probability, wrong = from_fingerprints(frame, looks.fingerprints, looks.readable)
    source = "by a linear discriminant on colours and rings of each image, groups kept apart"
    return cleanup(frame, removed, tested, probability, wrong, source)


def _counts(
    frame: pd.DataFrame, looks: Looks, duplicates: Duplicates, assigned: dict[int, list[str]], spans: dict[str, Any]
) -> dict[str, Any]:
    return {
        "num_images": len(frame),
        "num_readable": len(looks.readable),
        "num_datasets": int(frame["dataset"].nunique()),
        "num_groups": int(frame["group_id"].nunique()),
        "num_with_fold": len(assigned),
        "num_exact_pairs": len(duplicates.exact),
        "num_near_pairs": len(duplicates.near),
        "num_across": len(_across(frame, duplicates)),
        "num_compared": duplicates.num_candidates,
        "num_crossing": {kind: len(items) for kind, items in spans.items()},
    }
