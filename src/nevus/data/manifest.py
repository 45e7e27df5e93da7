"""The manifest: one row an image, checked once, so that nothing after it has to guess."""

import hashlib
import io
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.grouping import group_ids
from nevus.data.tables import read_table
from nevus.data.taxonomy import DIAGNOSES, MALIGNANT, SEXES, SITES
from nevus.errors import DataError, listed
from nevus.files import replacing
from nevus.recipe import Task

COLUMNS = (
    "image_id",
    "path",
    "dataset",
    "diagnosis",
    "target",
    "lesion_id",
    "patient_id",
    "group_id",
    "age_years",
    "sex",
    "site",
    "attribution",
    "license",
)
# Columns that must never be an input, and why: they say or betray the answer.
FORBIDDEN = {
    "benign_malignant": "it is the answer; `target` carries it",
    "concomitant_biopsy": "whether a biopsy was taken depends on the suspected diagnosis",
    "diagnosis_confirm_type": "how a diagnosis was confirmed depends on the diagnosis",
    "dx": "it is the answer; `diagnosis` carries it",
    "dx_type": "how a diagnosis was confirmed depends on the diagnosis",
    "file_size": "file sizes differ by source, and sources by diagnosis",
    "height": "image sizes differ by source, and sources by diagnosis",
    "iddx_full": "it is the answer in other words",
    "images_per_patient": "how often a patient was photographed depends on the diagnosis",
    "mel_thick_mm": "only melanomas have a thickness",
    "mel_mitotic_index": "only melanomas have one",
    "num_images": "how often a patient was photographed depends on the diagnosis",
    "tbp_lv_dnn_lesion_confidence": "another model's answer",
    "width": "image sizes differ by source, and sources by diagnosis",
    **{f"iddx_{level}": "it is the answer in other words" for level in range(1, 6)},
    **{f"diagnosis_{level}": "it is the answer in other words" for level in range(1, 6)},
}
_VOCABULARIES = {"diagnosis": DIAGNOSES, "sex": SEXES, "site": SITES}
_LOG = logging.getLogger("nevus")


@dataclass(frozen=True)
class Manifest:
    """Images with what is known of them.

    `frame` has exactly `COLUMNS`: text with "" for unknown, `target` nullable Int64 (1 malignant, 0 benign), `age_years` float
    with NaN for unknown. `path` is relative to `root`, the folder of the manifest. `path` of the dataclass is the file.
    """

    frame: pd.DataFrame
    root: Path
    path: Path

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def read(cls, path: Path | str, *, check_files: bool = True) -> "Manifest":
        """Read and check a manifest, CSV or Parquet.

        Raises
        ------
        DataError
            Every bad row is named at once, with its row in the file (the header is row 1), column, value and remedy.

        Examples
        --------
        >>> manifest = Manifest.read("manifest.csv")  # doctest: +SKIP
        """
        path = Path(path)
        table = read_table(path, required=("image_id", "path"))
        return cls.build(table, path.parent, path, check_files=check_files)

    @classmethod
    def build(
        cls,
        table: pd.DataFrame,
        root: Path,
        path: Path,
        *,
        links: Sequence[tuple[str, str]] = (),
        check_files: bool = True,
    ) -> "Manifest":
        """Check a table of text cells and complete it.

        Parameters
        ----------
        table
            Some of `COLUMNS`, at least `image_id` and `path`; every cell text, "" unknown.
        root
            The folder that relative paths start from.
        path
            What errors call the table.
        links
            Pairs of image ids that show the same lesion (near-duplicates); their groups become one.
        check_files
            Also see that every image file exists.
        """
        _check_columns(table, path)
        frame = pd.DataFrame({name: table.get(name, "") for name in COLUMNS}, index=table.index)
        frame = frame.apply(lambda column: column.str.strip())
        problems = _problems(frame)
        if check_files and not problems:
            present = _files_below(root, frame["path"])
            missing = frame["path"][[not _exists(root, name, present) for name in frame["path"]]]
            problems = [f"row {index + 2}: path {name!r}: no such file" for index, name in missing.items()]
        if problems:
            remedy = "Mend these rows; nothing was read."
            raise DataError(listed(f"{path}: {len(problems)} problems:", problems, remedy=remedy))
        frame = frame.reset_index(drop=True)
        frame["target"] = pd.to_numeric(frame["target"].replace("", None)).astype("Int64")
        implied = frame["diagnosis"].isin(MALIGNANT).astype("Int64").where(frame["diagnosis"] != "")
        frame["target"] = frame["target"].fillna(implied)
        frame["age_years"] = pd.to_numeric(frame["age_years"].replace("", None)).astype(np.float64)
        _warn_of_contradictions(frame, path)
        frame["group_id"] = group_ids(frame, links)
        return cls(frame, root, path)

    @property
    def sha256(self) -> str:
        """A hash of the rows without their paths: the same for CSV and Parquet, and wherever the images lie."""
        return hashlib.sha256(_csv(self.frame.drop(columns="path")).encode()).hexdigest()

    def write(self, path: Path | str) -> "Manifest":
        """Write the manifest, .csv or .parquet, with paths from its new folder, and return it as it now is."""
        path = Path(path)
        folder, root = path.parent.resolve(), self.root.resolve()
        frame = self.frame.copy()
        if folder != root:
            frame["path"] = [os.path.relpath(root / name, folder) for name in frame["path"]]
        with replacing(path) as beside:
            if path.suffix.lower() in (".parquet", ".pq"):
                frame.to_parquet(beside, index=False)
            else:
                beside.write_text(_csv(frame), encoding="utf-8")
        return Manifest(frame, path.parent, path)

    def paths(self) -> list[Path]:
        """The image files, in the order of the rows."""
        return [self.root / name for name in self.frame["path"]]

    def where(self, mask: "NDArray[np.bool_] | pd.Series[bool]") -> "Manifest":
        """The rows for which `mask` is true."""
        return Manifest(self.frame[np.asarray(mask)].reset_index(drop=True), self.root, self.path)

    def for_task(self, task: Task) -> tuple["Manifest", tuple[str, ...], NDArray[np.int64]]:
        """The rows that have an answer, the classes, and each row's class index.

        "diagnosis" asks for the diagnoses present, in the taxonomy's order; "malignant" for ("benign", "malignant").

        Raises
        ------
        DataError
            There are fewer than two classes.
        """
        column = "diagnosis" if task == "diagnosis" else "target"
        known = (self.frame["diagnosis"] != "") if task == "diagnosis" else self.frame["target"].notna()
        rows = self.where(known)
        if dropped := len(self) - len(rows):
            _LOG.warning("%s: %d of %d rows have no %s and are left out.", self.path, dropped, len(self), column)
        if task == "diagnosis":
            classes = tuple(name for name in DIAGNOSES if (rows.frame["diagnosis"] == name).any())
            targets = rows.frame["diagnosis"].map({name: index for index, name in enumerate(classes)}).to_numpy(np.int64)
        else:
            classes = ("benign", "malignant")
            targets = rows.frame["target"].to_numpy(np.int64)
        if len(np.unique(targets)) < 2:
            found = ", ".join(sorted({classes[index] for index in targets})) or "none"
            raise DataError(f"{self.path}: task {task!r} needs at least two classes; found {found}.")
        return rows, classes, targets.astype(np.int64)


