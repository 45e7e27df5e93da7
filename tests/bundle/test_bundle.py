import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small_bundle import small_bundle

from nevus.bundle import FORMAT, Bundle
from nevus.errors import BundleError, NevusError
from nevus.files import write


def bundle(folder: Path) -> Bundle:
    return small_bundle(folder / "bundle")


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


def resealed(path: Path, **changes: Any) -> None:
    """Change what bundle.json says, and seal it again as whoever writes bundles by hand would."""
    document = {**json.loads((path / "bundle.json").read_text(encoding="utf-8")), **changes, "checksum": "0" * 64}
    text = json.dumps(document)
    write(path / "bundle.json", text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest()))


def test_a_bundle_of_a_later_version_says_what_to_do(tmp_path: Path) -> None:
    path = bundle(tmp_path).path
    resealed(path, format=FORMAT + 1)
    with pytest.raises(BundleError, match=rf"its format is {FORMAT + 1}; this nevus reads {FORMAT}. Update nevus"):
        Bundle.load(path)
    # A later version may be sealed in another way: what it is is said before it is called changed.
    text = (path / "bundle.json").read_text(encoding="utf-8")
    write(path / "bundle.json", text.replace('"classes"', '"kinds"'))
    with pytest.raises(BundleError, match="Update nevus"):
        Bundle.load(path)
    resealed(path, format=FORMAT - 1)
    with pytest.raises(BundleError, match="Train it again"):
        Bundle.load(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../outside.json", "has a path"),
        ("/etc/passwd", "has a path"),
        ("deep/model.onnx", "has a path"),
        ("..", "has a path"),
        (".hidden.json", "has a path"),
        ("C:model.onnx", "has a path"),
        ("model.onnx\n", "has a path"),
        ("weights.pt", "may be a pickle"),
        ("weights.PKL", "may be a pickle"),
        ("pytorch_model.bin", "may be a pickle"),
        ("run.py", "is none of"),
        ("bundle.json", "is there twice"),
        ("readme.MD", "is there twice, also as README.md"),
    ],
)
def test_names_that_a_bundle_may_not_hold(tmp_path: Path, name: str, message: str) -> None:
    whole = bundle(tmp_path)
    with pytest.raises(BundleError, match=message):
        Bundle.write(tmp_path / "other", {}, {"README.md": lambda path: None, name: lambda path: None})
    assert not (tmp_path / "other").exists()
    resealed(whole.path, files={**whole.document["files"], name: "0" * 63 + "1"})
    with pytest.raises(BundleError, match=message):
        Bundle.load(whole.path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"checksum": 1}', b"\xff\xfe", b"PK\x03\x04"])
def test_what_is_no_document_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = bundle(tmp_path).path
    (path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match="damaged, or not a bundle's"):
        Bundle.load(path)


def test_what_lies_beside_a_bundle_in_its_folder_is_not_read(tmp_path: Path) -> None:
    path = bundle(tmp_path).path
    (path / ".DS_Store").write_bytes(b"anything")
    (path / "novelty.safetensors").write_bytes(b"a stray")
    loaded = Bundle.load(path)
    with pytest.raises(BundleError, match=r"has no novelty\.safetensors; it has README\.md, bundle\.json, model\.onnx"):
        loaded.read("novelty.safetensors")


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_a_file_that_changes_after_loading_is_not_used(tmp_path: Path, name: str) -> None:
    loaded = bundle(tmp_path)
    assert loaded.read("model.onnx") == b"model.onnx" * 10
    content = (loaded.path / name).read_bytes()
    (loaded.path / name).write_bytes(content[:-2] + b"x" + content[-1:])
    with pytest.raises(BundleError, match=r"has changed since the bundle was opened|damaged"):
        loaded.read(name)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = bundle(tmp_path).path
    with (path / "weights.safetensors").open("r+b") as file:
        file.truncate((1 << 30) + 1)  # a hole: no disk space is used
    with pytest.raises(BundleError, match=r"weights.safetensors: 1,073,741,825 bytes; at most 1,073,741,824"):
        Bundle.load(path)
