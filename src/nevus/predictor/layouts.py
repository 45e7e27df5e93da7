"""How a file of answers is laid out: our columns, an object a line, or a challenge's columns.

Our columns are `image_id, image, p_<class>…, malignant_probability, decision, refer, unlike, reasons, prediction_set, novelty,
metadata_from_file, error`. They are what `nevus evaluate --truth` and `nevus write-submission` read. `novelty` is the score that
refers; what is between several reasons or classes is "; ". An image that could not be read has its `error` and nothing else.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.cases import Case
from nevus.data.challenges import Columns, challenge_columns
from nevus.data.containers import split_name
from nevus.data.crops import split_crop
from nevus.data.image_ids import plain_id
from nevus.errors import DataError, listed
from nevus.predictor.answer import decision_weights

Records = Iterable[dict[str, Any]]


def check_layout(out: Path, layout: str | None, cases: Sequence[Case], bundle: Bundle) -> tuple[str, ...]:
    """What is to be said of a layout before the work begins, or a `DataError` where it cannot be written."""
    if layout is None:
        if out.suffix not in FORMATS:
            raise DataError(f"--out {out}: expected a name that ends in {' or '.join(FORMATS)}.")
        return ()
    if out.suffix != ".csv":
        raise DataError(f"--out {out}: a submission is a CSV. Give a name that ends in .csv.")
    columns = challenge_columns(layout, bundle.classes, str(bundle.path))
    counts = Counter(image_id(str(case.image)) for case in cases)
    if twice := [name for name, count in counts.items() if count > 1]:
        remedy = "A submission has every image once. Leave out the others."
        raise DataError(listed(f"{len(twice)} images are there more than once:", twice, remedy=remedy))
    if _weights(columns, bundle) is None:
        return columns.notes
    return (*columns.notes, "Each probability is divided by its class's share, since the challenge decides by the largest.")


def write_layout(file: IO[str], records: Records, out: Path, layout: str | None, bundle: Bundle) -> None:
    """Write the records to an open file, in the layout and by `out`'s ending."""
    if layout:
        _write_submission(file, records, layout, bundle)
    else:
        FORMATS[out.suffix](file, records, bundle)


def image_id(image: str) -> str:
    """What tables call an image.

    >>> image_id("photos/ISIC_0000001.jpg"), image_id("train.hdf5#ISIC_0015670")
    ('ISIC_0000001', 'ISIC_0015670')
    """
    whole = split_crop(image)[0]
    inside = split_name(whole)
    return plain_id(inside[1] if inside else whole)


def _write_csv(file: IO[str], records: Records, bundle: Bundle) -> None:
    table = csv.writer(file, lineterminator="\n")
    shown = (
        "malignant_probability",
        "decision",
        "refer",
        "unlike",
        "reasons",
        "prediction_set",
        "novelty",
        "metadata_from_file",
        "error",
    )
    table.writerow(["image_id", "image", *(f"p_{name}" for name in bundle.classes), *shown])
    decides = bundle.document["novelty"]["decides"]
    for record in records:
        probabilities = record.get("probabilities", {})
        cells = {
            **record,
            **{name: str(record.get(name, "")).lower() for name in ("refer", "unlike")},
            "reasons": "; ".join(record.get("reasons", ())),
            "prediction_set": "; ".join(record.get("prediction_set", ())),
            "novelty": record.get("novelty", {}).get(decides, ""),
            "metadata_from_file": "; ".join(f"{key} {value}" for key, value in record.get("metadata_from_file", {}).items()),
        }
        own = [probabilities.get(name, "") for name in bundle.classes]
        table.writerow([image_id(record["image"]), record["image"], *own, *(cells.get(name, "") for name in shown)])


def _write_json_lines(file: IO[str], records: Records, bundle: Bundle) -> None:
    for record in records:
        file.write(json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n")


def _write_submission(file: IO[str], records: Records, layout: str, bundle: Bundle) -> None:
    columns = challenge_columns(layout, bundle.classes, str(bundle.path))
    table = csv.writer(file, lineterminator="\n")
    table.writerow([columns.image_id, *columns.classes])
    weights = _weights(columns, bundle)
    for record in records:
        probabilities = record["probabilities"]
        if weights is not None:
            own = record.get("unshifted") or probabilities
            weighed = {name: own[name] * weight for name, weight in zip(bundle.classes, weights, strict=True)}
            probabilities = {name: value / sum(weighed.values()) for name, value in weighed.items()}
        values = [sum((probabilities[name] for name in names), 0.0) for names in columns.classes.values()]
        # A sum of rounded probabilities may pass 1 by a hair.
        table.writerow([image_id(record["image"]), *(min(value, 1.0) for value in values)])


def _weights(columns: Columns, bundle: Bundle) -> NDArray[np.float64] | None:
    """By what the bundle weighs probabilities before it decides, where the challenge decides by them as well."""
    return decision_weights(bundle.document) if len(columns.classes) > 1 else None


FORMATS: dict[str, Callable[[IO[str], Records, Bundle], None]] = {".csv": _write_csv, ".jsonl": _write_json_lines}
