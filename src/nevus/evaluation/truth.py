"""The answers to another program's predictions: a challenge's ground truth, or a manifest of ours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nevus.data import taxonomy
from nevus.data.grouping import group_ids
from nevus.data.manifest import Manifest
from nevus.data.row_checks import target_codes
from nevus.data.source_tables import blank, mapped, with_metadata
from nevus.data.sources import ONE_HOT, SOURCES, Request
from nevus.data.tables import read_table
from nevus.errors import DataError, listed

# What a predictions file of ours says of an image beside its answer.
DESCRIBING = ("group_id", "dataset", "lesion_id", "patient_id", "age_years", "sex", "site")
UNKNOWN = "unk"
# The challenge withdrew this image after it was published, and its scorer gives it no weight.
_WITHDRAWN = "ISIC_0035068"
# Each id column, and the source that calls it so.
_IDS = {"image_name": "isic2020", "isic_id": "isic-archive"}
_ANSWERS = ("target", "benign_malignant")


@dataclass(frozen=True)
class Truth:
    """Images with `diagnosis` ("" unknown), `malignant` ("benign", "malignant" or "") and what else is known of them.

    `frame` is indexed by image id; `uncounted` are images that the challenge's own scorer gives no weight.
    """

    frame: pd.DataFrame
    uncounted: frozenset[str]
    source: str

    @classmethod
    def read(cls, path: Path | str) -> "Truth":
        """Read a manifest, a one-hot table (`image,MEL,NV,…`), HAM10000's own table, or `image_name` or `isic_id` with
        `target` or `benign_malignant`: the header says which.

        Raises
        ------
        DataError
            The header is none of these, or rows are at fault: all are named.
        """
        path = Path(path)
        table = read_table(path)
        uncounted: set[str] = set()
        if {"image_id", "path"} <= set(table.columns):
            frame = Manifest.read(path, check_files=False, without_images=True).frame
        elif "image" in table and any(name in table for name in ONE_HOT):
            frame, uncounted = _one_hot(path, table)
        elif {"image_id", "dx"} <= set(table.columns):
            frame = SOURCES["ham10000"](Request(path, None, {}, ()))
        elif any(name in table for name in _IDS) and any(name in table for name in _ANSWERS):
            frame = _two_classes(path, table)
        else:
            raise DataError(
                f"{path}: no ground truth that is known here. It has {', '.join(table.columns)}. Expected a manifest of nevus, "
                "image and one-hot columns (MEL, NV, …), or image_name or isic_id with target or benign_malignant."
            )
        if repeated := frame["image_id"][frame["image_id"].duplicated()].unique().tolist():
            raise DataError(listed(f"{path}: {len(repeated)} images are there twice:", repeated, remedy="Keep one of each."))
        return cls(_complete(frame), frozenset(uncounted), str(path))

    def answers(self, ids: "pd.Series[str]", classes: list[str]) -> "pd.Series[str]":
        """The classes of images that are all there, in the words of `classes`; "" where it is not known."""
        if set(classes) == {"benign", "malignant"}:
            column = "malignant"
        elif unheard := [name for name in classes if name not in (*taxonomy.DIAGNOSES, UNKNOWN)]:
            raise DataError(f"{self.source}: says nothing of {', '.join(unheard)}; it knows diagnoses, benign and malignant.")
        else:
            column = "diagnosis"
        return self.frame[column].reindex(ids).reset_index(drop=True)

    def describing(self, ids: "pd.Series[str]") -> pd.DataFrame:
        """What else is known of the images, in their order; columns of which nothing is known are left out."""
        known = [name for name in DESCRIBING if name in self.frame and (self.frame[name].astype(str) != "").any()]
        return self.frame[known].reindex(ids).reset_index(drop=True)


def _one_hot(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """As `nevus prepare` reads it, with the images of the unknown class named, and those without weight."""
    frame = SOURCES["isic2019" if "SCC" in table else "isic2018"](Request(path, None, {}, ())).reset_index(drop=True)
    if UNKNOWN.upper() in table:
        frame.loc[pd.to_numeric(table[UNKNOWN.upper()]).to_numpy() == 1, "diagnosis"] = UNKNOWN
    uncounted = {_WITHDRAWN} & set(frame["image_id"])
    if "score_weight" in table:
        weights = pd.to_numeric(table["score_weight"], errors="coerce")
        wrong = np.flatnonzero(~weights.isin((0, 1)))
        if len(wrong):
            problems = [f"row {row + 2}: score_weight {table['score_weight'][row]!r}: expected 0 or 1" for row in wrong]
            raise DataError(listed(f"{path}: {len(problems)} weights cannot be counted:", problems))
        uncounted |= set(frame["image_id"][weights.to_numpy() == 0])
    return frame, uncounted


def _two_classes(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """ISIC 2020's training table, ISIC 2024's, or just an id and an answer."""
    ids, answer = (next(name for name in names if name in table) for names in (_IDS, _ANSWERS))
    frame = blank(table[ids], _IDS[ids], "", "")
    frame["target"] = mapped(path, table, answer, taxonomy.malignant, required=True)
    for name in ("lesion_id", "patient_id"):
        frame[name] = table.get(name, "")
    sites = ("anatom_site_general_challenge", "anatom_site_general")
    site = next((name for name in sites if name in table), sites[0])
    return with_metadata(frame, path, table, age="age_approx", sex="sex", site=site)


def _complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Both questions' answers, and groups where a patient or a lesion is named."""
    frame = frame.reset_index(drop=True)
    if (frame["group_id"] == "").all() and (frame[["lesion_id", "patient_id"]] != "").any(axis=None):
        frame["group_id"] = group_ids(frame)
    given, implied = target_codes(
        frame.assign(target=frame["target"].astype(object).where(frame["target"].notna(), "").astype(str))
    )
    codes = np.where(given < 0, implied, given)
    frame["malignant"] = np.select([codes == 1, codes == 0], ["malignant", "benign"], "")
    return frame.drop(columns="path").set_index("image_id", drop=False)
