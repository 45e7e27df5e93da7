from pathlib import Path

import pandas as pd
import pytest

from nevus.data.audit.leaks import contradictions, crossing, folds_of, read_folds
from nevus.data.audit.pool import pool
from nevus.data.manifest import Manifest
from nevus.errors import DataError


def manifest(rows: str, dataset: str = "a") -> Manifest:
    table = pd.DataFrame([row.split(",") for row in rows.split()], columns=["image_id", "lesion_id", "patient_id", "diagnosis"])
    return Manifest.build(
        table.assign(path=table["image_id"], dataset=dataset), Path(), Path(f"{dataset}.csv"), check_files=False
    )


def test_what_spans_folds_is_counted_by_hand(tmp_path: Path) -> None:
    frame = pool([manifest("i1,L1,P1,nv i2,L1,P1,nv i3,L2,P1,mel i4,L3,,nv i5,L4,,nv i6,,,nv")])
    (tmp_path / "folds.csv").write_text("image_id,fold\ni1,0\ni2,0\ni3,1\ni4,2\ni5,0\ni6,10\ni6,2\nstranger,1\n")
    assigned = folds_of(frame, read_folds(tmp_path / "folds.csv"))
    found = crossing(frame, assigned, [[3, 4]])
    assert found["images"] == [{"name": "i6", "ids": ["i6"], "folds": ["2", "10"]}]
    assert found["duplicates"] == [{"name": "i4", "ids": ["i4", "i5"], "folds": ["0", "2"]}]
    assert found["lesions"] == []
    assert found["patients"] == [{"name": "a:P1", "ids": ["i1", "i2", "i3"], "folds": ["0", "1"]}]
    assert [item["name"] for item in found["groups"]] == ["a:P1", "a:i6"]


def test_our_own_folds_and_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text("# nevus folds task=diagnosis\nimage_id,fold\ni1,-1\ni2,0\n")
    (tmp_path / "theirs.csv").write_text("﻿fold,image_id,more\ntrain,i1,x\ntest,i2,y\n")
    assert read_folds(tmp_path / "ours.csv")["fold"].tolist() == ["-1", "0"]
    assert read_folds(tmp_path / "theirs.csv")["fold"].tolist() == ["train", "test"]
    (tmp_path / "bad.csv").write_text("# x\nimage_id,fold\ni1,0\ni2,\n")
    with pytest.raises(DataError, match="1 rows have no image_id or no fold, row 4 first"):
        read_folds(tmp_path / "bad.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_folds(tmp_path / "missing.csv")


def test_equal_ids_of_two_sets_stay_apart() -> None:
    frame = pool([manifest("i1,L1,P1,nv i2,L2,,nv"), manifest("i1,L1,P1,mel i3,,,nv", "b")])
    assert frame["name"].tolist() == ["a:i1", "i2", "b:i1", "i3"]
    folds = pd.DataFrame({"image_id": ["i1", "b:i1"], "fold": ["0", "1"]})
    assert folds_of(frame, folds) == {0: ["0"], 2: ["1"]}
    assert not any(crossing(frame, folds_of(frame, folds), []).values())
    with pytest.raises(DataError, match="Give each data set once"):
        pool([manifest("i1,L1,P1,nv"), manifest("i1,L1,P1,nv")])
    with pytest.raises(DataError, match="No manifest"):
        pool([])


def test_contradictions() -> None:
    frame = pool([manifest("i1,L1,P1,nv i2,L1,P2,mel i3,L2,P1,nv i4,L2,,")])
    found = contradictions(frame)
    assert found["lesions_with_two_diagnoses"] == [
        {"lesion_id": "L1", "dataset": "a", "values": ["mel", "nv"], "ids": ["i1", "i2"]}
    ]
    assert [item["values"] for item in found["lesions_with_two_patients"]] == [["P1", "P2"]]
