"""The manifest: one row an image, checked once, so that nothing after it has to guess."""

import hashlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute
from numpy.typing import NDArray

from nevus.data.grouping import group_ids
from nevus.data.image_files import find_missing, move_paths
from nevus.data.row_checks import find_problems, parse_ages, target_codes, warn_of_contradictions
from nevus.data.tables import as_arrow, number_values, read_table
from nevus.data.taxonomy import DIAGNOSES
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
# Columns that a manifest may have beside them: what figures are divided by, never an input.
OPTIONAL = ("skin_type",)
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
_LOG = logging.getLogger("nevus")


@dataclass(frozen=True)
class Manifest:
    """Images with what is known of them.

    `frame` has exactly `COLUMNS`, and those of `OPTIONAL` that were given: text with "" for unknown, `target` nullable Int64
    (1 malignant, 0 benign), `age_years` float with NaN for unknown. `path` is relative to `root`, the folder of the manifest, and
    never empty unless rows without an image were asked for. `path` of the dataclass is the file.
    """

    frame: pd.DataFrame
    root: Path
    path: Path

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def read(cls, path: Path | str, *, check_files: bool = True, without_images: bool = False) -> "Manifest":
        """Read and check a manifest, CSV or Parquet; `check_files` and `without_images` are those of `build`.

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
        return cls.build(table, path.parent, path, check_files=check_files, without_images=without_images)

    @classmethod
    def build(
        cls,
        table: pd.DataFrame,
        root: Path,
        path: Path,
        *,
        links: Sequence[tuple[str, str]] = (),
        check_files: bool = True,
        without_images: bool = False,
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
        without_images
            Accept rows with an empty path: an image that is not at hand. Nobody who reads images asks for them.
        """
        _check_columns(table, path)
        names = (*COLUMNS, *(name for name in OPTIONAL if name in table))
        frame = pd.DataFrame({name: table.get(name, "") for name in names}, index=table.index)
        frame = frame.apply(lambda column: column.str.strip())
        problems = find_problems(frame, without_images=without_images)
        if check_files and not problems:
            problems = [f"row {index + 2}: path {text}" for index, text in find_missing(root, frame["path"][frame["path"] != ""])]
        if problems:
            remedy = "Mend these rows; nothing was read."
            raise DataError(listed(f"{path}: {len(problems)} problems:", problems, remedy=remedy))
        frame = frame.reset_index(drop=True)
        targets, implied = target_codes(frame)
        targets = np.where(targets < 0, implied, targets)
        frame["age_years"] = parse_ages(frame)
        frame["target"] = pd.arrays.IntegerArray(targets, targets < 0)
        warn_of_contradictions(frame, path)
        frame["group_id"] = group_ids(frame, links)
        return cls(frame, root, path)

    @property
    def sha256(self) -> str:
        """A hash of the rows without their paths: the same for CSV and Parquet, and wherever the images lie."""
        digest = hashlib.sha256()
        for name in self.frame.columns:
            if name != "path":
                digest.update(f"{name}\n".encode())
                for part in _bytes_of(self.frame[name]):
                    digest.update(part)
        return digest.hexdigest()

    def write(self, path: Path | str) -> "Manifest":
        """Write the manifest, .csv or .parquet, with paths from its new folder, and return it as it now is."""
        path = Path(path)
        folder, root = path.parent.resolve(), self.root.resolve()
        frame = self.frame.copy()
        if folder != root:
            named = frame["path"] != ""
            frame.loc[named, "path"] = move_paths(frame["path"][named], root, folder)
        with replacing(path) as beside:
            if path.suffix.lower() in (".parquet", ".pq"):
                frame.to_parquet(beside, index=False)
            else:
                beside.write_text(_csv(frame), encoding="utf-8")
        return Manifest(frame, path.parent, path)

    def joined(self, links: Sequence[tuple[str, str]]) -> "Manifest":
        """The same rows, with the groups joined of each pair of image ids that show one photograph."""
        return Manifest(self.frame.assign(group_id=group_ids(self.frame, links)), self.root, self.path)

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
        rows = self if known.all() else self.where(known)
        if dropped := len(self) - len(rows):
            _LOG.warning("%s: %d of %d rows have no %s and are left out.", self.path, dropped, len(self), column)
        if task == "diagnosis":
            codes, present = number_values(rows.frame["diagnosis"])
            classes = tuple(name for name in DIAGNOSES if name in set(present))
            targets = np.array([classes.index(name) for name in present], np.int64)[codes]
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
    extra = [name for name in table.columns if name not in (*COLUMNS, *OPTIONAL)]
    if extra:
        problems = [f"{name}: {FORBIDDEN.get(name, 'not a column of a manifest')}" for name in extra]
        known = f"{', '.join(COLUMNS)}, and may have {', '.join(OPTIONAL)}"
        remedy = f"A manifest has {known}. `nevus prepare` makes one from a source's own table."
        raise DataError(listed(f"{path}: columns that do not belong here:", problems, remedy=remedy))
    if repeated := [str(name) for name in table.columns[table.columns.duplicated()]]:
        raise DataError(f"{path}: column {', '.join(repeated)} appears twice.")


def _bytes_of(column: "pd.Series[Any]") -> Iterator[bytes]:
    """A column's values, one after another, and where a text ends: equal bytes are equal columns."""
    if column.name == "target":
        yield column.fillna(-1).to_numpy("<i8").tobytes()
    elif column.name == "age_years":
        # Every NaN and both zeros are written alike.
        yield np.where(column.isna(), np.nan, column.to_numpy("<f8") + 0.0).tobytes()
    else:
        texts = as_arrow(column)
        yield pyarrow.compute.binary_length(texts).to_numpy().astype("<i8").tobytes()
        first, last = texts.offset, texts.offset + len(texts)
        ends = np.frombuffer(texts.buffers()[1], np.int64)
        yield bytes(memoryview(texts.buffers()[2] or b"")[ends[first] : ends[last]])


def _csv(frame: pd.DataFrame) -> str:
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue()
