"""ISIC-2024's HDF5 is read in place: keys are image ids, values the bytes of JPEG files."""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from pictures import picture, saved
from PIL import Image

from nevus.data import containers
from nevus.data.containers import container_of, list_keys, read_value
from nevus.data.images import decode_image, find_images, read_bytes, read_image
from nevus.data.manifest import Manifest
from nevus.data.sources import prepare
from nevus.errors import DataError, NotAvailableError

METADATA = "isic_id,target,patient_id,age_approx,sex,anatom_site_general,iddx_1\n"


def jpeg(shade: int) -> bytes:
    return saved(Image.fromarray(np.roll(picture(), shade, axis=1)), "JPEG", quality=90)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As Kaggle gives it: a container of opaque values, and the table beside it."""
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "in" / "train-image.hdf5", "w") as file:
        for number in range(40):
            file[f"ISIC_{number:07d}"] = np.void(jpeg(number))
    answers = ("0,{},40,male,torso,Benign", "1,{},40,male,torso,Malignant")
    rows = [f"ISIC_{number:07d}," + answers[number % 2].format(f"IP_{number // 4}") for number in range(40)]
    (tmp_path / "in" / "train-metadata.csv").write_text(METADATA + "\n".join(rows) + "\n")
    return tmp_path / "in"


def prepared(folder: Path) -> Manifest:
    return prepare("isic-archive", images=[folder], metadata=folder / "train-metadata.csv")


def test_a_manifest_of_keys_is_prepared_written_elsewhere_and_read(folder: Path) -> None:
    manifest = prepared(folder).write(folder.parent / "out" / "deep" / "manifest.csv")
    assert manifest.frame["path"][7] == "../../in/train-image.hdf5#ISIC_0000007"
    again = Manifest.read(manifest.path)
    assert again.sha256 == manifest.sha256
    for number, path in enumerate(again.paths()):
        assert (read_image(path) == decode_image(jpeg(number), "a.jpg")).all()


def test_every_way_to_store_a_files_bytes(tmp_path: Path) -> None:
    content, path = jpeg(3), tmp_path / "a.h5"
    row = np.frombuffer(content, np.uint8)
    with h5py.File(path, "w") as file:
        file["void"], file["row"], file["deep/down"], file["string"] = np.void(content), row, np.void(content), np.bytes_(content)
        file.create_dataset("packed", data=row, compression="gzip")
        file.create_dataset("vlen", (), h5py.vlen_dtype(np.uint8))[()] = row
        file["pixels"], file["number"] = picture(), 3
        file.create_dataset("bomb", (2**40,), np.uint8, chunks=(2**20,), compression="gzip")
    for key in ("void", "row", "deep/down", "string", "packed", "vlen"):
        assert read_bytes(f"{path}#{key}") == content, key
    for key, message in (
        ("pixels", r"holds uint8 of shape \(40, 60, 3\); the bytes of an image file"),
        ("number", "holds int64"),
        ("deep", "no such image"),
        ("none", "no such image"),
        ("bomb", "1048576 MiB; an image file of at most 512 MiB"),
    ):
        with pytest.raises(DataError, match=rf"a\.h5#{key}: .*{message}"):
            read_bytes(f"{path}#{key}")


def test_a_container_is_opened_once_however_many_threads_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    containers._open.cache_clear()
    opened = []
    real = h5py.File

    def open_and_count(path: Path, mode: str) -> h5py.File:
        opened.append(path)
        return real(path, mode)

    monkeypatch.setattr(h5py, "File", open_and_count)
    path = folder / "train-image.hdf5"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: read_value(path, f"ISIC_{number % 40:07d}", 2**20), range(400)))
    assert all(content == jpeg(number % 40) for number, content in enumerate(found[:40]))
    assert found[40:80] == found[:40]
    assert len(opened) <= 8, "threads that came first together may each have opened it"
    opened.clear()
    list_keys(path)
    assert not opened


def _read_in_child(path: str, number: int) -> bytes:
    return read_bytes(f"{path}#ISIC_{number:07d}")


@pytest.mark.slow
def test_another_process_has_a_handle_of_its_own(folder: Path) -> None:
    path = str(folder / "train-image.hdf5")
    assert read_bytes(f"{path}#ISIC_0000001") == jpeg(1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_read_in_child, (path, 2)) == jpeg(2)


def test_a_container_that_was_replaced_is_opened_anew(folder: Path) -> None:
    path = folder / "train-image.hdf5"
    assert len(list_keys(path)) == 40
    with h5py.File(folder / "new.hdf5", "w") as file:
        file["ISIC_0000001"] = np.void(jpeg(30))
    (folder / "new.hdf5").replace(path)
    assert read_bytes(f"{path}#ISIC_0000001") == jpeg(30)


def test_plain_files_with_the_sign_in_their_name_still_work(tmp_path: Path) -> None:
    for name in ("lesion#2.jpg", "a.h5#b.jpg", "set.hdf5#3/c.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(1))
        assert container_of(path) is None
        assert read_bytes(path) == jpeg(1)
    (tmp_path / "m.csv").write_text("image_id,path\na,lesion#2.jpg\nb,a.h5#b.jpg\nc,set.hdf5#3/c.jpg\n")
    assert len(Manifest.read(tmp_path / "m.csv")) == 3


def test_what_is_missing_is_named_by_the_manifest(folder: Path) -> None:
    path = folder / "m.csv"
    path.write_text(
        "image_id,path\na,train-image.hdf5#ISIC_0000001\nb,train-image.hdf5#none\nc,gone.hdf5#x\nd,gone.hdf5#y\ne,bad.hdf5#x\n"
    )
    (folder / "bad.hdf5").write_text("no HDF5")
    with pytest.raises(DataError) as caught:
        Manifest.read(path)
    message = str(caught.value)
    assert "row 3: path 'train-image.hdf5#none': no such image in it" in message
    assert "row 4: path 'gone.hdf5#x': no such container; 2 rows name it" in message
    assert "bad.hdf5" in message
    assert "not an HDF5 file" in message
    assert "ISIC_0000001" not in message


def test_a_container_that_is_none_is_named(folder: Path) -> None:
    (folder / "broken.hdf5").write_bytes((folder / "train-image.hdf5").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"broken\.hdf5: not an HDF5 file"):
        prepared(folder)
    with pytest.raises(DataError, match=r"gone\.hdf5: cannot be read"):
        read_bytes(folder / "gone.hdf5#ISIC_0000001")


def test_a_picture_that_is_there_as_a_file_too_is_taken_from_the_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "image").mkdir()
    (folder / "image" / "ISIC_0000003.jpg").write_bytes(jpeg(3))
    paths = prepared(folder).frame["path"]
    assert paths[3].endswith("image/ISIC_0000003.jpg")
    assert paths[4].endswith("train-image.hdf5#ISIC_0000004")
    assert "1 images are in a container and as a file too" in caplog.text
    with h5py.File(folder / "second.hdf5", "w") as file:
        file["ISIC_0000009"] = np.void(jpeg(9))
    with pytest.raises(DataError, match=r"(?s)1 image ids have two files.*ISIC_0000009: .*second\.hdf5#ISIC_0000009"):
        prepared(folder)


def test_images_to_predict_may_be_named_by_container_or_key(folder: Path) -> None:
    path = folder / "train-image.hdf5"
    assert find_images([path])[:2] == [Path(f"{path}#ISIC_0000000"), Path(f"{path}#ISIC_0000001")]
    assert find_images([Path(f"{path}#ISIC_0000005")]) == [Path(f"{path}#ISIC_0000005")]


def test_without_h5py_the_error_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    containers._open.cache_clear()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(NotAvailableError, match=r"reading HDF5 needs h5py: pip install 'nevus\[hdf5\]'"):
        list_keys(folder / "train-image.hdf5")
