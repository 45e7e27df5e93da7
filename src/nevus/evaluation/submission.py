"""Predictions in the layouts that the ISIC challenges take: every image once, numbers from 0 to 1."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from nevus.data import taxonomy
from nevus.data.tables import read_table
from nevus.errors import DataError, listed
from nevus.evaluation.layouts import PREFIX
from nevus.evaluation.prediction_rows import to_numbers, value_problems, value_remedy, with_rows
from nevus.files import write

_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def write_submission(predictions: Path | str, out: Path | str, layout: str) -> list[str]:
    """Write the test rows of a predictions file as a challenge takes them; what was done to them, as sentences.

    Parameters
    ----------
    predictions
        Rows of `image_id, p_<class>…`, with `target` or without. Rows whose `split` is validation are left out.
    out
        The CSV to write, wholly or not at all.
    layout
        One of `LAYOUTS`.

    Raises
    ------
    DataError
        The layout is unknown, has no place for a class, or rows are at fault: all are named.

    Examples
    --------
    >>> write_submission("runs/a/predictions.csv", "submission.csv", "isic2018")  # doctest: +SKIP
    """
    if layout not in LAYOUTS:
        raise DataError(f"--layout {layout}: expected one of {', '.join(LAYOUTS)}.")
    table = read_table(predictions, required=("image_id",))
    if "split" in table:
        table = table[table["split"] != "validation"]
    columns = [name for name in table.columns if name.startswith(PREFIX)]
    if len(columns) < 2:
        raise DataError(f"{predictions}: needs a column p_<class> for each of at least two classes.")
    numbers = to_numbers(table[columns])
    places = table.index.to_numpy()
    twice = np.flatnonzero(table["image_id"].duplicated(keep=False))
    found = [
        *value_problems(table, numbers),
        *((int(row), f"image_id {table['image_id'].iloc[row]!r}: is there twice") for row in twice),
    ]
    if problems := with_rows([(int(places[row]), text) for row, text in found]):
        remedy = value_remedy(numbers) if len(found) > len(twice) else "A submission has every image once."
        raise DataError(listed(f"{predictions}: {len(problems)} problems:", problems, remedy=remedy))
    if table.empty:
        raise DataError(f"{predictions}: no test rows.")
    named = numbers.rename(columns=lambda name: name.removeprefix(PREFIX))
    frame, notes = LAYOUTS[layout](named, str(predictions))
    frame.insert(0, _IDS[layout], table["image_id"])
    write(out, frame.to_csv(index=False, lineterminator="\n"))
    return [f"{out}: {len(frame):,} images in the layout {layout}.", *notes]


def _by_class(numbers: pd.DataFrame, source: str, columns: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]]:
    """One-hot columns; 0 where the model has no such class."""
    classes = {name: taxonomy.diagnosis(name) or name.lower() for name in columns}
    if homeless := [name for name in numbers if name not in classes.values()]:
        raise DataError(f"{source}: the layout has no place for {', '.join(map(str, homeless))}. It has {', '.join(columns)}.")
    frame = pd.DataFrame({name: numbers.get(label, pd.Series(0.0, numbers.index)) for name, label in classes.items()})
    absent = [name for name, label in classes.items() if label not in numbers]
    return frame, [f"{', '.join(absent)}: no class of these predictions; 0 for every image."] if absent else []


def _one_score(numbers: pd.DataFrame, source: str, counted: frozenset[str]) -> tuple[pd.DataFrame, list[str]]:
    """The probability of malignant, or the sum over the diagnoses that the challenge calls so."""
    if "malignant" in numbers:
        return pd.DataFrame({"target": numbers["malignant"]}), []
    chosen = [str(name) for name in numbers if name in counted]
    if not chosen:
        raise DataError(f"{source}: has neither malignant nor any of {', '.join(sorted(counted))} among its classes.")
    # A sum of rounded probabilities may pass 1 by a hair.
    return pd.DataFrame({"target": numbers[chosen].sum(axis=1).clip(0, 1)}), [f"target is the sum over {', '.join(chosen)}."]


_IDS = {"isic2018": "image", "isic2019": "image", "isic2020": "image_name", "isic2024": "isic_id"}
LAYOUTS: dict[str, Callable[[pd.DataFrame, str], tuple[pd.DataFrame, list[str]]]] = {
    "isic2018": lambda numbers, source: _by_class(numbers, source, _2018),
    "isic2019": lambda numbers, source: _by_class(numbers, source, _2019),
    # All its malignant images are melanomas.
    "isic2020": lambda numbers, source: _one_score(numbers, source, frozenset({"mel"})),
    "isic2024": lambda numbers, source: _one_score(numbers, source, taxonomy.MALIGNANT),
}
