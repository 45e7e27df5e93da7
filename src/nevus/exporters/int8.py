"""An int8 file, and its gate: what it costs in balanced accuracy and AUC on labelled photos that it was not calibrated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load

from nevus.data.images import read_reduced
from nevus.data.metadata import coded
from nevus.errors import BundleError, DataError
from nevus.exporters.onnx import open_onnx, to_onnx
from nevus.exporters.parity import MIN_IMAGES, Run
from nevus.exporters.quantise import CALIBRATIONS, prepare, quantise
from nevus.exporters.source import Source
from nevus.metrics.classification import balanced_accuracy, confusion_matrix, decide, macro_auc, roc_auc
from nevus.metrics.novelty import Novelty
from nevus.predictor.answer import decision_weights

MAX_DROP = {"balanced_accuracy": 0.01, "auc": 0.005}
# Photos that ranges are calibrated on, as many of each class as of another where it has them.
NUM_CALIBRATION = 96

# How far the share of photos that are accepted as like the training images may move, and on how many it is counted.
MAX_ACCEPTED_CHANGE, MAX_ACCEPTED = 0.02, 500

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Rows of photos: those to calibrate on, those to choose a method on, those of the gate. No group is in two of them."""

    calibration: Rows
    choice: Rows
    gate: Rows


