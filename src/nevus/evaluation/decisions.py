"""Which class each row is decided to be, by the rule of its predictions file."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.splits import OPTIMISTIC
from nevus.errors import DataError
from nevus.evaluation.predictions import Predictions
from nevus.metrics.classification import decide


def decide_rows(table: Predictions, rows: pd.DataFrame) -> NDArray[np.int64]:
    """The decided class of each row, (N,); C where several classes are alike.

    "likeliest" is the class of the largest probability; "balanced" the one whose probability is largest for its share of the
    images that the row's fold does not test. Where probabilities are right at those shares, the second has the best balanced
    accuracy that can be had, as the first has the best accuracy (Menon et al. 2021, equation 6).

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
    folds, weighed = rows["fold"].to_numpy(), np.empty_like(probabilities)
    for fold in np.unique(folds):
        weighed[folds == fold] = probabilities[folds == fold] / _shares(table, int(fold))
    return weighed


def _shares(table: Predictions, fold: int) -> NDArray[np.float64]:
    """Each class's share of the images that a fold does not test, (C,): its validation rows and what the other folds test.

    Those are the images that its network was trained and calibrated on. The validation rows alone would do, but a tenth of a
    data set has nine photos of a class that makes up one in a hundred. Under a paper's protocol a fold may have no others.
    """
    frame = table.frame
    own, tested = frame["fold"] == fold, frame["split"] == "test"
    known = frame[own != tested]  # its own that are not tested, and the others' that are
    known = known[~known["image_id"].isin(frame.loc[own & tested, "image_id"])].drop_duplicates("image_id")
    if known.empty and table.protocol in OPTIMISTIC:
        known = frame[own & tested]
    if known.empty:
        said = f"fold {fold} has no validation rows, whose shares of the classes decide"
        raise DataError(f"{table.source}: decisions balanced, and {said}. Add them.")
    counts = np.bincount(table.targets(known), minlength=len(table.classes))
    if absent := [name for name, number in zip(table.classes, counts, strict=True) if not number]:
        said = f"fold {fold} has no validation row of {', '.join(absent)}, and no other fold tests one"
        raise DataError(f"{table.source}: decisions balanced, and {said}. Add some.")
    return np.asarray(counts / counts.sum())