def refuse_inputs(names: Sequence[str]) -> None:
    """Raise for columns that must not be inputs, with the reason for each.

    >>> refuse_inputs(["age", "dx_type"])
    Traceback (most recent call last):
    nevus.errors.DataError: refused as input:
      dx_type: how a diagnosis was confirmed depends on the diagnosis
    """
    if refused := [f"{name}: {FORBIDDEN[name]}" for name in names if name in FORBIDDEN]:
        raise DataError(listed("refused as input:", refused))


def _check_columns(table: pd.DataFrame, path: Path) -> None:
    extra = [name for name in table.columns if name not in COLUMNS]
    if extra:
        problems = [f"{name}: {FORBIDDEN.get(name, 'not a column of a manifest')}" for name in extra]
        remedy = f"A manifest has {', '.join(COLUMNS)}. `nevus prepare` makes one from a source's own table."
        raise DataError(listed(f"{path}: columns that do not belong here:", problems, remedy=remedy))
    if repeated := [str(name) for name in table.columns[table.columns.duplicated()]]:
        raise DataError(f"{path}: column {', '.join(repeated)} appears twice.")


def _problems(frame: pd.DataFrame) -> list[str]:
    """Every fault of every row, in the order of the rows; the header is row 1, and the index counts from the row after it."""
    found: list[tuple[int, str]] = []

    def add(mask: "pd.Series[bool]", column: str, expected: str) -> None:
        rows = frame.index.to_numpy(np.int64)[mask]
        found.extend((int(row), f"{column} {value!r}: {expected}") for row, value in zip(rows, frame[column][mask], strict=True))

    for column in ("image_id", "path"):
        add(frame[column] == "", column, "may not be empty")
    add(frame["image_id"].duplicated(keep=False) & (frame["image_id"] != ""), "image_id", "appears more than once")
    for column, vocabulary in _VOCABULARIES.items():
        unknown = ~frame[column].isin(("", *vocabulary))
        add(unknown, column, f"expected {', '.join(vocabulary)}, or empty where unknown")
    add(~frame["target"].isin(("", "0", "1")), "target", "expected 0 (benign), 1 (malignant), or empty where unknown")
    implied = frame["diagnosis"].isin(MALIGNANT).map({True: "1", False: "0"})
    judged = frame["target"].isin(("0", "1")) & frame["diagnosis"].isin(DIAGNOSES)
    add(judged & (frame["target"] != implied), "target", "contradicts the row's diagnosis")
    ages = pd.to_numeric(frame["age_years"], errors="coerce")
    wrong = (frame["age_years"] != "") & ~ages.between(0, 120)
    add(wrong, "age_years", "expected years from 0 to 120, or empty where unknown")
    return [f"row {index + 2}: {text}" for index, text in sorted(found, key=lambda item: item[0])]


def _files_below(root: Path, names: "pd.Series[str]") -> frozenset[str]:
    """What lies in the folders that the paths name: one listing a folder instead of one question an image."""
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120
    present: set[str] = set()
    for folder in folders:
        if (root / folder).is_dir():
            present.update(os.path.join(folder, entry) for entry in os.listdir(root / folder))  # noqa: PTH118, PTH208
    return frozenset(present)


def _exists(root: Path, name: str, present: frozenset[str]) -> bool:
    return name in present or (root / name).is_file()


def _warn_of_contradictions(frame: pd.DataFrame, path: Path) -> None:
    """Real archives hold a few lesions with two diagnoses or two patients: said once, grouped together, not refused."""
    for column, owner in (("diagnosis", "lesion_id"), ("patient_id", "lesion_id")):
        known = frame[(frame[column] != "") & (frame[owner] != "")]
        counts = known.groupby(["dataset", owner])[column].nunique()
        if len(several := counts[counts > 1]):
            examples = ", ".join(str(key[1]) for key in several.index[:5])
            _LOG.warning("%s: %d lesions have more than one %s: %s.", path, len(several), column, examples)


def _csv(frame: pd.DataFrame) -> str:
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()
