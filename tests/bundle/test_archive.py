"""A bundle as one file: what is read is what was packed, and nothing else can be."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bundle import small_bundle

from nevus.bundle import Bundle
from nevus.bundle.archive import write_archive
from nevus.bundle.pack import pack, unpack
from nevus.errors import BundleError, NevusError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("archive") / "bundle").path


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    return pack(folder, folder.parent / "small.nevus").path


def changed(content: bytes, offset: int, xor: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ xor]) + content[offset + 1 :]


def test_a_packed_bundle_reads_as_its_folder(folder: Path, packed: Path) -> None:
    one, other = Bundle.load(folder), Bundle.load(packed)
    assert one.document == other.document
    assert one.names == other.names == ("README.md", "bundle.json", "model.onnx", "weights.safetensors")
    for name in one.names:
        assert other.read(name) == one.read(name) == (folder / name).read_bytes()
        assert other.size(name) == one.size(name) == (folder / name).stat().st_size


def test_any_zip_program_reads_it(folder: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        assert file.testzip() is None
        assert file.namelist() == sorted(file.namelist())
        assert {name: file.read(name) for name in file.namelist()} == {path.name: path.read_bytes() for path in folder.iterdir()}
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_equal_bundles_give_equal_files_and_come_back_the_same(folder: Path, packed: Path, tmp_path: Path) -> None:
    back = unpack(packed, tmp_path / "back").path
    (back / ".DS_Store").write_bytes(b"stays out")
    assert pack(back, tmp_path / "again.nevus").path.read_bytes() == packed.read_bytes()
    assert pack(packed, tmp_path / "copy.nevus").path.read_bytes() == packed.read_bytes()
    (back / ".DS_Store").unlink()
    assert {path.name: path.read_bytes() for path in back.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


@settings(max_examples=30)
@given(data=st.data())
def test_any_changed_byte_of_a_folder_is_found(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    whole = path.read_bytes()
    offset = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(changed(whole, offset, data.draw(st.integers(1, 255))))
    try:
        with pytest.raises(BundleError):
            Bundle.load(folder)
    finally:
        path.write_bytes(whole)


@settings(max_examples=30)
@given(data=st.data())
def test_any_changed_byte_of_a_file_is_found(packed: Path, data: st.DataObject) -> None:
    whole = packed.read_bytes()
    offset = data.draw(st.integers(0, len(whole) - 1))
    other = packed.with_name("changed.nevus")
    other.write_bytes(changed(whole, offset, data.draw(st.integers(1, 255))))
    with pytest.raises(BundleError):
        Bundle.load(other)


@pytest.mark.slow
def test_every_single_byte_of_a_file_counts(packed: Path, tmp_path: Path) -> None:
    """Times, attributes, version and CRC fields of the zip headers among them: no byte is free."""
    whole, other = packed.read_bytes(), tmp_path / "changed.nevus"
    for offset in range(len(whole)):
        other.write_bytes(changed(whole, offset, 1 << offset % 8))
        with pytest.raises(BundleError):
            Bundle.load(other)


@settings(max_examples=10)
@given(length=st.integers(0, 400), more=st.binary(max_size=40))
def test_no_other_length_is_taken(packed: Path, length: int, more: bytes) -> None:
    whole, other = packed.read_bytes(), packed.with_name("length.nevus")
    for content in (whole[: -1 - length], whole[1 + length :], whole + b"\0" + more, b"P" + more + whole):
        other.write_bytes(content)
        with pytest.raises(BundleError):
            Bundle.load(other)


def rewritten(packed: Path, edit: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> bytes:
    """The bundle's files as Python's zipfile writes them, after an edit."""
    with zipfile.ZipFile(packed) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        edit(file, contents)
        for name, content in contents.items():
            file.writestr(name, content)
    return buffer.getvalue()


def link(file: zipfile.ZipFile, contents: dict[str, bytes]) -> None:
    info = zipfile.ZipInfo("weights.safetensors")
    info.external_attr = 0o120777 << 16
    contents.pop("weights.safetensors")
    file.writestr(info, "/etc/passwd")


def bomb(file: zipfile.ZipFile, contents: dict[str, bytes]) -> None:
    contents.pop("README.md")
    file.writestr("README.md", b"\0" * (16 << 20), compress_type=zipfile.ZIP_DEFLATED)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file, contents: file.writestr("../outside.json", "x"), r"\.\./outside\.json: has a path"),
        (lambda file, contents: file.writestr("/etc/outside.json", "x"), r"/etc/outside\.json: has a path"),
        (lambda file, contents: file.writestr("sub/", ""), "sub/: has a path"),
        (lambda file, contents: file.writestr("model.onnx", "other"), "header of|directory"),
        (lambda file, contents: file.writestr("Model.ONNX", "other"), "is there twice"),
        (lambda file, contents: file.writestr("weights.pt", "x"), "may be a pickle"),
        (link, "weights.safetensors: is a link"),
        (bomb, "README.md: is compressed"),
        (lambda file, contents: setattr(file, "comment", b"hello"), "cut short, followed by something"),
        (lambda file, contents: None, "the header of README.md is not as nevus writes it"),
    ],
)
def test_archives_that_no_bundle_is(
    packed: Path, tmp_path: Path, edit: Callable[[zipfile.ZipFile, dict[str, bytes]], None], message: str
) -> None:
    bad = tmp_path / "bad.nevus"
    bad.write_bytes(rewritten(packed, edit))
    with pytest.raises(BundleError, match=message):
        Bundle.load(bad)
    with pytest.raises(BundleError, match=message):
        unpack(bad, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.nevus"], "nothing is written of it"


def test_sizes_that_are_declared_are_checked_before_anything_is_read(packed: Path, tmp_path: Path) -> None:
    whole, bad = packed.read_bytes(), tmp_path / "bad.nevus"
    place = whole.rindex(b"PK\x01\x02") + 20  # both sizes of the last file
    bad.write_bytes(whole[:place] + struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0) + whole[place + 8 :])
    with pytest.raises(BundleError, match=r"weights.safetensors: has 4,294,967,280 bytes; at most 1,073,741,824"):
        Bundle.load(bad)


def test_a_crc_that_is_wrong_in_both_headers_is_found(packed: Path, tmp_path: Path) -> None:
    """Other programs would refuse the file, or worse, believe it."""
    whole, bad = packed.read_bytes(), tmp_path / "bad.nevus"
    crc = whole[whole.rindex(b"PK\x01\x02") :][16:20]
    assert whole.count(crc) == 2
    bad.write_bytes(whole.replace(crc, b"\1\2\3\4"))
    with pytest.raises(BundleError, match=r"weights\.safetensors: its CRC-32 is not the one in its header"):
        Bundle.load(bad)


def test_encrypted_files_are_named(packed: Path, tmp_path: Path) -> None:
    whole, bad = packed.read_bytes(), tmp_path / "bad.nevus"
    place = whole.rindex(b"PK\x01\x02") + 8
    bad.write_bytes(whole[:place] + b"\x01\x00" + whole[place + 2 :])
    with pytest.raises(BundleError, match=r"weights\.safetensors: is encrypted"):
        Bundle.load(bad)


def test_a_file_that_the_document_does_not_list_is_refused(folder: Path, tmp_path: Path) -> None:
    names, bad = [path.name for path in folder.iterdir()], tmp_path / "bad.nevus"
    write_archive(bad, [*names, "stray.json"], lambda name: (folder / name).read_bytes() if name in names else b"{}")
    with pytest.raises(BundleError, match=r"stray\.json: is not listed in bundle\.json"):
        Bundle.load(bad)
    write_archive(bad, [name for name in names if name != "model.onnx"], lambda name: (folder / name).read_bytes())
    with pytest.raises(BundleError, match=r"model\.onnx: missing"):
        Bundle.load(bad)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + b"\0" * 18, b"\0" * 5000, b"PK\x03\x04" + b"x" * 900])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.nevus").write_bytes(content)
    with pytest.raises(BundleError, match=r"bad\.nevus"):
        Bundle.load(tmp_path / "bad.nevus")


def test_packing_and_unpacking_replace_whole_things_or_nothing(folder: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a file named \.nevus, as in model\.nevus"):
        pack(folder, tmp_path / "model.zip")
    taken = tmp_path / "taken"
    taken.mkdir()
    unpack(packed, taken)  # an empty folder may be there
    with pytest.raises(NevusError, match="is there already"):
        unpack(packed, taken)
    # The bundle changes under way: what stood at the place stays, and no part is left.
    source = small_bundle(tmp_path / "source")
    (tmp_path / "old.nevus").write_bytes(b"old")
    (source.path / "weights.safetensors").write_bytes(b"changed")
    with pytest.raises(BundleError, match="has changed since"):
        pack(source, tmp_path / "old.nevus")
    with pytest.raises(BundleError, match="has changed since"):
        unpack(source, tmp_path / "new")
    assert (tmp_path / "old.nevus").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.nevus", "source", "taken"]


def test_a_full_disk_leaves_no_part(folder: Path, small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    big = small_bundle(tmp_path / "big", size=20_000)
    disk = small_disk(64)
    for write in (lambda: pack(big, disk / "a.nevus"), lambda: unpack(big, disk / "a")):
        with pytest.raises(NevusError, match="the disk is full"):
            write()
        assert list(disk.iterdir()) == []
