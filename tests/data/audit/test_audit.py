"""The document as programs read it, on phantoms with planted faults."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nevus.data.audit import apart, audit, num_crossing, read_audited
from nevus.data.audit.cleanup import cleanup, from_predictions
from nevus.data.audit.pool import pool
from nevus.data.manifest import Manifest
from nevus.data.splits import split
from nevus.errors import DataError


@pytest.fixture(scope="module")
def planted(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The phantoms, a copy of one under another patient's name, and a file that is no image."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(phantoms.root / "images", folder / "images")
    shutil.copy(folder / phantoms.frame["path"][0], folder / "images" / "copy.jpg")
    (folder / "images" / "bad.jpg").write_bytes(b"no image")
    rows = phantoms.frame.astype(object).where(phantoms.frame.notna(), "").astype(str)
    copy = rows.iloc[0].to_dict() | {"image_id": "copy", "path": "images/copy.jpg", "patient_id": "PX", "lesion_id": "LX"}
    bad = rows.iloc[1].to_dict() | {"image_id": "bad", "path": "images/bad.jpg", "patient_id": "PY", "lesion_id": "LY"}
    table = pd.concat([rows, pd.DataFrame([copy, bad])], ignore_index=True)
    return Manifest.build(table.assign(group_id=""), folder, folder / "m.csv").write(folder / "m.csv")


@pytest.fixture(scope="module")
def document(planted: Manifest) -> dict[str, Any]:
    split(planted, task="malignant", protocol="paper-zoome", num_folds=4).write(planted.root / "folds.csv")
    return audit([planted], folds=planted.root / "folds.csv")


def test_the_document_is_json_and_holds_what_was_planted(planted: Manifest, document: dict[str, Any]) -> None:
    json.dumps(document, allow_nan=False)
    first = planted.frame["image_id"][0]
    assert document["exact_duplicates"] == [[first, "copy"]]
    assert [name for name, _ in document["unreadable"]] == ["bad"]
    assert document["crossing"]["patients"]
    assert num_crossing(document) == sum(document["counts"]["num_crossing"].values()) > 0
    assert document["cleanup"]["num_removed"] > 0
    assert document["cleanup"]["words"].startswith("Removing")
    assert document["provenance"]["manifests"][0]["num_images"] == len(planted)
    titles = {sign["name"]: sign["title"] for sign in document["artefacts"]["datasets"][0]["signs"]}
    assert (titles["ink"], titles["black_corners"]) == ("ink (weak)", "black corners")


@pytest.mark.slow
def test_strict_folds_of_linked_groups_do_not_cross(planted: Manifest) -> None:
    rows = planted.frame.astype(object).where(planted.frame.notna(), "").astype(str).assign(group_id="")
    links = [(planted.frame["image_id"][0], "copy")]
    linked = Manifest.build(rows, planted.root, planted.path, links=links)
    split(linked, task="malignant", num_folds=3).write(planted.root / "strict.csv")
    found = audit([linked], folds=planted.root / "strict.csv")
    assert num_crossing(found) == 0
    assert found["cleanup"]["words"] == "Nothing would be removed."
    # The same folds without the link: the copy may lie anywhere, and is reported if it does.
    assert audit([linked])["cleanup"] is None


def test_a_copy_in_another_data_set_is_found(planted: Manifest, tmp_path: Path) -> None:
    shutil.copy(planted.paths()[3], tmp_path / "x.jpg")
    (tmp_path / "other.csv").write_text(f"image_id,path,dataset\n{planted.frame['image_id'][3]},x.jpg,other\n")
    found = audit([planted, Manifest.read(tmp_path / "other.csv")])
    name = planted.frame["image_id"][3]
    assert [f"phantom:{name}", f"other:{name}"] in found["exact_duplicates"]
    assert found["across"] == [[f"phantom:{name}", f"other:{name}"]]
    assert audit([planted])["across"] == [], "copies within one data set are not across two"


def test_a_manifest_is_parted_from_another_by_whole_groups(planted: Manifest, tmp_path: Path) -> None:
    groups = planted.frame["group_id"]
    # Not the group whose photograph the planted copy is of: that copy belongs to another.
    (shared, *_) = groups[groups.duplicated() & (groups != groups[0])]
    (first, *_) = np.flatnonzero(groups == shared)
    shutil.copy(planted.paths()[first], tmp_path / "y.jpg")
    (tmp_path / "other.csv").write_text("image_id,path,dataset\ny,y.jpg,other\n")
    left = apart(planted, audit([planted, Manifest.read(tmp_path / "other.csv")]))
    assert set(groups) - set(left.frame["group_id"]) == {shared}
    assert len(left) == len(planted) - (groups == shared).sum() < len(planted) - 1


def test_a_raw_table_is_read_and_its_columns_are_audited(planted: Manifest, tmp_path: Path) -> None:
    table = pd.read_csv(planted.path, dtype=str, keep_default_na=False)
    table["path"] = [str(planted.root / path) for path in table["path"]]
    table.assign(dx_type="histo").to_csv(tmp_path / "raw.csv", index=False)
    found = audit([read_audited(tmp_path / "raw.csv")])
    assert ("dx_type", "forbidden") in {(item["column"], item["kind"]) for item in found["columns"]}


@pytest.mark.slow
def test_a_clean_up_that_makes_the_test_easier_says_so(planted: Manifest, tmp_path: Path) -> None:
    frame = pool([planted])
    tested = np.arange(len(frame))
    removed = tested[::2]
    probability = np.where(np.isin(tested, removed), 0.3, 0.9)
    wrong = np.where(np.isin(tested, removed), 1.0, 0.0)
    wrong[:4] = [0, 1, 0, 1]
    found = cleanup(frame, removed, tested, probability, wrong, "by a test")
    assert "makes the test set easier" in found["words"]
    assert found["difficulty"]["probability_of_truth"]["kept"] == 0.9
    assert found["difficulty"]["error_rate"]["difference"]["high"] < 0
    assert "harder" in cleanup(frame, np.setdiff1d(tested, removed), tested, probability, wrong, "by a test")["words"]
    undecided = cleanup(frame, removed, tested, probability, np.full(len(frame), np.nan), "two classes")
    assert "easier: the true class has probability 0.900 among what stays, 0.300 among what goes" in undecided["words"]
    assert undecided["difficulty"]["error_rate"]["difference"] is None
    nothing = cleanup(frame, removed, tested, None, None, "")
    assert "not known" in nothing["words"]


def test_difficulty_from_predictions(planted: Manifest, tmp_path: Path) -> None:
    frame, path = pool([planted]), tmp_path / "predictions.csv"
    names = frame["name"][:2].tolist()
    path.write_text(
        f"image_id,target,split,p_nv,p_mel,p_bcc\n{names[0]},nv,,0.8,0.2,0\n{names[1]},nv,test,0.4,0.6,0\n"
        f"{names[1]},nv,validation,1,0,0\n"
    )
    probability, wrong = from_predictions(frame, path)
    assert probability[:2].tolist() == [0.8, 0.4]
    assert wrong[:2].tolist() == [0.0, 1.0]
    two = tmp_path / "two.csv"
    two.write_text(f"image_id,target,p_nv,p_mel\n{names[0]},nv,0.8,0.2\n")
    assert np.isnan(from_predictions(frame, two)[1]).all(), "between two classes a decision needs an operating point"
    assert np.isnan(probability[2:]).all()
    path.write_text("image_id,target,p_nv,p_mel\nstranger,nv,0.8,0.2\n")
    with pytest.raises(DataError, match="none of its images"):
        from_predictions(frame, path)
    path.write_text(f"image_id,target,p_nv,p_mel\n{names[0]},bcc,0.8,0.2\n")
    with pytest.raises(DataError, match="its target has no column"):
        from_predictions(frame, path)
