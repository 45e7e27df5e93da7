from pathlib import Path

import pytest

from nevus.bundle import Bundle
from nevus.errors import BundleError, NevusError
from nevus.files import write


def bundle(folder: Path) -> Bundle:
    contents = {name: lambda path: write(path, path.name * 10) for name in ("model.onnx", "weights.safetensors", "README.md")}
    return Bundle.write(folder / "bundle", {"classes": ["benign", "malignant"]}, contents)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert bundle(tmp_path).classes == ("benign", "malignant")
    assert Bundle.load(tmp_path / "bundle").document["classes"] == ["benign", "malignant"]


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "README.md", "bundle.json"])
def test_any_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    path = bundle(tmp_path).path / name
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 23)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(BundleError, match=name.replace(".", r"\.")):
            Bundle.load(tmp_path / "bundle")
    path.write_bytes(whole)
    Bundle.load(tmp_path / "bundle")


def test_all_missing_files_are_named(tmp_path: Path) -> None:
    path = bundle(tmp_path).path
    (path / "model.onnx").unlink()
    (path / "README.md").unlink()
    with pytest.raises(BundleError, match=r"(?s)model.onnx: missing.*README.md: missing"):
        Bundle.load(path)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(tmp_path)
    write(tmp_path / "bundle.json", "[]")
    with pytest.raises(BundleError, match="damaged, or not a bundle's"):
        Bundle.load(tmp_path)


def test_a_bundle_cut_short_is_none(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise BundleError("the export failed")

    path = bundle(tmp_path).path
    with pytest.raises(BundleError, match="the export failed"):
        Bundle.write(path, {"classes": []}, {"model.onnx": fails})
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(path)


def test_a_full_disk_leaves_no_bundle(tmp_path: Path) -> None:
    def overflowing(path: Path) -> None:
        Path("/dev/full").write_bytes(b"x" * 4096)

    whole = bundle(tmp_path)
    with pytest.raises(NevusError, match="the disk is full"):
        Bundle.write(whole.path, {"classes": ["a", "b"]}, {"model.onnx": overflowing})
    with pytest.raises(BundleError, match="not a bundle"):
        Bundle.load(whole.path)
