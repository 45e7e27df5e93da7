"""Which class each row is decided to be, by the rule of its predictions file."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.errors import DataError
from nevus.evaluation.fitting_rows import fitting_rows
from nevus.evaluation.predictions import Predictions
from nevus.metrics.classification import decide


def decide_rows(table: Predictions, rows: pd.DataFrame) -> NDArray[np.int64]:
    """The decided class of each row, (N,); C where several classes are alike.

    "likeliest" is the class of the largest probability; "balanced" the one whose probability is largest for its share of the
    images that the fold's rows were calibrated on, its validation rows. Where probabilities are right at those shares, the second
    has the best balanced accuracy that can be had, as the first has the best accuracy (Menon et al. 2021, equation 6).

    Raises
    ------
    DataError
        A fold has no rows that say the shares, or none of a class.
    """
    return decide(weigh_rows(table, rows))


def weigh_rows(table: Predictions, rows: pd.DataFrame) -> NDArray[np.float64]:
    """What the largest of is decided, (N, C): probabilities, or by "balanced" each over its class's share. Errors as above."""
    probabilities = table.probabilities(rows)
    if table.decisions == "likeliest":
        return probabilities
    known = fitting_rows(table)
    if known.reason:
        raise DataError(f"{table.source}: decisions balanced, and {known.reason}, whose shares of the classes decide. Add them.")
    folds, weighed = rows["fold"].to_numpy(), np.empty_like(probabilities)
    for fold, fitted in known.by_fold.items():
        counts = np.bincount(table.targets(fitted), minlength=len(table.classes))
        if absent := [name for name, number in zip(table.classes, counts, strict=True) if not number]:
            raise DataError(
                f"{table.source}: decisions balanced, and fold {fold} has no {known.part} row of {', '.join(absent)}."
            )
        weighed[folds == fold] = probabilities[folds == fold] * (counts.sum() / counts)
    return weighed
