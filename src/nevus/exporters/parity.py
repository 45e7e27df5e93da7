"""The gate of every export: a file answers as the trained model does, from photo to probability, or it is not written."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels, read_reduced
from nevus.data.metadata import CATEGORIES, COLUMNS, MetadataEncoder, coded
from nevus.errors import BundleError, DataError
from nevus.exporters.reference import reference_outputs
from nevus.exporters.source import Source

MIN_IMAGES = 200
MAX_DIFFERENCE = 1e-4
# What is known of the patient of each photo, in turn.
KNOWN = ("metadata present", "metadata partly absent", "metadata absent")
# An exported file that is open: uint8 (N, H, W, 3) and `nevus.data.metadata.coded` of N rows to probabilities (N, classes).
Run = Callable[[Pixels, Mapping[str, NDArray[Any]]], NDArray[np.floating[Any]]]


def check_parity(run: Run, source: Source, seed: int = 0) -> dict[str, Any]:
    """Compare an exported file with the trained model on photos, each with its metadata present, partly and wholly absent.

    The reference is computed apart from what was exported (`nevus.exporters.reference`). What is not known of a patient is drawn,
    so that every field is present once; which fields are absent is drawn too.

    Returns
    -------
    document
        `num_images`, `images`, `max_difference` of a probability, `limit`, and `by`, the differences by what is known.

    Raises
    ------
    BundleError
        A probability differs by more than 1e-4, or is not a number.
    DataError
        There are fewer than 200 photos, or one cannot be read.
    """
    photos, document, rng = source.photos, source.bundle.document, np.random.default_rng(seed)
    if min(len(photos), source.num_images) < MIN_IMAGES:
        raise DataError(
            f"{photos.place}: {min(len(photos), source.num_images)} photos; an export is compared with the trained model on at "
            f"least {MIN_IMAGES}. Give more."
        )
    encoder = MetadataEncoder.from_json(document["metadata"])
    rows = rng.permutation(len(photos))[: source.num_images]
    largest = np.zeros(len(KNOWN))
    for row in rows:
        image = read_reduced(photos.paths[row], source.side)
        columns = _known_by_turns({name: values[row] for name, values in photos.columns.items()}, encoder.fields, rng)
        expected, _ = reference_outputs(
            source.network, encoder, document["preprocessing"], float(document["temperature"]), [image] * len(KNOWN), columns
        )
        found = np.asarray(run(np.stack([image] * len(KNOWN)), coded(columns, len(KNOWN))))
        if found.shape != expected.shape:
            raise BundleError(f"{source.out}: not written: gives probabilities of shape {found.shape}, not {expected.shape}.")
        largest = np.maximum(largest, np.abs(found - expected).max(axis=1))  # keeps what is not a number
    if not largest.max() <= MAX_DIFFERENCE:
        by = ", ".join(f"{name} {value:.2g}" for name, value in zip(KNOWN, largest, strict=True))
        raise BundleError(
            f"{source.out}: not written: it differs from the trained model by {largest.max():.2g} in a probability, and "
            f"{MAX_DIFFERENCE:g} is allowed ({by}; {len(rows)} photos of {photos.place})."
        )
    return {
        "num_images": len(rows),
        "images": str(photos.place),
        "max_difference": float(largest.max()),
        "limit": MAX_DIFFERENCE,
        "by": dict(zip(KNOWN, largest.tolist(), strict=True)),
    }


def _known_by_turns(own: Mapping[str, Any], fields: Sequence[str], rng: np.random.Generator) -> dict[str, list[Any]]:
    """Three rows about one patient: all `fields` known, some of them, none."""
    drawn: dict[str, Any] = {"age_years": float(rng.integers(5, 90))}
    drawn |= {name: names[rng.integers(len(names))] for name, names in CATEGORIES.items()}
    hidden = rng.permutation(len(fields)) < rng.integers(1, max(2, len(fields)))
    columns = {}
    for name, absent in zip(fields, hidden, strict=True):
        column, unknown = COLUMNS[name], np.nan if name == "age" else ""
        value = own[column]
        value = drawn[column] if value == "" or value != value else value  # NaN is not itself
        columns[column] = [value, unknown if absent else value, unknown]
    return columns
