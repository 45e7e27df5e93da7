"""The predictions file, ours or any other program's, checked before a figure is made of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.splits import PROTOCOLS
from nevus.data.tables import read_table
from nevus.errors import DataError, listed
from nevus.files import write

_PREFIX = "p_"
_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Predictions:
    """Rows of `image_id, fold, split, target, p_<class>…` and more; `source` is what errors call them."""

    frame: pd.DataFrame
    source: str = "predictions"

    @classmethod
    def read(cls, path: Path | str) -> "Predictions":
        """Read a predictions file.

        Raises
        ------
        DataError
            Columns are missing, or rows are at fault: all are named with their row (the header is row 1), column and value.
        """
        table = read_table(path, required=("image_id", "target"))
        return cls.from_frame(table, str(path))

    @classmethod
    def from_frame(cls, table: pd.DataFrame, source: str = "predictions") -> "Predictions":
        """Check a table; `fold` is 0, `split` is test and `group_id` stays absent where a column is absent."""
        classes = [name for name in table.columns if str(name).startswith(_PREFIX)]
        if len(classes) < 2:
            raise DataError(
                f"{source}: needs a column p_<class> for each of at least two classes. It has {', '.join(table.columns)}."
            )
        frame = table.reset_index(drop=True).copy()
        frame["image_id"], frame["target"] = frame["image_id"].astype(str), frame["target"].astype(str)
        frame["split"] = frame.get("split", pd.Series("test", index=frame.index)).replace("", "test")
        folds = pd.to_numeric(frame.get("fold", pd.Series(0, index=frame.index)), errors="coerce")
        numbers = frame[classes].apply(pd.to_numeric, errors="coerce")
        problems = _problems(frame, folds, numbers)
        if problems:
            raise DataError(
                listed(f"{source}: {len(problems)} problems:", problems, remedy="Mend these rows; nothing was evaluated.")
            )
        frame["fold"], frame[classes] = folds.astype(np.int64), numbers.astype(np.float64)
        if "age_years" in frame:
            frame["age_years"] = pd.to_numeric(frame["age_years"], errors="coerce")
        predictions = cls(frame, source)
        predictions._check_groups()
        return predictions

    def write(self, path: Path | str) -> None:
        """Write the file, wholly or not at all; probabilities are exact."""
        write(path, self.frame.to_csv(index=False, lineterminator="\n"))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their columns."""
        return tuple(name.removeprefix(_PREFIX) for name in self.frame.columns if name.startswith(_PREFIX))

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
        return frame[[_PREFIX + name for name in self.classes]].to_numpy(np.float64)

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


def _problems(frame: pd.DataFrame, folds: "pd.Series[float]", numbers: pd.DataFrame) -> list[str]:
    found: list[tuple[int, str]] = []

    def add(mask: "NDArray[np.bool_] | pd.Series[bool]", column: str, expected: str) -> None:
        rows = np.flatnonzero(np.asarray(mask))
        found.extend((int(row), f"{column} {frame[column][row]!r}: {expected}") for row in rows)

    classes = [name.removeprefix(_PREFIX) for name in numbers.columns]
    add(~frame["target"].isin(classes), "target", f"expected one of {', '.join(classes)}")
    add(~frame["split"].isin(_SPLITS), "split", "expected validation or test")
    if "fold" in frame:
        add(folds.isna() | (folds % 1 != 0), "fold", "expected a whole number")
    if "protocol" in frame:
        known = frame["protocol"].isin(("", *PROTOCOLS))
        add(~known, "protocol", f"expected one of {', '.join(PROTOCOLS)}")
        add(known & (frame["protocol"] != frame["protocol"].iloc[0]), "protocol", "differs from the first row's")
    for column in numbers:
        add(~numbers[column].between(0, 1), str(column), "expected a probability from 0 to 1")
    valid = numbers.apply(lambda column: column.between(0, 1)).all(axis=1)
    sums = numbers.sum(axis=1)
    wrong = np.flatnonzero(valid & ((sums - 1).abs() > 1e-3))
    found.extend((int(row), f"the probabilities sum to {sums[row]:.4f}: expected 1") for row in wrong)
    test = frame["split"] == "test"
    add(test & frame["image_id"].where(test).duplicated(keep=False), "image_id", "is tested more than once")
    keys = frame[["image_id"]].assign(fold=folds)[frame["split"] == "validation"]
    repeated = keys[keys.duplicated(keep=False)].index
    found.extend((int(row), f"image_id {frame['image_id'][row]!r}: twice among a fold's validation rows") for row in repeated)
    if not test.any():
        found.append((-1, "no test rows"))
    return [f"row {row + 2}: {text}" if row >= 0 else text for row, text in sorted(found, key=lambda item: item[0])]
