"""The answers of a run's own bundles for its test images as they are, with artefacts drawn on them, and with metadata changed.

Batches are kept in a folder as they are done, so that the same command goes on where it was stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.artefacts import ARTEFACTS
from nevus.data.images import Pixels, read_image
from nevus.errors import DataError
from nevus.files import replacing
from nevus.predictor import Predictor

FIELDS = {"age": "age_years", "sex": "sex", "site": "site"}
CLEAN = "clean"
_BATCH = 32


@dataclass(frozen=True)
class Condition:
    """How an image or its metadata is changed: `kind` is an artefact, "missing", "wrong" or "clean"."""

    kind: str
    level: str

    @property
    def name(self) -> str:
        """As in the arrays that are kept."""
        return f"{self.kind}/{self.level}"


def conditions(kinds: Sequence[str], severities: Sequence[int], fields: Sequence[str]) -> list[Condition]:
    """The clean images, every kind at every severity, and each field, and all, missing and wrong.

    Raises
    ------
    DataError
        A kind is not one of `ARTEFACTS`, or a severity not from 1 to 5.
    """
    if unknown := [kind for kind in kinds if kind not in ARTEFACTS]:
        raise DataError(f"kind {unknown[0]!r}: expected one of {', '.join(ARTEFACTS)}.")
    if wrong := [severity for severity in severities if not 1 <= severity <= 5]:
        raise DataError(f"severity {wrong[0]}: expected a whole number from 1 to 5.")
    drawn = [Condition(kind, str(severity)) for kind in kinds for severity in severities]
    parts = [*fields, *(["all"] if len(fields) > 1 else [])]
    return [Condition(CLEAN, ""), *drawn, *(Condition(how, part) for how in ("missing", "wrong") for part in parts)]


def changed(image: Pixels, image_id: str, condition: Condition, seed: int) -> Pixels:
    """The image with a condition's artefact: the same pixels for the same seed, and the same hairs, only more, with severity."""
    if condition.kind not in ARTEFACTS:
        return image
    rng = np.random.default_rng([seed, crc32(image_id.encode()), crc32(condition.kind.encode())])
    return ARTEFACTS[condition.kind](image, rng, float(condition.level))


def metadata_columns(frame: pd.DataFrame, condition: Condition, seed: int) -> dict[str, NDArray[np.object_]]:
    """Age, sex and site of rows, with those of a "missing" or "wrong" condition changed; wrong is another row's, at random."""
    columns = {column: frame[column].to_numpy(object).copy() for column in FIELDS.values() if column in frame}
    if condition.kind not in ("missing", "wrong"):
        return columns
    places = np.random.default_rng([seed, crc32(condition.name.encode())]).permutation(len(frame))
    for field, column in FIELDS.items():
        if column in columns and condition.level in (field, "all"):
            empty = np.nan if column == "age_years" else ""
            columns[column] = np.full(len(frame), empty, object) if condition.kind == "missing" else columns[column][places]
    return columns


def answers(
    predictor: Predictor,
    paths: Sequence[Path],
    frame: pd.DataFrame,
    wanted: Sequence[Condition],
    folder: Path,
    *,
    seed: int,
    done: Callable[[int], None] = lambda count: None,
) -> dict[str, NDArray[np.float64]]:
    """The bundle's probabilities (N, C) of images under each condition, by its name.

    Parameters
    ----------
    predictor
        A fold's own bundle.
    paths, frame
        The images of that fold's test rows, and the rows: `image_id` and the metadata.
    wanted
        The conditions.
    folder
        Keeps each finished batch.
    seed
        Of the artefacts and of who is given whose metadata.
    done
        Called with the number of images of each finished batch.
    """
    metadata = {condition.name: metadata_columns(frame, condition, seed) for condition in wanted}
    names, ids = [condition.name for condition in wanted], frame["image_id"].astype(str).tolist()
    tables = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _BATCH):
            rows = slice(start, start + _BATCH)
            identity = [predictor.bundle.document["checksum"], names, ids[rows], seed, [str(path) for path in paths[rows]]]
            path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:20]}.npy"
            if not path.exists():
                images = list(pool.map(read_image, paths[rows]))
                table = np.stack(list(_batch(predictor, pool, images, ids[rows], rows, wanted, metadata, seed)))
                folder.mkdir(parents=True, exist_ok=True)
                with replacing(path) as beside, beside.open("wb") as file:
                    np.save(file, table, allow_pickle=False)
            tables.append(np.load(path, allow_pickle=False))
            done(len(ids[rows]))
    whole = np.concatenate(tables, axis=1)
    return dict(zip(names, whole, strict=True))


def _batch(
    predictor: Predictor,
    pool: ThreadPoolExecutor,
    images: Sequence[Pixels],
    ids: Sequence[str],
    rows: slice,
    wanted: Sequence[Condition],
    metadata: dict[str, dict[str, NDArray[np.object_]]],
    seed: int,
) -> Iterator[NDArray[np.float64]]:
    """Each condition's probabilities of a batch; the next condition is drawn while the network runs on this one."""

    def draw(condition: Condition) -> list[Pixels]:
        return [changed(image, name, condition, seed) for image, name in zip(images, ids, strict=True)]

    waiting = pool.submit(draw, wanted[0])
    for condition, following in zip(wanted, [*wanted[1:], None], strict=True):
        drawn = waiting.result()
        if following is not None:
            waiting = pool.submit(draw, following)
        given = {column: values[rows] for column, values in metadata[condition.name].items()}
        yield predictor.probabilities(predictor.logits(drawn, given))
