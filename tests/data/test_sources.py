"""Every source through `prepare`, on tables of a few rows as they are published, and everything that may be wrong with them."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from nevus.data.image_files import index_images
from nevus.data.manifest import COLUMNS, Manifest
from nevus.data.sources import SOURCES, Request, prepare
from nevus.errors import DataError

HAM = """lesion_id,image_id,dx,dx_type,age,sex,localization
HAM_1,ISIC_1,bkl,histo,80.0,male,scalp
HAM_1,ISIC_2,bkl,histo,80.0,male,scalp
HAM_2,ISIC_3,nv,follow_up,,unknown,unknown
HAM_3,ISIC_4,vasc,consensus,0.0,female,genital
"""
TRUTH_2018 = (
    "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_1,1.0,0.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,0,0,0,1,0,0,0\nISIC_3,0,0,0,0,1,0,0\n"
)
TRUTH_2019 = """image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK
ISIC_1_downsampled,0.0,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0
ISIC_2,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0
ISIC_3,0.0,0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0
ISIC_4,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0
"""
META_2019 = """image,age_approx,anatom_site_general,lesion_id,sex
ISIC_3,,,,
ISIC_2,85+,anterior torso,BCN_7,female
ISIC_1_downsampled,55.0,palms/soles,MSK4_11,male
"""
TRAIN_2020 = """image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target
ISIC_1,IP_1,male,45.0,head/neck,unknown,benign,0
ISIC_2,IP_1,female,45.0,,melanoma,malignant,1
ISIC_3,IP_2,,,oral/genital,nevus,benign,0
ISIC_4,IP_3,female,90.0,torso,cafe-au-lait macule,benign,0
"""
LEVELS = "anatom_site_1,anatom_site_2,anatom_site_3,diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_4,diagnosis_5"
VASCULAR = "Benign,Benign soft tissue proliferations - Vascular"
ARCHIVE = f"""isic_id,attribution,copyright_license,age_approx,{LEVELS},lesion_id,patient_id,sex
ISIC_1,"Hospital Clínic, Barcelona",CC-BY-NC,85+,Head and neck,Head,Scalp,{VASCULAR},,,,IL_1,IP_1,male
ISIC_2,ViDIR,CC-0,60,Trunk,,,Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma in situ,,,IL_2,IP_1,female
ISIC_3,ViDIR,CC-BY,,,,,Malignant,Collision - At least one malignant proliferation,,,,,,
ISIC_4,ViDIR,CC-BY,30,Lower extremity,Foot,Sole of foot,Indeterminate,Indeterminate melanocytic proliferations,,,,IL_4,,
"""
TABLES = {"ham10000": HAM, "isic2018": TRUTH_2018, "isic2019": TRUTH_2019, "isic2020": TRAIN_2020, "isic-archive": ARCHIVE}
NUM_IMAGES = {"ham10000": 4, "isic2018": 3, "isic2019": 4, "isic2020": 4, "isic-archive": 4}
LICENSES = {source: {"CC-BY-NC-4.0"} for source in TABLES} | {"isic-archive": {"CC-BY-NC", "CC-0", "CC-BY"}}
CREDITS = {
    "ham10000": "Tschandl",
    "isic2018": "Codella",
    "isic2019": "Combalia",
    "isic2020": "Rotemberg",
    "isic-archive": "ViDIR|Hospital",
}


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), (180, 120, 100)).save(buffer, "JPEG")
    return buffer.getvalue()


PHOTO = jpeg()


def photos(folder: Path, names: Sequence[str] = ("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg", "ISIC_4.jpg")) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PHOTO)
    return folder


def written(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def prepared(folder: Path, source: str, text: str | bytes | None = None, missing: str = "error") -> Manifest:
    table = written(folder, TABLES[source] if text is None else text)
    images = folder / "images"
    return prepare(source, images=[images if images.exists() else photos(images)], metadata=table, missing=missing)


def refused(folder: Path, source: str, text: str | bytes | None = None) -> str:
    with pytest.raises(DataError) as caught:
        prepared(folder, source, text)
    return str(caught.value)


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def test_ham10000(tmp_path: Path) -> None:
    frame = prepared(tmp_path, "ham10000").frame
    assert frame["image_id"].tolist() == ["ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4"]
    assert frame["diagnosis"].tolist() == ["bkl", "bkl", "nv", "vasc"]
    assert frame["target"].tolist() == [0, 0, 0, 0]
    assert frame["age_years"].fillna(-1).tolist() == [80, 80, -1, 0]
    assert frame["sex"].tolist() == ["male", "male", "", "female"]
    assert frame["site"].tolist() == ["head/neck", "head/neck", "", "oral/genital"]
    assert frame["group_id"].tolist() == ["ham10000:HAM_1", "ham10000:HAM_1", "ham10000:HAM_2", "ham10000:HAM_3"]


@pytest.mark.parametrize("source", list(TABLES))
def test_every_source_fills_the_contracts_columns_and_finds_its_files(tmp_path: Path, source: str) -> None:
    manifest = prepared(tmp_path, source)
    assert tuple(manifest.frame.columns) == COLUMNS
    assert len(manifest) == NUM_IMAGES[source]
    assert set(manifest.frame["dataset"]) == {source}
    assert manifest.frame["attribution"].str.contains(CREDITS[source]).all()
    assert set(manifest.frame["license"]) == LICENSES[source]
    assert all(path.read_bytes() == PHOTO for path in manifest.paths())
    assert [path.stem for path in manifest.paths()] == manifest.frame["image_id"].tolist()
    again = Manifest.read(manifest.write(tmp_path / "deep" / "manifest.csv").path)
    pd.testing.assert_frame_equal(again.frame.drop(columns="path"), manifest.frame.drop(columns="path"))


def test_one_hot_columns_count_by_name_and_not_by_place(tmp_path: Path) -> None:
    assert prepared(tmp_path, "isic2018").frame["diagnosis"].tolist() == ["mel", "akiec", "bkl"]
    assert prepared(tmp_path, "isic2019").frame["diagnosis"].tolist() == ["bkl", "scc", "akiec", ""]
    table = pd.read_csv(io.StringIO(TRUTH_2019), dtype=str)
    turned = table[table.columns[::-1]].to_csv(index=False)
    assert prepared(tmp_path, "isic2019", turned).frame["diagnosis"].tolist() == ["bkl", "scc", "akiec", ""]


def test_an_unknown_diagnosis_has_no_target(tmp_path: Path) -> None:
    frame = prepared(tmp_path, "isic2019").frame
    assert frame["target"].tolist()[:3] == [0, 1, 1]
    assert pd.isna(frame["target"][3])


@pytest.mark.parametrize("shorten", [lambda text: text, lambda text: text.replace("_downsampled", "")], ids=["both", "one"])
def test_a_second_table_adds_lesions_and_metadata_by_id(tmp_path: Path, shorten: Callable[[str], str]) -> None:
    images = photos(tmp_path / "images", ("ISIC_1_downsampled.jpg", "ISIC_2.JPG", "deep/ISIC_3.jpeg", "ISIC_4.png"))
    tables = written(tmp_path, TRUTH_2019), written(tmp_path, shorten(META_2019), "meta.csv")
    frame = prepare("isic2019", images=[images], metadata=tables[0], lesions=tables[1]).frame
    assert frame["image_id"].tolist() == ["ISIC_1", "ISIC_2", "ISIC_3", "ISIC_4"]
    assert frame["lesion_id"].tolist() == ["MSK4_11", "BCN_7", "", ""]
    assert frame["age_years"].fillna(-1).tolist() == [55, 85, -1, -1]
    assert frame["sex"].tolist() == ["male", "female", "", ""]
    assert frame["site"].tolist() == ["palms/soles", "torso", "", ""]


def test_a_second_table_without_ages_still_gives_the_rest(tmp_path: Path) -> None:
    meta = written(tmp_path, "image,sex\nISIC_2,female\n", "meta.csv")
    table, images = written(tmp_path, TRUTH_2018), photos(tmp_path / "images")
    frame = prepare("isic2018", images=[images], metadata=table, lesions=meta).frame
    assert frame["sex"].tolist() == ["", "female", ""]


def test_isic2020_has_a_target_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = prepared(tmp_path, "isic2020").frame
    assert frame["target"].tolist() == [0, 1, 0, 0]
    assert frame["diagnosis"].tolist() == ["", "mel", "nv", ""]
    assert frame["age_years"].fillna(-1).tolist() == [45, 45, -1, 90]
    assert frame["sex"].tolist() == ["male", "female", "", "female"]
    assert frame["site"].tolist() == ["head/neck", "", "oral/genital", "torso"]
    assert frame["group_id"].tolist() == ["isic2020:IP_1", "isic2020:IP_1", "isic2020:IP_2", "isic2020:IP_3"]
    assert "1 rows have a diagnosis that is none of ours: 'cafe-au-lait macule' in 1" in caplog.text
    without = "\n".join(",".join(line.split(",")[:5] + line.split(",")[7:]) for line in TRAIN_2020.splitlines())
    assert prepared(tmp_path, "isic2020", without).frame["target"].tolist() == [0, 1, 0, 0]


def test_a_table_of_lesions_joins_duplicates_of_several_patients(tmp_path: Path) -> None:
    lesions = written(tmp_path, "image_name,lesion_id\nISIC_4.jpg,IL_8\nISIC_3,IL_9\nISIC_1,IL_9\nISIC_77,IL_7\n", "lesions.csv")
    table, images = written(tmp_path, TRAIN_2020), photos(tmp_path / "images")
    frame = prepare("isic2020", images=[images], metadata=table, lesions=lesions).frame
    assert frame["lesion_id"].tolist() == ["IL_9", "", "IL_9", "IL_8"]
    assert frame["group_id"].nunique() == 2
    assert frame["group_id"][0] == frame["group_id"][2]
    assert frame["group_id"][3] == "isic2020:IP_3"


@pytest.mark.parametrize(("source", "column"), [("isic2020", "image_name"), ("isic2019", "image")])
def test_a_table_of_lesions_that_contradicts_itself_or_is_anothers(tmp_path: Path, source: str, column: str) -> None:
    table, images = written(tmp_path, TABLES[source]), photos(tmp_path / "images")
    header = f"{column},lesion_id\n"
    for text, message in (
        (header + "ISIC_1,A\nISIC_2,B\nISIC_1.jpg,C\nISIC_2,B\n", r"2 images have several rows:\n  ISIC_1\n  ISIC_2\n"),
        (header + "HAM_1,A\n", "none of its images is in the other table. Its first is HAM_1"),
        ("isic_id,lesion_id\nISIC_1,A\n", f"no column {column}. It has isic_id, lesion_id"),
    ):
        lesions = written(tmp_path, text, "lesions.csv")
        with pytest.raises(DataError, match=r"lesions\.csv: " + message):
            prepare(source, images=[images], metadata=table, lesions=lesions)


def whole_2020(num_malignant: int) -> str:
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target\n"
    return header + "".join(f"ISIC_{number},IP_{number},,,,{int(number <= num_malignant)}\n" for number in range(1, 33_127))


@pytest.mark.slow
def test_the_whole_of_isic2020_has_584_melanomas(tmp_path: Path) -> None:
    rows = SOURCES["isic2020"](Request(written(tmp_path, whole_2020(584)), None, {}, []))
    assert rows["target"].value_counts().to_dict() == {"0": 32_542, "1": 584}
    with pytest.raises(DataError, match=r"table\.csv: 594 malignant of 33126; the published table has 584"):
        SOURCES["isic2020"](Request(written(tmp_path, whole_2020(594)), None, {}, []))


def test_the_archives_hierarchical_columns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = prepared(tmp_path, "isic-archive").frame
    assert frame["diagnosis"].tolist() == ["vasc", "mel", "", ""]
    assert frame["target"].tolist()[:3] == [0, 1, 1]
    assert pd.isna(frame["target"][3])
    assert frame["site"].tolist() == ["head/neck", "torso", "", "palms/soles"]
    assert frame["age_years"].fillna(-1).tolist() == [85, 60, -1, 30]
    assert frame["attribution"].tolist() == ["Hospital Clínic, Barcelona", "ViDIR", "ViDIR", "ViDIR"]
    assert frame["license"].tolist() == ["CC-BY-NC", "CC-0", "CC-BY", "CC-BY"]
    assert frame["lesion_id"].tolist() == ["IL_1", "IL_2", "", "IL_4"]
    assert frame["patient_id"].tolist() == ["IP_1", "IP_1", "", ""]
    assert "2 rows have a diagnosis that is none of ours" in caplog.text
    assert "'Malignant:Collision - At least one malignant proliferation' in 1" in caplog.text


def test_the_archives_older_columns(tmp_path: Path) -> None:
    text = "isic_id,diagnosis,anatom_site_general\nISIC_1,nevus,posterior torso\nISIC_2,ephelis,\nISIC_3,melanoma,head/neck\n"
    frame = prepared(tmp_path, "isic-archive", text).frame
    assert frame["diagnosis"].tolist() == ["nv", "", "mel"]
    assert frame["site"].tolist() == ["torso", "", "head/neck"]
    assert frame["license"].tolist() == ["", "", ""]


def test_actinic_keratosis_is_malignant_here_whatever_the_archive_files_it_under(tmp_path: Path) -> None:
    group = "Indeterminate,Indeterminate epidermal proliferations,Solar or actinic keratosis"
    text = f"isic_id,diagnosis_1,diagnosis_2,diagnosis_3\nISIC_1,{group}\nISIC_2,Benign,,\n"
    frame = prepared(tmp_path, "isic-archive", text).frame
    assert frame["diagnosis"].tolist() == ["akiec", ""]
    assert frame["target"].tolist() == [1, 0]


def test_ids_lose_suffix_folder_and_downsampled(tmp_path: Path) -> None:
    text = HAM
    for plain, other in (("ISIC_1", "ISIC_1.jpg"), ("ISIC_2", " ISIC_2_downsampled"), ("ISIC_3", "train/ISIC_3.JPEG")):
        text = replaced(text, f",{plain},", f",{other},")
    expected = prepared(tmp_path, "ham10000")
    assert prepared(tmp_path, "ham10000", text).sha256 == expected.sha256


@pytest.mark.slow
@pytest.mark.parametrize("source", list(TABLES))
def test_a_byte_order_mark_and_windows_newlines_change_nothing(tmp_path: Path, source: str) -> None:
    windows = b"\xef\xbb\xbf" + TABLES[source].replace("\n", "\r\n").encode()
    assert prepared(tmp_path, source, windows).sha256 == prepared(tmp_path, source).sha256


def test_images_lie_in_several_folders_and_are_more_than_the_table_has(tmp_path: Path) -> None:
    first = photos(tmp_path / "part_1", ("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_2_segmentation.png"))
    second = photos(tmp_path / "part_2", ("ISIC_3.jpg", "a/b/ISIC_4.jpg"))
    manifest = prepare("ham10000", images=[first, second], metadata=written(tmp_path, HAM))
    assert manifest.paths()[1] == first / "ISIC_2.jpg"
    assert manifest.paths()[3] == second / "a" / "b" / "ISIC_4.jpg"


@pytest.mark.parametrize("source", list(TABLES))
def test_missing_images_are_all_named_or_dropped(tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture) -> None:
    photos(tmp_path / "images", ("ISIC_2.jpg",))
    count = NUM_IMAGES[source]
    message = refused(tmp_path, source)
    assert f"{count - 1} of {count} rows have no image file:\n  row 2: ISIC_1\n  row 4: ISIC_3" in message
    assert ("row 5: ISIC_4" in message) == (count == 4)
    assert "row 3" not in message
    assert "--missing drop" in message
    manifest = prepared(tmp_path, source, missing="drop")
    assert manifest.frame["image_id"].tolist() == ["ISIC_2"]
    assert f"{count - 1} of {count} rows have no image file and are left out" in caplog.text


@pytest.mark.parametrize("source", list(TABLES))
def test_rows_without_an_image_are_kept_with_an_empty_path(tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture) -> None:
    photos(tmp_path / "images", ("ISIC_2.jpg",))
    count = NUM_IMAGES[source]
    manifest = prepared(tmp_path, source, missing="keep").write(tmp_path / "there" / "manifest.csv")
    assert manifest.frame["path"].tolist() == ["", "../images/ISIC_2.jpg", *[""] * (count - 2)]
    assert f"{count - 1} of {count} rows have no image file; they serve metadata alone" in caplog.text
    with pytest.raises(DataError, match=f"(?s){count - 1} problems.*row 2: path '': may not be empty"):
        Manifest.read(manifest.path)
    again = Manifest.read(manifest.path, without_images=True)
    assert again.frame["path"].tolist() == manifest.frame["path"].tolist()
    (tmp_path / "images" / "ISIC_2.jpg").unlink()
    with pytest.raises(DataError, match=r"1 problems.*\n  row 3: path '../images/ISIC_2.jpg': no such file"):
        Manifest.read(manifest.path, without_images=True)


def test_a_table_alone_needs_no_folder_of_images_where_rows_are_kept(tmp_path: Path) -> None:
    table = written(tmp_path, HAM)
    manifest = prepare("ham10000", images=[], metadata=table, missing="keep")
    assert (manifest.frame["path"] == "").all()
    with pytest.raises(DataError, match="--images: not given"):
        prepare("ham10000", images=[], metadata=table)
    with pytest.raises(DataError, match="--images: not given"):
        prepare("folders", images=[], missing="keep")


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_images_of_another_data_set(tmp_path: Path, missing: str) -> None:
    photos(tmp_path / "images", ("IMG_1.jpg",))
    with pytest.raises(DataError, match=r"none of its 4 images is in --images. Its first is ISIC_1"):
        prepared(tmp_path, "ham10000", missing=missing)


@pytest.mark.parametrize(
    ("source", "old", "new", "parts"),
    [
        ("ham10000", ",nv,", ",wart,", ["dx 'wart' in 1 rows"]),
        ("ham10000", ",bkl,", ",mel?,", ["dx 'mel?' in 2 rows"]),
        ("ham10000", "scalp", "moon", ["localization 'moon' in 2 rows"]),
        ("ham10000", ",male,", ",x,", ["sex 'x' in 2 rows"]),
        ("ham10000", "80.0", "800", ["2 problems", "row 2: age_years '800'", "row 3: age_years '800'"]),
        ("ham10000", "80.0", "old", ["row 2: age_years 'old'", "row 3: age_years 'old'"]),
        ("ham10000", "ISIC_3", "ISIC_1", ["row 2: image_id 'ISIC_1': appears more than once", "row 4: image_id 'ISIC_1'"]),
        ("ham10000", "lesion_id,", "lesion,", ["no column lesion_id", "It has lesion, image_id"]),
        ("ham10000", "dx,dx_type,age", "label,dx_type,years", ["no column dx, age"]),
        ("isic2018", "ISIC_2,0,0,0,1", "ISIC_2,0,0,1,1", ["1 rows do not have one 1", "row 3: 0, 0, 1, 1, 0, 0, 0"]),
        ("isic2018", "ISIC_2,0,0,0,1", "ISIC_2,0,0,0,0", ["row 3: 0, 0, 0, 0, 0, 0, 0"]),
        ("isic2018", "ISIC_3,0,0,0,0,1", "ISIC_3,0,0,0,0,", ["row 4: 0, 0, 0, 0, , 0, 0"]),
        ("isic2018", "ISIC_3,0,0,0,0,1", "ISIC_3,2,0,-1,0,0", ["row 4: 2, 0, -1"]),
        ("isic2018", "1.0,0.0,0.0", "0.6,0.3,0.1", ["row 2: 0.6, 0.3, 0.1"]),
        ("isic2018", "MEL,NV,BCC,AKIEC,BKL,DF,VASC", "a,b,c,d,e,f,g", ["no one-hot columns", "MEL, NV, BCC"]),
        ("isic2018", "image,", "image_id,", ["no column image. It has image_id, MEL"]),
        ("isic2019", "UNK\n", "OTHER\n", ["1 rows do not have one 1", "row 5: 0.0"]),
        ("isic2020", "benign,0", "benign,NaN", ["target 'NaN' in 3 rows"]),
        ("isic2020", "benign,0", "benign,", ["target '(empty)' in 3 rows"]),
        ("isic2020", "malignant,1", "malignant,2", ["target '2' in 1 rows"]),
        ("isic2020", "malignant,1", "malignant,0", ["row 3: target '0': contradicts the row's diagnosis"]),
        ("isic2020", "torso", "moon", ["anatom_site_general_challenge 'moon' in 1 rows"]),
        ("isic2020", ",target", ",answer", ["no column target"]),
        ("isic2020", "90.0", "900", ["row 5: age_years '900'"]),
        ("isic-archive", "isic_id", "image", ["no column isic_id"]),
        ("isic-archive", "Trunk,,", "Moon,,Crater", ["site 'Moon::Crater' in 1 rows"]),
        ("isic-archive", "85+", "85-", ["row 2: age_years '85-'"]),
    ],
)
def test_a_bad_table_is_refused_in_words(tmp_path: Path, source: str, old: str, new: str, parts: list[str]) -> None:
    message = refused(tmp_path, source, replaced(TABLES[source], old, new))
    assert "table.csv: " in message
    for part in parts:
        assert part in message, message


def test_several_faults_are_named_in_one_error(tmp_path: Path) -> None:
    text = replaced(replaced(TRAIN_2020, "malignant,1", "malignant,yes"), "benign,0", "benign,nan")
    assert "target 'nan' in 3 rows\n  target 'yes' in 1 rows" in refused(tmp_path, "isic2020", text)
    text = replaced(TRUTH_2018, "ISIC_2,0", "ISIC_2,1").replace("ISIC_3,0", "ISIC_3,1")
    assert "2 rows do not have one 1" in refused(tmp_path, "isic2018", text)
    assert "more\n" in refused(tmp_path, "ham10000", HAM + "".join(f"L,IMG_{number},nv,,,,\n" for number in range(30)))


@pytest.mark.parametrize("source", list(TABLES))
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(",", ";"), "separated by semicolons; commas are expected"),
        (lambda text: text.replace(",", "\t"), "separated by tabs"),
        (lambda text: "", "the file is empty"),
        (lambda text: text.splitlines()[0] + "\n", "has a header and no row"),
        (lambda text: text + ",".join("x" * 40) + "\n", "not a table"),
        (lambda text: text.encode("utf-16"), "not UTF-8"),
    ],
    ids=["semicolons", "tabs", "empty", "header only", "long row", "utf-16"],
)
def test_a_file_that_is_no_table(tmp_path: Path, source: str, change: Callable[[str], str | bytes], message: str) -> None:
    assert message in refused(tmp_path, source, change(TABLES[source]))


def test_arguments_that_cannot_be_meant(tmp_path: Path) -> None:
    images, table = photos(tmp_path / "images"), written(tmp_path, HAM)
    with pytest.raises(DataError, match=r"--source isic2021: there is no such source\. Choose one of ham10000, isic2018"):
        prepare("isic2021", images=[images], metadata=table)
    with pytest.raises(DataError, match=r"--missing ignore: expected error, drop or keep"):
        prepare("ham10000", images=[images], metadata=table, missing="ignore")
    with pytest.raises(DataError, match=r"--images .*none, .*table\.csv: not a folder"):
        prepare("ham10000", images=[images, tmp_path / "none", table], metadata=table)
    for source in TABLES:
        with pytest.raises(DataError, match="needs --metadata"):
            prepare(source, images=[images])
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        prepare("ham10000", images=[images], metadata=tmp_path / "none.csv")
    assert set(SOURCES) == {*TABLES, "folders"}


def test_two_files_of_one_id_are_all_named(tmp_path: Path) -> None:
    images = photos(tmp_path, ("a/ISIC_1.jpg", "b/ISIC_1.png", "a/ISIC_2.jpg", "a/ISIC_2_downsampled.jpg", "ISIC_3.jpg"))
    with pytest.raises(DataError, match="2 image ids have two files") as caught:
        index_images([images])
    for name in ("a/ISIC_1.jpg", "b/ISIC_1.png", "a/ISIC_2.jpg", "a/ISIC_2_downsampled.jpg"):
        assert str(images / name) in str(caught.value)
    assert "ISIC_3" not in str(caught.value)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "readme.txt").touch()
    assert "no image in it. Looked for .jpg, .jpeg, .png" in refused(tmp_path, "ham10000")


def test_a_folder_a_class(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("Melanocytic_nevus/a.jpg", "mel/deep/b.JPG", "benign/c.png", "Malignant/d_downsampled.jpg", "AK/e.jpg")
    frame = prepare("folders", images=[photos(tmp_path / "first", names), photos(tmp_path / "second", ["nv/f.jpg"])]).frame
    found = frame.set_index("image_id")[["diagnosis", "target"]].astype(str).to_dict("index")
    assert {name: tuple(row.values()) for name, row in found.items()} == {
        "a": ("nv", "0"),
        "b": ("mel", "1"),
        "c": ("", "0"),
        "d": ("", "1"),
        "e": ("akiec", "1"),
        "f": ("nv", "0"),
    }
    assert set(frame["dataset"]) == {"folders"}
    assert frame["path"].map(lambda name: Path(name).is_absolute() and Path(name).is_file()).all()
    assert frame["group_id"].nunique() == 6
    assert "no patients or lesions are known" in caplog.text


def test_folders_that_are_no_classes_are_all_named(tmp_path: Path) -> None:
    images = photos(tmp_path, ("mel/a.jpg", "train/b.jpg", "nevus vs melanoma/c.jpg", "unknown/d.jpg"))
    with pytest.raises(DataError, match="3 folders are not named for a class") as caught:
        prepare("folders", images=[images])
    for name in ("train", "nevus vs melanoma", "unknown"):
        assert str(images / name) in str(caught.value)
    assert "Name each folder for a class: akiec, bcc, bkl, df, mel, nv, vasc, scc, or benign and malignant" in str(caught.value)


def test_folders_without_images_or_with_one_name_twice(tmp_path: Path) -> None:
    loose = photos(tmp_path / "loose", ("a.jpg",))
    with pytest.raises(DataError, match=r"loose: no folder in it; one a class is expected"):
        prepare("folders", images=[loose])
    (tmp_path / "empty" / "mel").mkdir(parents=True)
    with pytest.raises(DataError, match="no image in it"):
        prepare("folders", images=[tmp_path / "empty"])
    twice = photos(tmp_path / "twice", ("mel/1.jpg", "nv/1.jpg", "nv/2.jpg"))
    with pytest.raises(DataError, match=r"1 image ids have two files:\n  1: .*mel/1\.jpg and .*nv/1\.jpg\n"):
        prepare("folders", images=[twice])


@pytest.mark.slow
def test_the_real_tables_have_the_published_counts(real_data: Path) -> None:
    folder = real_data / "ham10000"
    ham = prepare("ham10000", images=[folder / "images"], metadata=folder / "HAM10000_metadata.csv").frame
    counts = {"akiec": 327, "bcc": 514, "bkl": 1_099, "df": 115, "mel": 1_113, "nv": 6_705, "vasc": 142}
    assert ham["diagnosis"].value_counts().to_dict() == counts
    assert ham["lesion_id"].nunique() == 7_470
    assert [int((ham[name] == "").sum()) for name in ("sex", "site")] == [57, 234]
    assert int(ham["age_years"].isna().sum()) == 57

    folder = real_data / "isic2020"
    tables = folder / "train.csv", folder / "lesions.csv"
    rows = SOURCES["isic2020"](Request(*tables, {}, []))
    assert (len(rows), rows["patient_id"].nunique(), rows["lesion_id"].nunique()) == (33_126, 2_056, 32_701)
    assert rows["target"].value_counts().to_dict() == {"0": 32_542, "1": 584}
    assert [int((rows[name] == "").sum()) for name in ("sex", "age_years", "site")] == [65, 68, 527]
    present = rows[rows["image_id"].isin(index_images([folder / "images"]))]
    assert present[["diagnosis", "target"]].value_counts().to_dict() == {
        ("mel", "1"): 584,
        ("", "0"): 455,
        ("nv", "0"): 104,
        ("bkl", "0"): 1,
    }


def test_isic_2024_says_iddx_and_target(tmp_path: Path) -> None:
    nevus, none = "Benign,Benign melanocytic proliferations,Nevus", "Malignant,Malignant adnexal epithelial proliferations,"
    text = f"isic_id,target,iddx_full,iddx_1,iddx_2,iddx_3\nISIC_1,0,x,{nevus}\nISIC_2,1,x,{none}\nISIC_3,0,Benign,Benign,,\n"
    frame = prepared(tmp_path, "isic-archive", text).frame
    assert frame["diagnosis"].tolist() == ["nv", "", ""]
    assert frame["target"].tolist() == [0, 1, 0]


def test_a_table_that_says_nothing_of_the_answer_is_refused(tmp_path: Path) -> None:
    assert "no column says what an image shows" in refused(tmp_path, "isic-archive", "isic_id,sex\nISIC_1,male\n")
    frame = prepared(tmp_path, "isic-archive", "isic_id,benign_malignant\nISIC_1,benign\nISIC_2,malignant\n").frame
    assert frame["target"].tolist() == [0, 1]


def test_a_bad_row_keeps_its_number_in_the_table_when_others_are_dropped(tmp_path: Path) -> None:
    photos(tmp_path / "images", ["ISIC_3.jpg", "ISIC_4.jpg"])
    with pytest.raises(DataError, match=r"table\.csv: 1 problems:\s+row 5: age_years '-3'"):
        prepared(tmp_path, "ham10000", replaced(HAM, "consensus,0.0", "consensus,-3"), missing="drop")


@pytest.mark.parametrize("text", ["NA", "unknown", "NaN", ""])
def test_an_age_that_is_not_known_is_missing(tmp_path: Path, text: str) -> None:
    frame = prepared(tmp_path, "ham10000", replaced(HAM, "consensus,0.0", f"consensus,{text}")).frame
    assert frame["age_years"].isna().tolist() == [False, False, True, True]


def test_a_second_table_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    images, table = photos(tmp_path / "images"), written(tmp_path, HAM)
    with pytest.raises(DataError, match="ham10000 reads no second table; isic2018, isic2019, isic2020 do"):
        prepare("ham10000", images=[images], metadata=table, lesions=table)
    with pytest.raises(DataError, match="the folders' names are the answers"):
        prepare("folders", images=[images], metadata=table)


def test_skin_type_is_kept_where_the_archive_has_it_and_is_part_of_the_manifests_hash(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    ids = [f"ISIC_000000{number}" for number in range(4)]
    for name in ids:
        (tmp_path / "images" / f"{name}.jpg").write_bytes(b"")
    table = pd.DataFrame({"isic_id": ids, "diagnosis_1": ["Benign", "Malignant", "Benign", "Malignant"]})
    table["fitzpatrick_skin_type"] = ["III", "4", "", "VII"]
    table.to_csv(tmp_path / "archive.csv", index=False)
    manifest = prepare("isic-archive", images=[tmp_path / "images"], metadata=tmp_path / "archive.csv")
    assert list(manifest.frame["skin_type"]) == ["III", "IV", "", ""]
    written = manifest.write(tmp_path / "manifest.csv")
    again = Manifest.read(tmp_path / "manifest.csv", check_files=False)
    assert list(again.frame["skin_type"]) == ["III", "IV", "", ""]
    assert again.sha256 == written.sha256
    without = Manifest.build(
        pd.read_csv(tmp_path / "manifest.csv", dtype=str, keep_default_na=False).drop(columns="skin_type"),
        tmp_path,
        tmp_path / "manifest.csv",
        check_files=False,
    )
    assert without.sha256 != again.sha256
