"""The images of all manifests given, as one table with names that are unambiguous."""

from collections.abc import Sequence

import pandas as pd

from nevus.data.manifest import Manifest
from nevus.errors import DataError


def pool(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """The rows of all manifests with three more columns.

    `name` is the image id where no other data set has it too, else `dataset:image_id`; `file` the image's path; `answer` the
    diagnosis, "benign" or "malignant" where only that is known, "" where nothing is. An id that is unknown (a lesion's, a
    patient's) stays ""; ids of groups, lesions and patients are those of their data set.

    Raises
    ------
    DataError
        No manifest is given, or two have an image of one data set and id: one was given twice.
    """
    if not manifests:
        raise DataError("No manifest to audit. Give at least one.")
    frame = pd.concat([_rows(manifest) for manifest in manifests], ignore_index=True)
    full = frame["dataset"] + ":" + frame["image_id"]
    if (twice := full[full.duplicated()]).size:
        raise DataError(f"{len(twice)} images are in two of the manifests, {twice.iloc[0]} first. Give each data set once.")
    frame["name"] = frame["image_id"].where(~frame["image_id"].duplicated(keep=False), full)
    told = frame["target"].map({0: "benign", 1: "malignant"}).fillna("")
    frame["answer"] = frame["diagnosis"].where(frame["diagnosis"] != "", told)
    return frame


def _rows(manifest: Manifest) -> pd.DataFrame:
    return manifest.frame.assign(file=pd.Series(manifest.paths(), dtype=object))
