import errno
import json
from pathlib import Path

import pytest

# A context that fails is what these tests are about: its body has to stand inside `raises`.
# ruff: noqa: PT012
from nevus.errors import NevusError
from nevus.files import replacing, sha256, write, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_the_whole_file(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a.txt", "déjà vu\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "déjà vu\n".encode()


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "old")
    with pytest.raises(ValueError, match="halfway"), replacing(tmp_path / "a.txt") as beside:
        beside.write_text("new, half")
        raise ValueError("halfway")
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    # /dev/full fails every write as a full disk does: the real error, not a pretended one.
    write(tmp_path / "a.txt", "old")
    with (
        pytest.raises(NevusError, match=r"a\.txt: the disk is full"),
        replacing(tmp_path / "a.txt") as beside,
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        beside.touch()
        full.write(b"x" * 4096)
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NevusError, match="cannot be written"):
        write(tmp_path / "file" / "a.txt", "text")


def test_other_system_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output") as caught, replacing(tmp_path / "a.txt") as beside:
        beside.touch()
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.errno == errno.EIO


def test_json_refuses_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": float("nan")})
    write_json(tmp_path / "a.json", {"value": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {"value": None}


def test_sha256_is_the_published_one(tmp_path: Path) -> None:
    write(tmp_path / "abc", b"abc")
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
