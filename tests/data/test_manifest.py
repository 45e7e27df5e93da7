from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nevus.data.grouping import group_ids
from nevus.data.manifest import COLUMNS, FORBIDDEN, Manifest, refuse_inputs
from nevus.errors import DataError

HEADER = "image_id,path,dataset,diagnosis,target,lesion_id,patient_id,age_years,sex,site\n"
GOOD = HEADER + (
    "a,images/a.jpg,d,mel,,L1,P1,61,female,torso\nb,images/b.jpg,d,nv,0,L2,P1,,,\nc,images/c.jpg,d,,,L3,,40.5,male,head/neck\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in "abc":
        (tmp_path / "images" / f"{name}.jpg").touch()
    return tmp_path


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_manifest_is_read_completed_and_typed(folder: Path) -> None:
    frame = Manifest.read(written(folder, GOOD)).frame
    assert tuple(frame.columns) == COLUMNS
    assert frame["target"].tolist()[:2] == [1, 0]
    assert pd.isna(frame["target"][2])
    assert frame["age_years"].tolist()[0] == 61
    assert pd.isna(frame["age_years"][1])
    assert frame["group_id"].tolist() == ["d:P1", "d:P1", "d:L3"]
    assert frame["sex"].tolist() == ["female", "", "male"]


def test_a_byte_order_mark_and_windows_newlines_change_nothing(folder: Path) -> None:
    plain = Manifest.read(written(folder, GOOD))
    windows = Manifest.read(written(folder, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()))
    assert windows.sha256 == plain.sha256


def test_csv_and_parquet_are_the_same_manifest(folder: Path) -> None:
    manifest = Manifest.read(written(folder, GOOD))
    for name in ("again.csv", "again.parquet"):
        manifest.write(folder / name)
        again = Manifest.read(folder / name)
        assert again.sha256 == manifest.sha256
        pd.testing.assert_frame_equal(again.frame, manifest.frame)


def test_a_manifest_written_elsewhere_still_finds_its_images(folder: Path) -> None:
    manifest = Manifest.read(written(folder, GOOD)).write(folder / "deep" / "down" / "m.csv")
    assert all(path.exists() for path in Manifest.read(manifest.path).paths())
    assert manifest.sha256 == Manifest.read(folder / "manifest.csv").sha256


def test_every_bad_row_is_named_at_once(folder: Path) -> None:
    text = HEADER + (
        "a,images/a.jpg,d,mel,0,L1,P1,61,female,torso\n"
        "a,images/a.jpg,d,wart,2,,,-1,x,moon\n"
        ",,d,nv,nan,,,999,,\n"
        "b,images/b.jpg,d,nv,0,,,old,,\n"
    )
    with pytest.raises(DataError) as caught:
        Manifest.read(written(folder, text))
    message = str(caught.value)
    for part in (
        "manifest.csv: 13 problems",
        "row 2: image_id 'a': appears more than once",
        "row 2: target '0': contradicts the row's diagnosis",
        "row 3: image_id 'a'",
        "row 3: diagnosis 'wart': expected akiec",
        "row 3: sex 'x': expected female, male",
        "row 3: site 'moon'",
        "row 3: target '2': expected 0 (benign), 1 (malignant)",
        "row 3: age_years '-1': expected years from 0 to 120",
        "row 4: image_id ''",
        "row 4: path ''",
        "row 4: target 'nan'",
        "row 4: age_years '999'",
        "row 5: age_years 'old'",
    ):
        assert part in message, part


def test_missing_images_are_named(folder: Path) -> None:
    (folder / "images" / "a.jpg").unlink()
    (folder / "images" / "c.jpg").unlink()
    path = written(folder, GOOD)
    with pytest.raises(DataError, match=r"(?s)2 problems.*row 2: path 'images/a.jpg': no such file.*row 4: path 'images/c.jpg'"):
        Manifest.read(path)
    assert len(Manifest.read(path, check_files=False)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "a header and no row"),
        (GOOD.replace(",", ";"), "separated by semicolons"),
        (GOOD.replace(",", "\t"), "separated by tabs"),
        ("path,dataset\nx,y\n", "no column image_id"),
        (GOOD.replace("site\n", "dx_type\n"), "dx_type: how a diagnosis was confirmed depends on the diagnosis"),
        (GOOD.replace("site\n", "mood\n"), "mood: not a column of a manifest"),
        (b"\xff\xfe\x00a", "not UTF-8"),
        (GOOD + "d,e,f,g,h,i,j,k,l,m,n,o\n", "not a table"),
    ],
)
def test_files_that_are_no_manifest(folder: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Manifest.read(written(folder, text))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Manifest.read(tmp_path / "none.csv")
    (tmp_path / "none.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="not a Parquet file"):
        Manifest.read(tmp_path / "none.parquet")


def test_the_tasks(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = Manifest.read(written(folder, GOOD))
    rows, classes, targets = manifest.for_task("diagnosis")
    assert classes == ("mel", "nv")
    assert (len(rows), targets.tolist()) == (2, [0, 1])
    assert "1 of 3 rows have no diagnosis" in caplog.text
    _, classes, targets = manifest.for_task("malignant")
    assert classes == ("benign", "malignant")
    assert targets.tolist() == [1, 0]
    with pytest.raises(DataError, match="needs at least two classes; found mel"):
        manifest.where(manifest.frame["diagnosis"] == "mel").for_task("diagnosis")


def test_two_diagnoses_of_one_lesion_are_said_and_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = Manifest.read(written(folder, GOOD.replace("L2", "L1")))
    assert "1 lesions have more than one diagnosis: L1" in caplog.text
    assert len(manifest) == 3


@pytest.mark.parametrize(
    "name", ["dx_type", "benign_malignant", "diagnosis_confirm_type", "file_size", "images_per_patient", "iddx_3"]
)
def test_what_betrays_the_answer_is_refused_by_name(name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: "):
        refuse_inputs(["age", name])
    assert FORBIDDEN[name]
    refuse_inputs(["age", "sex", "site"])


def frame(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image_id", "dataset", "lesion_id", "patient_id"]).assign(group_id="")


def test_groups_are_chains_of_shared_ids_and_links() -> None:
    rows = [
        ("a", "d", "L1", ""),
        ("b", "d", "L1", "P1"),
        ("c", "d", "L9", "P1"),
        ("e", "d", "", ""),
        ("f", "d", "", ""),
        ("g", "x", "L1", ""),
    ]
    assert group_ids(frame(rows)).tolist() == ["d:P1", "d:P1", "d:P1", "d:e", "d:f", "x:L1"]
    assert group_ids(frame(rows), [("e", "c"), ("f", "g")]).tolist() == ["d:P1"] * 4 + ["x:L1"] * 2
    reversed_rows = group_ids(frame(rows[::-1])).tolist()
    assert reversed_rows == ["x:L1", "d:f", "d:e", "d:P1", "d:P1", "d:P1"]
    with pytest.raises(DataError, match="1 links name images"):
        group_ids(frame(rows), [("a", "zzz")])


def test_the_hash_tells_any_other_cell_and_is_blind_to_how_and_where_the_manifest_is_kept(folder: Path) -> None:
    first = Manifest.read(written(folder, GOOD))
    rows = first.where(np.array([True, True, True]))
    assert rows.sha256 == first.sha256
    assert Manifest(first.frame.assign(path="elsewhere"), folder, folder).sha256 == first.sha256
    assert Manifest(first.frame.astype({"lesion_id": object}), folder, folder).sha256 == first.sha256
    others = [first.where(np.array([True, True, False])), Manifest(first.frame.iloc[::-1], folder, folder)]
    for column in COLUMNS:
        if column != "path":
            changed = first.frame.copy()
            value = {"target": 0, "age_years": 62.0}.get(column, "other")
            changed.loc[0, column] = value
            others.append(Manifest(changed, folder, folder))
    moved = first.frame.assign(lesion_id=["L", "1L2", "L3"])  # the same letters, divided elsewhere
    others.append(Manifest(moved, folder, folder))
    assert len({first.sha256, *(other.sha256 for other in others)}) == len(others) + 1


def test_images_in_a_folder_that_may_not_be_listed_are_looked_up_one_by_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("nevus.data.image_files.os.listdir", refuse)
    assert len(Manifest.read(written(folder, GOOD))) == 3
    with pytest.raises(DataError, match=r"(?s)1 problems.*row 3: path 'images/z.jpg': no such file"):
        Manifest.read(written(folder, GOOD.replace("images/b.jpg", "images/z.jpg")))


def test_paths_of_any_form_are_found_and_moved(folder: Path) -> None:
    path = written(folder, GOOD.replace("images/a.jpg", "images/../images/a.jpg"))
    assert len(Manifest.read(path)) == 3
    absolute = written(folder, GOOD.replace("images/b.jpg", str(folder / "images" / "b.jpg")))
    moved = Manifest.read(absolute).write(folder / "deep" / "m.csv")
    assert moved.frame["path"].tolist() == ["../images/a.jpg", "../images/b.jpg", "../images/c.jpg"]
    (folder / "images" / "a.jpg").rename(folder / "a.jpg")
    beside = Manifest.read(written(folder, GOOD.replace("images/a.jpg", "a.jpg"))).write(folder / "images" / "m.csv")
    assert beside.frame["path"].tolist() == ["../a.jpg", "b.jpg", "c.jpg"]