def to_onnx_int8(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as an int8 ONNX file with the inputs and outputs of the float32 one, and say what that costs.

    The float32 file is written first and passes its own gate. Of the methods of `CALIBRATIONS` the one is kept whose
    probabilities are nearest to it on photos of their own; the gate is opened once, on the rest.

    Raises
    ------
    BundleError
        A gate fails.
    DataError
        The photos have no diagnoses, or are too few of a class.
    """
    parts = deal(source)
    with TemporaryDirectory(prefix="nevus-") as name:
        float32, prepared = Path(name) / "float32.onnx", Path(name) / "prepared.onnx"
        document = to_onnx(source, float32)
        prepare(float32, prepared)
        calibration = [_inputs(source, row) for row in parts.calibration]
        files = {method: Path(name) / f"{method}.onnx" for method in CALIBRATIONS}
        for method, file in files.items():
            quantise(prepared, calibration, method, file)
        before = open_onnx(float32)
        wanted, *found = answers([before, *(open_onnx(file) for file in files.values())], source, parts.choice)
        # Half the summed differences of an image's probabilities: the mass that was moved.
        moved = {method: float(np.abs(p - wanted).sum(axis=1).mean() / 2) for method, p in zip(files, found, strict=True)}
        method = min(moved, key=moved.__getitem__)
        gate = check_int8(before, open_onnx(files[method]), source, parts.gate)
        if "novelty.safetensors" in source.bundle.names:
            some = np.linspace(0, len(parts.gate) - 1, min(len(parts.gate), MAX_ACCEPTED)).astype(np.int64)
            gate["accepted"] = check_accepted(float32, files[method], source, parts.gate[some])
        path.write_bytes(files[method].read_bytes())
    counts = np.bincount(_targets(source)[parts.calibration], minlength=len(source.bundle.classes))
    chosen = {
        "method": method,
        "num_images": len(parts.calibration),
        "classes": dict(zip(source.bundle.classes, counts.tolist(), strict=True)),
        "num_choice_images": len(parts.choice),
        "moved": moved,
    }
    return {**document, "calibration": chosen, "int8": gate}


def check_int8(before: Run, after: Run, source: Source, rows: Rows) -> dict[str, Any]:
    """What is lost from one file to another on labelled photos, with the metadata that is known of them.

    Returns
    -------
    document
        `num_images`, `num_groups`, `trained_on` (whether they are the training images themselves, whose figures say what int8
        costs and not how good the model is), `classes` (images of each), `decisions_changed`, and of `balanced_accuracy` and
        `auc` (macro over more than two classes): `before`, `after`, `drop` and `limit`.

    Raises
    ------
    BundleError
        Balanced accuracy falls by more than 0.01, or the AUC by more than 0.005.
    """
    targets, classes = _targets(source)[rows], source.bundle.classes
    one, other = answers([before, after], source, rows)
    weights = decision_weights(source.bundle.document)
    figures = {}
    for name, limit in MAX_DROP.items():
        was, now = (_FIGURES[name](targets, table, weights) for table in (one, other))
        figures[name] = {"before": was, "after": now, "drop": was - now, "limit": limit}
    decided = [_decide(table, weights) for table in (one, other)]
    changed = decided[0] != decided[1]
    gate = {
        "num_images": len(rows),
        "num_groups": len(set(_groups(source)[rows])),
        "trained_on": source.photos.trained_on,
        "classes": dict(zip(classes, np.bincount(targets, minlength=len(classes)).tolist(), strict=True)),
        "decisions_changed": int(changed.sum()),
        "right_before": int((decided[0] == targets).sum()),
        "right_after": int((decided[1] == targets).sum()),
        **figures,
    }
    if failed := [name for name, figure in figures.items() if not figure["drop"] <= figure["limit"]]:
        lost = "; ".join(
            f"{name.replace('_', ' ')} falls by {figures[name]['drop']:.4f}, from {figures[name]['before']:.4f} to "
            f"{figures[name]['after']:.4f}, and {figures[name]['limit']:g} is allowed"
            for name in failed
        )
        raise BundleError(
            f"{source.out}: not written: in int8 {lost} ({len(rows)} photos of {source.photos.place}, {changed.sum()} decisions "
            "changed). Export float32 (--to onnx), or give more photos: --images."
        )
    return gate


def check_accepted(before: Path, after: Path, source: Source, rows: Rows) -> dict[str, Any]:
    """Whether the features of an int8 file still tell photos that are like the training images: the share that is accepted.

    The distance counts in units of what varied little while training, so that a small error may look like another world.

    Returns
    -------
    document
        `num_images`, the shares `before` and `after`, and the `limit` of their difference.

    Raises
    ------
    BundleError
        The shares differ by more than 0.02.
    """
    said = source.bundle.document["novelty"]
    novelty, decides = Novelty.from_tensors(load(source.bundle.read("novelty.safetensors"))), said["decides"]
    limit = said["thresholds"][decides][said["accepted"]] if said["accepted"] else None
    if limit is None:
        return {"num_images": 0, "reason": "too few groups to know from which distance on a photo is unlike the training images"}
    sessions = [onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (before, after)]
    accepted = np.zeros((2, len(rows)), np.bool_)
    for place, row in enumerate(rows):
        inputs = _inputs(source, row)
        for which, session in enumerate(sessions):
            given = {value.name: inputs[value.name] for value in session.get_inputs()}
            logits, features = session.run(["logits", "features"], given)
            accepted[which, place] = novelty.scores(logits, features)[decides][0] <= limit
    was, now = accepted.mean(axis=1).tolist()
    if abs(was - now) > MAX_ACCEPTED_CHANGE:
        raise BundleError(
            f"{source.out}: not written: in int8 {now:.3f} of {len(rows)} photos of {source.photos.place} are accepted as like "
            f"the training images, in float32 {was:.3f}; {MAX_ACCEPTED_CHANGE:g} more or less is allowed. Use --to onnx."
        )
    return {"num_images": len(rows), "before": was, "after": now, "limit": MAX_ACCEPTED_CHANGE}


def deal(source: Source, seed: int = 0) -> Parts:
    """Deal a manifest's groups out: of each class at most a quarter is calibrated and chosen on, one photo of each group.

    All photos of all other groups are the gate's.

    Raises
    ------
    DataError
        The photos have no diagnoses, the gate would have fewer than 200, or a class would have none in it.
    """
    targets, groups, classes = _targets(source), _groups(source), source.bundle.classes
    order = np.random.default_rng(seed).permutation(len(targets))
    taken: set[Any] = set()
    halves: tuple[list[int], list[int]] = ([], [])
    for index in np.argsort(np.bincount(targets, minlength=len(classes)), kind="stable"):
        own = [row for row in order if targets[row] == index]
        # The first photo of each group, in the order drawn.
        firsts = list({groups[row]: row for row in reversed(own)}.items())[::-1]
        free = [row for group, row in firsts if group not in taken][
            : min(len(firsts) // 4, 2 * -(-NUM_CALIBRATION // len(classes)))
        ]
        taken |= {groups[row] for row in free}
        halves[0].extend(free[::2])
        halves[1].extend(free[1::2])
    gate = np.flatnonzero([group not in taken for group in groups])
    absent = [name for index, name in enumerate(classes) if not (targets[gate] == index).any()]
    if len(gate) < MIN_IMAGES or absent or not all(halves):
        lacking = f"{len(gate)} photos would be left to measure int8 on" + (f", none of {', '.join(absent)}" if absent else "")
        raise DataError(f"{source.photos.place}: {lacking}; at least {MIN_IMAGES} of all classes are needed. Give more.")
    return Parts(np.array(halves[0], np.int64), np.array(halves[1], np.int64), gate)


def answers(runs: Sequence[Run], source: Source, rows: Rows) -> list[NDArray[np.float64]]:
    """Probabilities (N, classes) of each run for photos, one at a time, with the metadata that is known of them."""
    tables = [np.empty((len(rows), len(source.bundle.classes))) for _ in runs]
    for place, row in enumerate(rows):
        inputs = _inputs(source, row)
        images = inputs.pop("images")
        for table, run in zip(tables, runs, strict=True):
            table[place] = run(images, inputs)[0]
    return tables


def _inputs(source: Source, row: int) -> dict[str, NDArray[Any]]:
    """One photo, with what is known of its patient, as an exported graph takes them."""
    known = coded({name: values[row : row + 1] for name, values in source.photos.columns.items()}, 1)
    return {"images": read_reduced(source.photos.paths[row], source.side)[None], **known}


def _decide(table: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Rows:
    """As the bundle decides among several classes."""
    return decide(table if weights is None else table * weights)


def _balanced_accuracy(targets: Rows, table: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    return float(balanced_accuracy(confusion_matrix(targets, _decide(table, weights), table.shape[1])))


def _auc(targets: Rows, table: NDArray[np.float64], weights: NDArray[np.float64] | None) -> float:
    return roc_auc(targets == 1, table[:, 1]) if table.shape[1] == 2 else macro_auc(targets, table)


_FIGURES = {"balanced_accuracy": _balanced_accuracy, "auc": _auc}


def _targets(source: Source) -> Rows:
    if source.photos.targets is None:
        raise DataError(f"{source.photos.place}: a folder names no diagnoses, and int8 is measured by them. Give a manifest.")
    return source.photos.targets


def _groups(source: Source) -> NDArray[Any]:
    assert source.photos.groups is not None, "where there are diagnoses there are groups"
    return source.photos.groups
