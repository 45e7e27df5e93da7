"""What training does with a pack whose images cannot all be read, or that holds one photo in two groups."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.recipe import Recipe
from nevus.training.run import begin_run


@pytest.fixture
def copied(phantoms: Manifest, tmp_path: Path) -> Manifest:
    """The phantoms where they may be spoilt."""
    shutil.copytree(phantoms.root / "images", tmp_path / "images")
    return Manifest(phantoms.frame, tmp_path, tmp_path / "manifest.csv")


def test_images_that_cannot_be_read_are_refused_or_left_out(
    copied: Manifest, phantoms: Manifest, tiny: Recipe, tmp_path: Path
) -> None:
    bad = copied.paths()[5]
    bad.write_bytes(b"")
    with pytest.raises(DataError, match=rf"(?s)1 of {len(copied)} images cannot be read.*{bad.name}: the file is empty"):
        begin_run(tiny, copied, tmp_path / "run")
    said: list[str] = []
    run = begin_run(tiny.with_settings(["data.unreadable=skip"]), copied, tmp_path / "skipping", said.append)
    assert bad.name in said[0]
    assert len(run.manifest) == len(run.pack) == len(run.targets) == len(copied) - 1
    assert copied.frame["image_id"][5] not in set(run.manifest.frame["image_id"])
    whole = begin_run(tiny, phantoms, tmp_path / "whole")
    assert (run.pack.image(5) == whole.pack.image(6)).all(), "rows and pixels stay together"


def test_tasks_with_other_rows_share_one_pack(copied: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    frame = copied.frame.copy()
    frame.loc[:9, "diagnosis"] = ""
    half = Manifest(frame, copied.root, copied.path)
    diagnosis = begin_run(tiny.with_settings(["data.task=diagnosis"]), half, tmp_path / "diagnosis")
    malignant = begin_run(tiny, half, tmp_path / "malignant")
    assert diagnosis.pack.path == malignant.pack.path
    assert len(diagnosis.pack) == len(malignant.pack) - 10
    assert (diagnosis.pack.image(0) == malignant.pack.image(10)).all()


def test_one_photo_in_two_groups_is_refused_under_strict_alone(copied: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    groups = pd.factorize(copied.frame["group_id"])[0]
    first, second = 0, int(np.flatnonzero(groups != groups[0])[0])
    shutil.copy(copied.paths()[first], copied.paths()[second])
    ids = copied.frame["image_id"]
    with pytest.raises(
        DataError, match=rf"(?s)1 pairs of images are pixel for pixel.*{ids[first]} and {ids[second]}.*nevus audit"
    ):
        begin_run(tiny, copied, tmp_path / "strict")
    begin_run(tiny.with_settings(["data.protocol=paper-zoome"]), copied, tmp_path / "paper")
