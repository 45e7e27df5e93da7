"""What a fold's bundle answered for its test rows, kept beside the bundle: what `nevus refit` calibrates the whole model on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.errors import DataError
from nevus.files import write

_LOGIT = "logit_"


def write_held_out(
    path: Path,
    image_ids: Sequence[str],
    classes: Sequence[str],
    logits: NDArray[np.float32],
    scores: Mapping[str, NDArray[np.float64]],
) -> None:
    """Write a row for each image (N,): logits (N, classes) before the temperature, and each novelty score (N,)."""
    table = pd.DataFrame({"image_id": list(image_ids)})
    for index, name in enumerate(classes):
        table[_LOGIT + name] = logits[:, index]
    for name, values in scores.items():
        # As many digits as a float32 has: the scores are made of such.
        table[name] = values.astype(np.float32)
    write(path, table.to_csv(index=False, lineterminator="\n"))


def read_held_out(
    path: Path, image_ids: Sequence[str], classes: Sequence[str]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float64]]]:
    """Logits (N, classes) and novelty scores (N,) of these images, in their order.

    Raises
    ------
    DataError
        The file is missing, no such table, or without one of the images.
    """
    try:
        table: Any = pd.read_csv(path, dtype={"image_id": str}).set_index("image_id")
        logits = table[[_LOGIT + name for name in classes]].to_numpy(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: does not hold what the fold answered ({error}). Delete {path.with_name('predictions.csv')} and run nevus "
            "cross-validate again with the same --out: the fold is predicted anew, not trained."
        ) from error
    if not table.index.is_unique:
        raise DataError(f"{path}: has two rows for image {table.index[table.index.duplicated()][0]}. Was it edited?")
    places = table.index.get_indexer(pd.Index(image_ids))
    if missing := [name for name, place in zip(image_ids, places, strict=True) if place < 0]:
        raise DataError(f"{path}: has no row for image {missing[0]}, which the fold tested. Was it edited?")
    names = [name for name in table.columns if not name.startswith(_LOGIT)]
    return logits[places], {str(name): table[name].to_numpy(np.float64)[places] for name in names}
