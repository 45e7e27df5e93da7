"""Packs that are interrupted, raced for, or fed with files that crash a decoder."""

import fcntl
import json
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from nevus.data import crew
from nevus.data.images import read_image, shrink
from nevus.data.pack import Pack, pack_images
from nevus.errors import DataError, NevusError

NUM_IMAGES = 100
SmallDisk = Callable[[int], Path]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{number:03d}.png" for number in range(NUM_IMAGES)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    return paths


def holds(pack: Pack, images: list[Path]) -> bool:
    return all((pack.image(row) == shrink(read_image(path), 32)).all() for row, path in enumerate(images))


def run(code: str, images: list[Path], folder: Path, *, many: int = 1) -> "subprocess.Popen[str]":
    """Pack in another process, in worker processes where `many` images are many."""
    lines = [
        "import os, sys, signal, pathlib, nevus.data.crew as crew",
        "from nevus.data.pack import pack_images",
        f"crew.MANY = {many}",
        f"paths = sorted(pathlib.Path({str(images[0].parent)!r}).iterdir())",
        f"folder = pathlib.Path({str(folder)!r})",
        code,
    ]
    return subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def use_worker(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have packing processes run `script`."""
    start = crew._Process.__init__

    def started(self: crew._Process, part: Path, short_side: int, lock: int) -> None:
        start(self, part, short_side, lock)
        self._command[1:3] = [str(script)]

    monkeypatch.setattr(crew._Process, "__init__", started)
    monkeypatch.setattr(crew, "MANY", 1)


@pytest.mark.slow
@pytest.mark.parametrize("many", [1, 1000])
def test_processes_and_threads_make_the_same_pack(images: list[Path], tmp_path: Path, many: int) -> None:
    process = run("pack_images(paths, 32, folder)", images, tmp_path / "packs", many=many)
    assert process.communicate()[1] == ""
    calls: list[object] = []
    pack = pack_images(images, 32, tmp_path / "packs", lambda *done: calls.append(done))
    assert not calls
    assert holds(pack, images)


@pytest.mark.parametrize("many", [1, 1000])
@pytest.mark.parametrize("kill", ["SIGKILL", pytest.param("SIGINT", marks=pytest.mark.slow)])
def test_a_killed_build_is_gone_on_with(images: list[Path], tmp_path: Path, kill: str, many: int) -> None:
    code = f"pack_images(paths, 32, folder, lambda done, of: os.kill(os.getpid(), signal.{kill}))"
    process = run(code, images, tmp_path / "packs", many=many)
    process.communicate()
    assert process.returncode in (-getattr(signal, kill), 1)
    assert not list((tmp_path / "packs").glob("*.bin")), "half a pack must not have a pack's name"
    calls: list[tuple[int, int]] = []
    pack = pack_images(images, 32, tmp_path / "packs", lambda done, of: calls.append((done, of)))
    assert holds(pack, images)
    assert len(calls) < -(-NUM_IMAGES // 32), "what was done is not done again"
    assert sorted(path.suffix for path in (tmp_path / "packs").iterdir()) == [".bin", ".lock"]


@pytest.mark.slow
def test_pixels_that_a_power_cut_lost_are_packed_again(images: list[Path], tmp_path: Path) -> None:
    run("pack_images(paths, 32, folder, lambda done, of: os.kill(os.getpid(), 9))", images, tmp_path / "packs").communicate()
    part, journal = (next((tmp_path / "packs").glob(f"*.{kind}")) for kind in ("part", "journal"))
    offset = json.loads(journal.read_text().splitlines()[0])[1][0][0]
    with part.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(100))
    assert holds(pack_images(images, 32, tmp_path / "packs"), images)


@pytest.mark.slow
def test_a_line_that_the_kill_cut_is_forgotten(images: list[Path], tmp_path: Path) -> None:
    run("pack_images(paths, 32, folder, lambda done, of: os.kill(os.getpid(), 9))", images, tmp_path / "packs").communicate()
    journal = next((tmp_path / "packs").glob("*.journal"))
    journal.write_text(journal.read_text().rstrip("\0")[:-40])
    assert holds(pack_images(images, 32, tmp_path / "packs"), images)


@pytest.mark.slow
def test_two_processes_pack_the_same_images_once(images: list[Path], tmp_path: Path) -> None:
    code = "calls = []\npack_images(paths, 32, folder, lambda *done: calls.append(done))\nprint(len(calls))"
    both = [run(code, images, tmp_path / "packs") for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [error for _, error in outputs] == ["", ""]
    assert sorted(int(output) for output, _ in outputs) == [0, -(-NUM_IMAGES // 32)]


def test_a_decoder_that_crashes_is_survived_and_its_image_named(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os\nimport nevus.data.packer as packer\nload = packer.load_image\n"
        "packer.load_image = lambda path, side: os.abort() if path.endswith('/041.png') else load(path, side)\npacker.main()\n"
    )
    use_worker(worker, monkeypatch)
    pack = pack_images(images, 32, tmp_path / "packs", unreadable="skip")
    assert list(pack.problems) == [41]
    assert "041.png: the decoder crashed (SIGABRT)" in pack.problems[41]
    good = [path for path in images if path.name != "041.png"]
    assert holds(pack.rows(np.delete(np.arange(NUM_IMAGES), 41)), good)


def test_a_package_that_is_missing_is_said_and_no_image_blamed(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import nevus.data.packer as packer\nfrom nevus.errors import NotAvailableError\n"
        "def load(path, side):\n    raise NotAvailableError('DICOM needs pydicom')\n"
        "packer.load_image = load\npacker.main()\n"
    )
    use_worker(worker, monkeypatch)
    with pytest.raises(NevusError, match="DICOM needs pydicom"):
        pack_images(images, 32, tmp_path / "packs", unreadable="skip")


def test_a_process_that_cannot_start_is_not_taken_for_bad_images(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "MANY", 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NevusError, match=r"a packing process cannot start \(exit code 1\).*nevus\.data\.packer"):
        pack_images(images, 32, tmp_path / "packs", unreadable="skip")


@pytest.mark.parametrize("many", [pytest.param(1, marks=pytest.mark.slow), 1000])
def test_a_full_disk_is_said_and_gone_on_from(
    images: list[Path], small_disk: SmallDisk, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "MANY", many)
    disk = small_disk(400)  # 80 of the images fit: two chunks of 32, however two workers share them
    with pytest.raises(NevusError, match=r"(?s)the disk is full.*(32|64|68) of 100 images are packed and kept"):
        pack_images(images, 32, disk)
    assert not list(disk.glob("*.bin"))
    subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
    calls: list[tuple[int, int]] = []
    pack = pack_images(images, 32, disk, lambda done, of: calls.append((done, of)))
    assert calls[0][0] > 32, "what was packed before the disk was full is kept"
    assert holds(pack, images)
    del pack  # the file system can be unmounted once no file on it is open


@pytest.mark.slow
def test_a_worker_whose_parent_was_killed_holds_the_lock_until_it_ends(images: list[Path], tmp_path: Path) -> None:
    """Whoever takes the lock then knows that nobody writes into the file any more."""
    worker, busy = tmp_path / "worker.py", tmp_path / "busy"
    worker.write_text(
        "import pathlib, sys, time\nimport nevus.data.packer as packer\nload = packer.load_image\n"
        f"def slowly(path, side):\n    pathlib.Path({str(busy)!r}).touch()\n    time.sleep(0.1)\n    return load(path, side)\n"
        "packer.load_image = slowly\npacker.main()\n"
    )
    code = (
        "start = crew._Process.__init__\n"
        "def started(self, *words):\n    start(self, *words)\n"
        f"    self._command[1:3] = [{str(worker)!r}]\n"
        "crew._Process.__init__ = started\npack_images(paths, 32, folder)"
    )
    parent = run(code, images, tmp_path / "packs")
    while not busy.exists():
        time.sleep(0.02)
    parent.kill()
    parent.communicate()
    with next((tmp_path / "packs").glob("*.lock")).open("ab") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert holds(pack_images(images, 32, tmp_path / "packs"), images)


def damaged(kind: str, good: bytes) -> bytes:
    """A file's bytes with one fault."""
    if kind == "bomb":  # the header says 50,000 × 50,000 pixels: 7.5 GB
        size = (50_000).to_bytes(4, "big")
        header = b"IHDR" + size + size + good[24:29]
        return good[:12] + header + zlib.crc32(header).to_bytes(4, "big") + good[33:]
    faults = {"empty": b"", "cut": good[: len(good) // 2], "text": b"image_id,dx\n1,mel\n", "page": b"<html>log in</html>"}
    return faults[kind]


@pytest.mark.parametrize("many", [pytest.param(1, marks=pytest.mark.slow), 1000])
def test_bad_files_among_good_ones_are_named_and_the_pack_is_complete_without_them(
    images: list[Path], tmp_path: Path, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "MANY", many)
    expected = {
        7: ("empty", "the file is empty"),
        23: ("cut", "damaged or cut short"),
        41: ("bomb", "at most 64 megapixels"),
        64: ("text", "not an image"),
        99: ("page", "not an image"),
    }
    for row, (kind, _) in expected.items():
        images[row].write_bytes(damaged(kind, images[row].read_bytes()))
    with pytest.raises(DataError, match="5 of 100 images cannot be read") as refused:
        pack_images(images, 32, tmp_path / "packs")
    pack = pack_images(images, 32, tmp_path / "packs", unreadable="skip")
    for row, (_, reason) in expected.items():
        assert images[row].name in pack.problems[row]
        assert reason in pack.problems[row]
        assert pack.problems[row] in str(refused.value)
    good = np.setdiff1d(np.arange(NUM_IMAGES), list(expected))
    assert holds(pack.rows(good), [images[row] for row in good])
