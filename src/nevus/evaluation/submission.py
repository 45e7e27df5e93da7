"""Predictions in the layouts that the ISIC challenges take: every image once, numbers from 0 to 1."""

from pathlib import Path

import numpy as np
import pandas as pd

from nevus.data.challenges import challenge_columns
from nevus.data.tables import read_table
from nevus.errors import DataError, listed
from nevus.evaluation.decisions import weigh_rows
from nevus.evaluation.layouts import PREFIX
from nevus.evaluation.prediction_rows import to_numbers, value_problems, value_remedy, with_rows
from nevus.evaluation.predictions import Predictions
from nevus.files import write


def write_submission(predictions: Path | str, out: Path | str, layout: str, decisions: str = "likeliest") -> list[str]:
    """Write the test rows of a predictions file as a challenge takes them; what was done to them, as sentences.

    Parameters
    ----------
    predictions
        Rows of `image_id, p_<class>…`, with `target` or without. Rows whose `split` is validation are left out.
    out
        The CSV to write, wholly or not at all.
    layout
        One of `nevus.data.challenges.LAYOUTS`.
    decisions
        "balanced" divides each probability by its class's share of what its fold does not test, where a challenge takes the
        largest column for the decision (`nevus.evaluation.decisions`).

    Raises
    ------
    DataError
        The layout is unknown, has no place for a class, or rows are at fault: all are named.

    Examples
    --------
    >>> write_submission("runs/a/predictions.csv", "submission.csv", "isic2018")  # doctest: +SKIP
    """
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
    chosen = challenge_columns(layout, list(named.columns), str(predictions))
    notes = list(chosen.notes)
    if decisions != "likeliest" and len(chosen.classes) > 1:
        own = Predictions.read(predictions).deciding(decisions)
        weighed = weigh_rows(own, own.test)
        named = pd.DataFrame(weighed / weighed.sum(axis=1, keepdims=True), columns=list(own.classes))
        table = own.test
        notes.append("Each probability is divided by its class's share, since the challenge decides by the largest.")
    # A sum of rounded probabilities may pass 1 by a hair.
    columns_of = {column: named[list(classes)].sum(axis=1).clip(0, 1) for column, classes in chosen.classes.items()}
    frame = pd.DataFrame({chosen.image_id: table["image_id"], **columns_of})
    write(out, frame.to_csv(index=False, lineterminator="\n"))
    return [f"{out}: {len(frame):,} images in the layout {layout}.", *notes]
