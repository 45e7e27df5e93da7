"""What goes wrong with a whole download: said in one message, and the next run goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from published import PHOTOS, SOURCES, ham10000, image_requests, isic
from stand_in import StandIn, mendeley

from nevus.data.download import Downloaded, Patience, Plan
from nevus.errors import DataError, NevusError, NotAvailableError

Get = Callable[..., Downloaded]


# Waits for servers that are busy, silent or cut off.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SOURCES)
def test_too_little_room_is_said_before_anything_comes(
    get: Get, server: StandIn, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("nevus.data.download.plan.shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"needs [\d.]+ kB there and 1\.0 kB are free"):
        get(name)
    assert image_requests(server) == []


def test_every_fault_on_the_way_of_many_images(get: Get, server: StandIn) -> None:
    for number, faults in enumerate((["503"], ["cut:500"], ["cut:500", "503"], ["403"], ["cut:300", "whole"]), 1):
        server.fail(f"/files/ISIC_000000{number}.jpg", *faults)
    server.fail("/api/v2/images/search/", "503", "cut:50")
    done = get("isic2019")
    assert {path.stem: path.read_bytes() for path in (done.out / "images").iterdir()} == PHOTOS


def test_images_that_are_gone_are_all_named_and_the_others_come(get: Get, server: StandIn, tmp_path: Path) -> None:
    isic(2019)(server)
    for number in (2, 5):
        del server.contents[f"/files/ISIC_000000{number}.jpg"]
    with pytest.raises(DataError, match=r"2 files did not come:(?s:.*)5 of 7 files came\. Run it again") as caught:
        get("isic2019")
    assert "ISIC_0000002.jpg" in str(caught.value)
    assert "ISIC_0000005.jpg" in str(caught.value)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 5


def test_a_network_that_fails_ends_all_at_once(get: Get, server: StandIn, tmp_path: Path) -> None:
    server.fail("/files/ISIC_0000001.jpg", "cut:500", *["503"] * 9)
    with pytest.raises(NevusError, match=r"503.*3 times in a row.*run the same command again"):
        get("isic2019")
    server.faults.clear()
    done = get("isic2019")
    assert {path.stem: path.read_bytes() for path in (done.out / "images").iterdir()} == PHOTOS
    assert "bytes=500-" in server.asked("/files/ISIC_0000001.jpg")


def test_what_waits_for_a_busy_server_ends_with_the_others(get: Get, server: StandIn) -> None:
    server.fail("/files/ISIC_0000001.jpg", *["503 after 0"] * 3)
    server.fail("/files/ISIC_0000002.jpg", "503 after 60")
    with pytest.raises(NevusError, match="3 times in a row"):
        get("isic2019", patience=Patience(num_tries=3, longest_wait_s=60))
    assert len(server.asked("/files/ISIC_0000002.jpg")) == 1


def test_an_archive_that_was_not_unpacked_to_its_end_is_read_again(get: Get, server: StandIn) -> None:
    done = get("ham10000")
    image = done.out / "images" / "ISIC_0000001.jpg"
    for note in (done.out / "archives").iterdir():
        note.unlink()
    content = server.contents["/store/100"]
    assert isinstance(content, bytes)
    (done.out / "archives" / "HAM10000_images_part_1.zip").write_bytes(content)
    image.write_bytes(b"\0" * image.stat().st_size)  # a power cut before the flush: all names, not all bytes
    get("ham10000")
    assert image.read_bytes() == PHOTOS["ISIC_0000001"]


def test_a_wrong_checksum_at_the_source(get: Get, server: StandIn, tmp_path: Path) -> None:
    ham10000(server)
    content = server.contents["/store/100"]
    assert isinstance(content, bytes)
    server.contents["/store/100"] = content[::-1]
    with pytest.raises(DataError, match=r"HAM10000_images_part_1\.zip: its md5 checksum is wrong"):
        get("ham10000")
    assert not list((tmp_path / "out").rglob("*.jpg"))
    assert not list((tmp_path / "out" / "archives").iterdir())


def test_ctrl_c_leaves_what_goes_on(get: Get, server: StandIn, tmp_path: Path) -> None:
    def interrupt(num_done: int, num_files: int, num_bytes: int) -> None:
        if num_done == 3 and threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get("isic2019", progress=interrupt)
    before = {path.name for path in (tmp_path / "out" / "images").glob("*.jpg")}
    assert len(before) >= 1
    done = get("isic2019")
    assert done.num_found >= 1
    assert {path.stem: path.read_bytes() for path in (done.out / "images").iterdir()} == PHOTOS


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_at_its_last_byte(get: Get, server: StandIn, tmp_path: Path, kill: signal.Signals) -> None:
    ham10000(server)
    server.fail("/store/100", "hold:1500")
    program = "import sys; from nevus.data.download import download; "
    program += "download('ham10000', sys.argv[1], endpoints={'dataverse': sys.argv[2]})"
    run = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "out"), server.url], stderr=subprocess.DEVNULL)
    part = tmp_path / "out" / "archives" / "HAM10000_images_part_1.zip.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size == 1500) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(run.pid, kill)
    assert run.wait(20) != 0
    server.release.set()
    assert get("ham10000").num_images == 4
    assert server.asked("/store/100") == ["", "bytes=1500-"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ham10000", "isic2019"])
def test_a_disk_that_fills_up_in_the_middle(get: Get, small_disk: Callable[[int], Path], name: str) -> None:
    disk = small_disk(4096)
    filler = disk / "filler"

    def fill(plan: Plan) -> bool:
        """There was room when it was asked for, and then another program took it, but for two blocks."""
        with filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096) == 4096 and os.statvfs(disk).f_bavail > 2:
                pass
        return True

    with pytest.raises(NevusError, match="the disk is full"):
        get(name, out=disk / "out", confirm=fill)
    assert not list((disk / "out").rglob(".*.part"))
    filler.unlink()
    done = get(name, out=disk / "out")
    assert {path.stem: path.read_bytes() for path in (done.out / "images").iterdir()}.items() <= PHOTOS.items()
    assert done.num_images == len(list((done.out / "images").iterdir()))


def test_two_runs_at_once_do_the_work_once(get: Get, server: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    isic(2019)(server)
    entered, finish, done = threading.Event(), threading.Event(), []

    def first(plan: Plan) -> bool:
        entered.set()
        return finish.wait(10)

    one = threading.Thread(target=lambda: done.append(get("isic2019", confirm=first)))
    one.start()
    assert entered.wait(10)
    two = threading.Thread(target=lambda: done.append(get("isic2019")))
    two.start()
    two.join(0.2)
    assert two.is_alive()
    finish.set()
    one.join(10)
    two.join(10)
    assert [run.num_fetched for run in done] == [7, 0]
    assert len(image_requests(server)) == 7
    assert "another download is filling this folder" in caplog.text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"isic_id": "../../evil"}, "is not an image's name"),
        ({"files": {}}, "not an image of the archive"),
        ({"metadata": None}, "not an image of the archive"),
    ],
)
def test_an_archive_that_answers_nonsense(get: Get, server: StandIn, change: dict[str, Any], reason: str) -> None:
    isic(2019)(server)
    search = server.contents["/api/v2/images/search/"]
    assert callable(search)
    page = search({"collections": "65"})
    page["results"][0] |= change
    server.contents["/api/v2/images/search/"] = lambda query: page
    with pytest.raises(DataError, match=reason):
        get("isic2019")


def test_pages_that_go_round_in_circles_or_elsewhere(get: Get, server: StandIn) -> None:
    for following in (f"{server.url}api/v2/images/search/?collections=65&limit=100", "https://elsewhere.test/"):
        server.contents["/api/v2/images/search/"] = lambda query, to=following: {"results": [], "next": to, "count": 1}
        with pytest.raises(DataError, match="which is not its next one"):
            get("isic2019")


def test_an_image_that_pages_name_twice_comes_once(get: Get, server: StandIn, tmp_path: Path) -> None:
    isic(2019)(server)
    search = server.contents["/api/v2/images/search/"]
    assert callable(search)
    page = search({"collections": "65"}) | {"next": None}
    server.contents["/api/v2/images/search/"] = lambda query: page | {"results": page["results"] * 2}
    assert get("isic2019", licenses=["CC-0", "CC-BY", "CC-BY-NC"]).num_fetched == 3
    assert len((tmp_path / "out" / "metadata.csv").read_text().splitlines()) == 4


def test_fewer_images_than_announced_are_said(get: Get, server: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    isic(2019)(server)
    search = server.contents["/api/v2/images/search/"]
    assert callable(search)
    page = search({"collections": "65"}) | {"next": None}
    server.contents["/api/v2/images/search/"] = lambda query: page
    assert get("isic2019", licenses=["CC-0", "CC-BY", "CC-BY-NC"]).num_images == 3
    assert "announces 7 images and lists 3" in caplog.text


@pytest.mark.parametrize(
    ("name", "path"), [("ham10000", "/api/datasets/:persistentId/"), ("pad-ufes-20", "/public-api/datasets/zr7vgbcyr2")]
)
def test_a_repository_that_has_changed(get: Get, server: StandIn, name: str, path: str) -> None:
    SOURCES[name](server)
    for document, error in (
        ([], DataError),
        ({"data": {"latestVersion": {"files": []}}, "files": []}, NotAvailableError),
    ):
        server.contents[path] = lambda query, document=document: document
        with pytest.raises(error, match=r"not the description of a data set|no longer lists"):
            get(name)


def test_a_name_that_leads_out_of_the_folder(get: Get, server: StandIn) -> None:
    mendeley(server, {"../../../evil.zip": b"x", "metadata.csv": b"y"})
    with pytest.raises(DataError, match="is no plain file name"):
        get("pad-ufes-20")
