"""The model that comes with nevus on photographs: a page of them, from a folder, a table or the archive; the bad ones named."""

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from command_line import nevus
from nevus.data.download.record import RECORD
from nevus.data.manifest import Manifest
from nevus.demo import real
from nevus.errors import DataError, NevusError


def _photos(folder: Path, phantoms: Manifest, number: int) -> Sequence[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, folder)) for path in phantoms.paths()[:number]]


def test_a_folder_of_photos_gets_a_page_and_the_unreadable_one_is_named(phantoms: Manifest, tmp_path: Path) -> None:
    photos = _photos(tmp_path / "photos", phantoms, 3)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    page = real.demo_real(tmp_path / "demo", [tmp_path / "photos"])
    text = page.read_text()
    assert page == tmp_path / "demo" / "real.html"
    assert text.count("data:image/jpeg") == 3
    assert all(photo.name in text for photo in photos)
    assert "1 photograph without an answer" in text
    assert "broken.jpg" in text
    assert "not a medical device and not for diagnosis" in text
    assert "http://" not in text


def test_what_a_table_knows_stands_beside_the_answer(phantoms: Manifest, tmp_path: Path) -> None:
    (photo,) = _photos(tmp_path, phantoms, 1)
    table = tmp_path / "cases.csv"
    table.write_text(f"path,age,sex,diagnosis\n{photo.name},61,female,mel\n")
    text = real.demo_real(tmp_path, [table]).read_text()
    assert "61 years, female, site not known" in text
    assert "its table says: melanoma" in text


def test_no_probability_is_shown_of_a_picture_unlike_the_training_images(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    text = real.demo_real(tmp_path, [tmp_path / "noise.png"]).read_text()
    assert "no diagnosis: have a doctor look" in text
    assert "Most probable" not in text


def test_without_photos_the_archive_s_are_fetched_once(
    phantoms: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def download(source: str, out: Path, **options: Any) -> None:
        asked.append((source, options["max_images"]))
        paths = _photos(out / "images", phantoms, 2)
        with (out / "metadata.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["isic_id", "age_approx", "anatom_site_general", "diagnosis_1"])
            rows.writerows([path.stem, 50, "torso", "Malignant"] for path in paths)
        (out / RECORD).write_text("{}")

    monkeypatch.setattr(real, "download", download)
    for _ in range(2):
        text = real.demo_real(tmp_path).read_text()
        assert len(re.findall(r"50 years, sex not known, torso", text)) == 2
        assert text.count("its table says: Malignant") == 2
    assert asked == [("isic2020", real.NUM_IMAGES)]


def test_without_a_network_the_error_says_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(*words: object, **options: object) -> None:
        raise NevusError("api.isic-archive.com cannot be reached.")

    monkeypatch.setattr(real, "download", download)
    code, out, err = nevus(monkeypatch, capsys, "demo", "--real", "--out", tmp_path)
    assert (code, out) == (2, "")
    assert "cannot be reached. For photographs of your own: nevus demo --real --images FOLDER." in err
    assert not (tmp_path / "real.html").exists()


def test_no_page_is_made_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"none of 1 photographs can be read:\n.*broken\.jpg"):
        real.demo_real(tmp_path, [tmp_path / "broken.jpg"])
    assert not (tmp_path / "real.html").exists()
    code, _, err = nevus(monkeypatch, capsys, "demo", "--images", tmp_path)
    assert code == 2
    assert "For photographs add --real." in err
