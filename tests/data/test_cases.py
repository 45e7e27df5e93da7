"""Who is in which picture: tables, lists and standard input, with every fault named at once."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.data.cases import Case, gather_cases, read_cases, read_list
from nevus.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files that are called like images; nothing here decodes them."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name in ("ISIC_1.jpg", "ISIC_2.png", "deep/ISIC_3.jpeg"):
        (folder / name).write_bytes(b"x")
    return folder


def table(folder: Path, text: str) -> Path:
    path = folder / "cases.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        # nevus's manifest, HAM10000, ISIC-2020, ISIC-2019, the archive
        ("image_id,path,age_years,sex,site", "ISIC_1,photos/ISIC_1.jpg,61,female,torso", (61.0, "female", "torso")),
        ("lesion_id,image_id,dx,age,sex,localization", "L,ISIC_1,nv,61.0,male,back", (61.0, "male", "torso")),
        ("image_name,sex,age_approx,anatom_site_general_challenge", "ISIC_1,F,61,palms/soles", (61.0, "female", "palms/soles")),
        ("image,age_approx,anatom_site_general,sex", "ISIC_1_downsampled,,posterior torso,", (None, "", "torso")),
        ("isic_id,age_approx,sex", "ISIC_1,85+,unknown", (85.0, "", "")),
        ("file", "ISIC_1.jpg", (None, "", "")),
        ("image,age", "ISIC_1,0", (0.0, "", "")),
    ],
)
def test_the_tables_of_the_field_are_read_as_they_are(
    photos: Path, header: str, row: str, expected: tuple[float | None, str, str]
) -> None:
    for text in (f"{header}\n{row}\n", f"\ufeff{header}\r\n{row}\r\n\r\n"):
        assert read_cases(table(photos.parent, text), photos) == [Case(photos / "ISIC_1.jpg", *expected)]


def test_every_fault_of_every_row_is_named_with_its_row_column_and_value(photos: Path) -> None:
    rows = ["ISIC_1,61,female,back", "ISIC_9,x,?,moon", "ISIC_2,200,male", ",30,male,back", "ISIC_3,-1,f,chest"]
    with pytest.raises(DataError) as error:
        read_cases(table(photos.parent, "\n".join(["image,age,sex,localization", *rows])), photos)
    text = str(error.value)
    assert "7 problems" in text
    for problem in (
        f"row 3: image 'ISIC_9': no images in {photos} are called so",
        "row 3: age 'x': expected years from 0 to 120, or empty where unknown",
        "row 3: sex '?': expected one of female, male, or a common name for one",
        "row 3: localization 'moon': expected one of head/neck",
        "row 4: 3 cells, the header has 4",
        "row 5: image '': may not be empty",
        "row 6: age '-1': expected years from 0 to 120",
    ):
        assert problem in text
    assert "row 2" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("image,age\n", "has a header and no row"),
        ("picture,age\na.jpg,3\n", "no column of images. Expected one of path, image, image_id"),
        ("image;age\na.jpg;3\n", "its columns are not separated by commas"),
        ("image,age,age\na.jpg,3,4\n", "several columns are called 'age'"),
        ('image,age\n"a.jpg,3\n', "not a table"),
        ("image,age\nISIC_1,nan\nISIC_1,inf\n", "row 3: age 'inf': expected years"),
    ],
)
def test_what_is_no_table_of_cases_is_refused(photos: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        read_cases(table(photos.parent, text), photos)
    assert message in str(error.value)


def test_text_in_another_encoding_is_refused(photos: Path) -> None:
    (photos / "cases.csv").write_bytes("image,sex\nISIC_1,männlich\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_cases(photos / "cases.csv", photos)


def test_two_files_of_one_id_are_not_guessed_between(photos: Path) -> None:
    (photos / "deep" / "ISIC_2.jpg").write_bytes(b"y")
    with pytest.raises(DataError, match=r"image 'ISIC_2': 2 images in .*photos are called so"):
        read_cases(table(photos.parent, "image\nISIC_2\n"), photos)
    assert read_cases(table(photos.parent, "image\ndeep/ISIC_2.jpg\n"), photos) == [Case(photos / "deep" / "ISIC_2.jpg")]
    with pytest.raises(DataError, match=r"row 2: image 'ISIC_1': no such file(.|\n)*give --images FOLDER"):
        read_cases(table(photos.parent, "image\nISIC_1\n"))


@settings(max_examples=30)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_text_ends_in_anything_but_cases_or_a_named_fault(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "cases.csv"
    path.write_text("image,age\n" + text, encoding="utf-8", newline="")
    with pytest.raises(DataError):
        read_cases(path)


def test_a_list_names_each_line_that_leads_nowhere(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    Path("list.txt").write_text("ISIC_1.jpg\n\n  deep/ISIC_3.jpeg \n")
    assert read_list("list.txt") == [Case(Path("ISIC_1.jpg")), Case(Path("deep/ISIC_3.jpeg"))]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"ISIC_1.jpg\nnone.jpg\n"), isatty=lambda: False))
    with pytest.raises(DataError, match=r"standard input: 1 of 2 images are not there:\n  line 2: 'none.jpg'"):
        read_list("-")
    Path("empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="lists no image"):
        read_list("empty.txt")


def test_places_of_all_kinds_come_in_their_order(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"bytes"), isatty=lambda: False))
    path = table(photos.parent, "image,age\nISIC_2,30\n")
    cases = gather_cases([photos / "deep", path, "-", photos / "ISIC_1.jpg"], photos)
    assert cases == [
        Case(photos / "deep" / "ISIC_3.jpeg"),
        Case(photos / "ISIC_2.png", 30.0),
        Case(Path("-"), content=b"bytes"),
        Case(photos / "ISIC_1.jpg"),
    ]
    with pytest.raises(DataError, match=r"--images: .*no \.csv is given"):
        gather_cases([photos], photos)
    with pytest.raises(DataError, match="given more than once"):
        gather_cases(["-", "-"])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(DataError, match="nothing comes on standard input"):
        gather_cases(["-"])
