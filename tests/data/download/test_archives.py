"""Zip archives: what is unpacked where, and what is refused."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from nevus.data.download.archives import is_unpacked, unpack
from nevus.data.download.listing import Checksum, Remote
from nevus.errors import DataError, NevusError

REMOTE = Remote("archives/a.zip", "https://a.test/a.zip", 9, Checksum("md5", "0"))
MEMBERS = {
    "part_1/ISIC_1.jpg": b"\xff\xd8 one",
    "part_1/ISIC_2_downsampled.jpg": b"\xff\xd8 two",
    "part_1/LICENSE.txt": b"CC-0",
    "part_1/thumbs.db": b"?",
    "__MACOSX/part_1/._ISIC_1.jpg": b"?",
    "truth.csv": b"image\n",
}


def archive(out: Path, members: dict[str, bytes] | None = None) -> Path:
    path = out / "archives" / "a.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in (MEMBERS if members is None else members).items():
            file.writestr(name, content)
    return path


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_images_and_tables_come_out_and_the_archive_goes(tmp_path: Path) -> None:
    digests = unpack(archive(tmp_path), REMOTE, tmp_path, ())
    images = ["images/ISIC_1.jpg", "images/ISIC_2_downsampled.jpg"]
    assert files(tmp_path) == ["LICENSE.txt", "archives/a.zip.json", *images, "truth.csv"]
    assert (tmp_path / images[0]).read_bytes() == MEMBERS["part_1/ISIC_1.jpg"]
    assert digests["truth.csv"] == hashlib.sha256(b"image\n").hexdigest()
    assert is_unpacked(REMOTE, tmp_path, ())


def test_what_is_elsewhere_is_left_out(tmp_path: Path) -> None:
    unpack(archive(tmp_path), REMOTE, tmp_path, {"ISIC_2"})
    assert not (tmp_path / "images" / "ISIC_2_downsampled.jpg").exists()
    assert is_unpacked(REMOTE, tmp_path, {"ISIC_2"})
    assert not is_unpacked(REMOTE, tmp_path, ())


def test_a_note_counts_for_its_own_archive_and_while_all_is_there(tmp_path: Path) -> None:
    assert not is_unpacked(REMOTE, tmp_path, ())
    unpack(archive(tmp_path), REMOTE, tmp_path, ())
    other = Remote(REMOTE.name, REMOTE.url, REMOTE.size, Checksum("md5", "1"))
    assert not is_unpacked(other, tmp_path, ())
    (tmp_path / "images" / "ISIC_1.jpg").write_bytes(b"")
    assert not is_unpacked(REMOTE, tmp_path, ())
    (tmp_path / "archives" / "a.zip.json").write_text("[]")
    assert not is_unpacked(REMOTE, tmp_path, ())


def test_an_interrupted_unpacking_is_taken_up_by_content(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ISIC_1.jpg").write_bytes(b"\0" * 6)  # as long as it should be, and empty: a power cut
    whole = tmp_path / "images" / "ISIC_2_downsampled.jpg"
    whole.write_bytes(MEMBERS["part_1/ISIC_2_downsampled.jpg"])
    before = whole.stat().st_ino
    unpack(archive(tmp_path), REMOTE, tmp_path, ())
    assert (tmp_path / "images" / "ISIC_1.jpg").read_bytes() == MEMBERS["part_1/ISIC_1.jpg"]
    assert whole.stat().st_ino == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../out.jpg", "leads out of its folder"),
        ("a/../../out.jpg", "leads out of its folder"),
        ("/etc/out.jpg", "leads out of its folder"),
        ("a\\..\\out.jpg", "leads out of its folder"),
        ("C:/out.jpg", "leads out of its folder"),
        ("other/ISIC_1.jpg", "images/ISIC_1.jpg is in it twice"),
    ],
)
def test_names_that_lead_astray_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(DataError, match=f"no archive of photos:\n.*{reason}"):
        unpack(archive(tmp_path, {"ISIC_1.jpg": b"1", name: b"2"}), REMOTE, tmp_path, ())
    assert files(tmp_path) == []


def test_links_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("ISIC_1.jpg")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(path, REMOTE, tmp_path, ())
    assert files(tmp_path) == []


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"would grow from [\d,]+ to 10,000,000 bytes"):
        unpack(archive(tmp_path, {"ISIC_1.jpg": b"\0" * 10_000_000}), REMOTE, tmp_path, ())
    assert files(tmp_path) == []


@pytest.mark.parametrize("fault", ["truncated", "flipped", "no zip", "lying size"])
def test_a_broken_archive_is_said_and_removed(tmp_path: Path, fault: str, noise: bytes) -> None:
    path = archive(tmp_path, {"ISIC_1.jpg": noise})
    content = bytearray(path.read_bytes())
    if fault == "truncated":
        del content[40_000:]
    elif fault == "flipped":
        content[10_000] ^= 1
    elif fault == "no zip":
        content[:] = b"nothing"
    else:
        # A central directory that declares 100 bytes for the 50,000 that are in it.
        at = content.rindex(b"PK\x01\x02") + 24
        content[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a broken archive.*run it again"):
        unpack(path, REMOTE, tmp_path, ())
    assert files(tmp_path) == []


def test_a_disk_that_fills_up_keeps_the_archive_and_what_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path)
    real = Path.open

    def full(self: Path, mode: str = "r", *rest: int) -> object:
        if self.name == "ISIC_2_downsampled.jpg.part":
            return real(Path("/dev/full"), mode, *rest)
        return real(self, mode, *rest)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(NevusError, match="the disk is full"):
        unpack(path, REMOTE, tmp_path, ())
    monkeypatch.undo()
    assert files(tmp_path) == ["archives/a.zip", "images/ISIC_1.jpg"]
    assert len(unpack(path, REMOTE, tmp_path, ())) == 4


def test_nothing_is_unpacked_that_is_no_archive_of_ours(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("run.sh", "#!/bin/sh")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    (tmp_path / "archives").mkdir()
    assert unpack(tmp_path / "a.zip", REMOTE, tmp_path, ()) == {}
    assert files(tmp_path) == ["archives/a.zip.json"]
