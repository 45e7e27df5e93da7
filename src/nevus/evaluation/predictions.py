"""The predictions file, ours or any other program's, checked before a figure is made of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.tables import read_table
from nevus.errors import DataError, listed
from nevus.evaluation.layouts import PREFIX, read_answers
from nevus.evaluation.prediction_rows import TOLERANCE, row_problems, to_numbers, value_problems, value_remedy, with_rows
from nevus.evaluation.truth import Truth
from nevus.files import write
from nevus.recipe import Decisions


@dataclass(frozen=True)
class Predictions:
    """Rows of `image_id, fold, split, target, p_<class>…` and more; `source` is what errors call them.

    `notes` say what was done to another program's file. `by_column` is true of the ISIC challenges' one-hot layout: each class
    is decided by its own column above 0.5, and rows need not sum to 1. `decisions` is the rule by which one of several classes is
    decided, "likeliest" or "balanced" (`evaluation.decisions`).
    """

    frame: pd.DataFrame
    source: str = "predictions"
    notes: tuple[str, ...] = ()
    by_column: bool = False
    decisions: str = "likeliest"

    @classmethod
    def read(cls, path: Path | str, *, truth: Path | str | None = None, logits: bool = False) -> "Predictions":
        """Read a predictions file of ours or of the ISIC challenges' layouts; the header says which (`evaluation.layouts`).

        Parameters
        ----------
        truth
            The answers where the file has none: a ground truth of the challenge, or a manifest, which adds groups and metadata.
        logits
            Whether the file has logits in place of probabilities.

        Raises
        ------
        DataError
            Columns are missing, or rows are at fault: all are named with their row (the header is row 1), column and value.

        Examples
        --------
        >>> Predictions.read("submission.csv", truth="ISIC2018_Task3_Training_GroundTruth.csv")  # doctest: +SKIP
        """
        table = read_table(path)
        answers = read_answers(table, str(path), None if truth is None else Truth.read(truth), logits=logits)
        return cls.from_frame(
            answers.frame, str(path), tuple(answers.notes), by_column=answers.by_column, left_out=answers.left_out
        )

    @classmethod
    def from_frame(
        cls,
        table: pd.DataFrame,
        source: str = "predictions",
        notes: tuple[str, ...] = (),
        *,
        by_column: bool = False,
        left_out: NDArray[np.bool_] | None = None,
    ) -> "Predictions":
        """Check a table; `fold` is 0, `split` is test and `group_id` stays absent where a column is absent.

        Rows `left_out` (N,) are checked too, but for their target, and do not count.
        """
        classes = [name for name in table.columns if str(name).startswith(PREFIX)]
        if len(classes) < 2:
            raise DataError(
                f"{source}: needs a column p_<class> for each of at least two classes. It has {', '.join(table.columns)}."
            )
        frame = table.reset_index(drop=True).copy()
        frame["image_id"], frame["target"] = frame["image_id"].astype(str), frame["target"].astype(str)
        frame["split"] = frame.get("split", pd.Series("test", index=frame.index)).replace("", "test")
        folds = pd.to_numeric(frame.get("fold", pd.Series(0, index=frame.index)), errors="coerce")
        numbers = to_numbers(frame[classes])
        counted = np.ones(len(frame), np.bool_) if left_out is None else ~left_out
        values = value_problems(frame, numbers, sums=not by_column)
        problems = with_rows(values + row_problems(frame, [name.removeprefix(PREFIX) for name in classes], folds, counted))
        if problems:
            raise DataError(listed(f"{source}: {len(problems)} problems:", problems, remedy=value_remedy(numbers)))
        frame["fold"], frame[classes] = folds.astype(np.int64), numbers
        if "age_years" in frame:
            frame["age_years"] = pd.to_numeric(frame["age_years"], errors="coerce")
        predictions = cls(frame[counted].reset_index(drop=True), source, notes, by_column)
        predictions._check_groups()
        return predictions

    def deciding(self, rule: str | None) -> "Predictions":
        """The same rows, decided by another rule; None leaves it.

        Raises
        ------
        DataError
            There is no such rule.
        """
        if rule is None:
            return self
        if rule not in get_args(Decisions):
            raise DataError(f"decisions {rule}: expected one of {', '.join(get_args(Decisions))}.")
        return replace(self, decisions=rule)

    def write(self, path: Path | str) -> None:
        """Write the file, wholly or not at all; probabilities are exact."""
        write(path, self.frame.to_csv(index=False, lineterminator="\n"))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their columns."""
        return tuple(name.removeprefix(PREFIX) for name in self.frame.columns if name.startswith(PREFIX))

    @property
    def sum_to_one(self) -> bool:
        """Whether each row's numbers sum to 1, without which they are scores and no probabilities."""
        return not self.by_column or bool((np.abs(self.probabilities(self.frame).sum(axis=1) - 1) <= TOLERANCE).all())

    @property
    def protocol(self) -> str | None:
        """The protocol the rows were made under, None when unknown."""
        names = list(self.frame["protocol"].unique()) if "protocol" in self.frame else []
        return str(names[0]) if names and names[0] else None

    @property
    def positive(self) -> str | None:
        """The class that sensitivity and specificity are about: mel, else malignant, else the second of two, else none."""
        for name in ("mel", "malignant"):
            if name in self.classes:
                return name
        return self.classes[1] if len(self.classes) == 2 else None

    @property
    def test(self) -> pd.DataFrame:
        """The test rows, each image once."""
        return self.frame[self.frame["split"] == "test"].reset_index(drop=True)

    @property
    def validation(self) -> pd.DataFrame:
        """The validation rows; an image may be one for several folds."""
        return self.frame[self.frame["split"] == "validation"].reset_index(drop=True)

    def probabilities(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The probabilities of rows, (N, C)."""
        return frame[[PREFIX + name for name in self.classes]].to_numpy(np.float64)

    def targets(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """The class indices of rows, (N,)."""
        places = {name: index for index, name in enumerate(self.classes)}
        return np.asarray(frame["target"].map(places), np.int64)

    def _check_groups(self) -> None:
        """Under `strict` a group must not be tested in one fold and another: its photos would have trained each other's test."""
        if self.protocol != "strict" or "group_id" not in self.frame:
            return
        spread = self.test.groupby("group_id")["fold"].unique()
        crossing = [f"{group}: folds {', '.join(map(str, sorted(folds)))}" for group, folds in spread.items() if len(folds) > 1]
        both = self.validation[["fold", "group_id"]].drop_duplicates().merge(self.test[["fold", "group_id"]].drop_duplicates())
        crossing += [f"{row.group_id}: validation and test of fold {row.fold}" for row in both.itertuples()]
        if crossing:
            raise DataError(listed(f"{self.source}: protocol strict, and {len(crossing)} groups cross:", crossing))
