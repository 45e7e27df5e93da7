"""One file through everything that a network does to it."""

import hashlib
import io
import json
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest
from stand_in import StandIn

from nevus.data.download import web
from nevus.data.download.listing import Checksum, Remote
from nevus.data.download.transfer import fetch, part_size
from nevus.data.download.web import Patience, Session, get_json
from nevus.errors import DataError, NevusError, NotAvailableError

Make = Callable[..., Remote]


@pytest.fixture
def remote(server: StandIn, noise: bytes) -> Make:
    """The file at /a.zip: its size and MD5 as published, unless the test says otherwise."""
    server.contents["/a.zip"] = noise

    def make(**changes: Any) -> Remote:
        md5 = Checksum("md5", hashlib.md5(noise, usedforsecurity=False).hexdigest())
        usual: dict[str, Any] = {"name": "a.zip", "url": f"{server.url}a.zip", "size": len(noise), "checksum": md5}
        return Remote(**usual | changes)

    return make


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_with_its_sha256(remote: Make, session: Session, noise: bytes, tmp_path: Path) -> None:
    num_bytes: list[int] = []
    session.report = num_bytes.append
    assert fetch(remote(), tmp_path / "new" / "a.zip", session) == hashlib.sha256(noise).hexdigest()
    assert (tmp_path / "new" / "a.zip").read_bytes() == noise
    assert names(tmp_path / "new") == ["a.zip"]
    assert sum(num_bytes) == len(noise)


def test_cut_connections_go_on_where_they_stopped(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path
) -> None:
    server.fail("/a.zip", "cut:10000", "cut:15000")
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise
    assert server.asked("/a.zip") == ["", "bytes=10000-", "bytes=25000-"]


def test_a_connection_that_stays_cut_says_how_to_go_on_and_does(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path
) -> None:
    server.fail("/a.zip", "cut:10000", "cut:10000", "cut:10000")
    with pytest.raises(NevusError, match=r"broke after 30,000 of 50,000 bytes, 3 times in a row\. .*run the same command again"):
        fetch(remote(), tmp_path / "a.zip", session)
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    assert part_size(tmp_path / "a.zip") == 30_000
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise
    assert server.asked("/a.zip")[-1] == "bytes=30000-"


def test_a_server_that_makes_way_may_cut_as_often_as_it_likes(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nevus.data.download.transfer._PROGRESS", 5_000)
    server.fail("/a.zip", *["cut:5000"] * 9)
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


def test_a_server_that_ignores_ranges_sends_it_from_the_start(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path
) -> None:
    server.fail("/a.zip", "cut:10000", "whole")
    fetch(remote(size=None, checksum=None), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


@pytest.mark.parametrize(
    ("size", "etags", "published"), [(50_000, True, False), (60_000, True, False), (60_000, False, False), (50_000, False, True)]
)
def test_a_file_that_changes_between_tries_starts_again(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path, size: int, etags: bool, published: bool
) -> None:
    server.etags = etags
    changed = (noise[::-1] * 2)[:size]
    # With neither an ETag nor another size, only the published checksum can tell.
    checksum = Checksum("sha256", hashlib.sha256(changed).hexdigest()) if published else None
    server.fail("/a.zip", "cut:10000", "503", "503")
    with pytest.raises(NevusError, match="503"):
        fetch(remote(size=None, checksum=checksum), tmp_path / "a.zip", session)
    server.contents["/a.zip"] = changed
    fetch(remote(size=None, checksum=checksum), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == changed


@pytest.mark.parametrize("changed", [b"short", b"long" * 20_000])
def test_a_listing_that_changes_between_runs_starts_again(
    remote: Make, server: StandIn, session: Session, tmp_path: Path, changed: bytes
) -> None:
    server.fail("/a.zip", "cut:10000", "503", "503")
    with pytest.raises(NevusError, match="503"):
        fetch(remote(), tmp_path / "a.zip", session)
    server.contents["/a.zip"] = changed
    fetch(remote(size=len(changed), checksum=None), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == changed


def test_a_whole_part_of_an_older_version_is_fetched_again(remote: Make, session: Session, noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"x" * 7)
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"etag": None, "size": 7}))
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


def test_an_answer_without_a_length_is_measured_by_the_listing(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path
) -> None:
    server.fail("/a.zip", "unsized:20000")
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise
    server.fail("/a.zip", "unsized:50000")
    with pytest.raises(DataError, match="size is wrong: 40,000 bytes is published, 50,000 bytes came"):
        fetch(remote(size=40_000, checksum=None), tmp_path / "b.zip", session)
    server.fail("/a.zip", "unsized:20000")
    with pytest.raises(NotAvailableError, match="does not say how long the file is"):
        fetch(remote(size=None, checksum=None), tmp_path / "c.zip", session)
    assert names(tmp_path) == ["a.zip"]


def test_a_file_that_shrank_starts_again(remote: Make, server: StandIn, session: Session, tmp_path: Path) -> None:
    server.fail("/a.zip", "cut:10000", "503", "503")
    with pytest.raises(NevusError, match="503"):
        fetch(remote(size=None, checksum=None), tmp_path / "a.zip", session)
    server.contents["/a.zip"] = b"short"
    fetch(remote(size=None, checksum=None), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == b"short"


def test_a_part_that_nobody_vouches_for_is_not_used(remote: Make, session: Session, noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"x" * 10_000)
    fetch(remote(checksum=None), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


def test_a_part_longer_than_its_file_is_dropped(remote: Make, session: Session, noise: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(noise + b"more")
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"etag": None, "size": len(noise)}))
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


def test_a_wrong_checksum_names_all_and_leaves_nothing(remote: Make, session: Session, noise: bytes, tmp_path: Path) -> None:
    wrong = Checksum("md5", "0" * 32)
    with pytest.raises(DataError) as caught:
        fetch(remote(checksum=wrong), tmp_path / "a.zip", session)
    for said in ("a.zip", "0" * 32, hashlib.md5(noise, usedforsecurity=False).hexdigest(), "Run it again"):
        assert said in str(caught.value)
    assert names(tmp_path) == []


def test_a_wrong_size_is_refused_before_it_is_taken(remote: Make, session: Session, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="size is wrong: 50,001 bytes is published, 50,000 bytes came"):
        fetch(remote(size=50_001), tmp_path / "a.zip", session)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fault", ["503", "503 after 0", "429", "500"])
def test_a_busy_server_is_asked_again(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path, fault: str
) -> None:
    server.fail("/a.zip", fault, fault)
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


@pytest.mark.parametrize("fault", ["page", "page as a file", "page without a head"])
@pytest.mark.parametrize("size", [50_000, None])
def test_a_login_page_is_not_a_file(
    remote: Make, server: StandIn, session: Session, tmp_path: Path, fault: str, size: int | None
) -> None:
    server.fail("/a.zip", fault)
    with pytest.raises(NotAvailableError, match=r"a web page came in place of a\.zip.*login"):
        fetch(remote(size=size, checksum=None), tmp_path / "a.zip", session)
    assert names(tmp_path) == []


def test_no_is_no(remote: Make, server: StandIn, session: Session, tmp_path: Path) -> None:
    server.fail("/a.zip", "401")
    with pytest.raises(NotAvailableError, match=r"401.*not now.*login"):
        fetch(remote(), tmp_path / "a.zip", session)
    with pytest.raises(NotAvailableError, match="404 Not Found: no such thing"):
        fetch(remote(url=f"{server.url}b.zip"), tmp_path / "a.zip", session)
    assert len(server.requests) == 2


def test_an_expired_address_is_renewed_once(
    remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path
) -> None:
    server.fail("/old.zip", "cut:10000", "403")
    server.contents["/old.zip"] = noise
    fetch(remote(url=f"{server.url}old.zip", renew=lambda: f"{server.url}a.zip"), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise
    assert server.asked("/a.zip") == ["bytes=10000-"]


def test_only_the_web_is_read(remote: Make, server: StandIn, session: Session, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    secret = (tmp_path / "secret").as_uri()
    for url in (secret, "ftp://127.0.0.1/a", "http://example.org/a.zip"):
        with pytest.raises(NotAvailableError, match="only https addresses"):
            fetch(remote(url=url), tmp_path / "a.zip", session)
    for there in (secret, "ftp://127.0.0.1/a"):
        server.redirects["/there"] = there
        with pytest.raises(NotAvailableError, match=r"only https addresses|is not allowed"):
            fetch(remote(url=f"{server.url}there"), tmp_path / "a.zip", session)


def test_no_redirection_leaves_https() -> None:
    asked = Request("https://a.test/a")
    with pytest.raises(NotAvailableError, match=r"http://a.test/b: only https"):
        web._Redirects().redirect_request(asked, io.BytesIO(), 303, "", Message(), "http://a.test/b")


def test_a_redirection_keeps_the_range(remote: Make, server: StandIn, session: Session, noise: bytes, tmp_path: Path) -> None:
    server.redirects["/way"] = f"{server.url}a.zip"
    server.fail("/a.zip", "cut:20000")
    fetch(remote(url=f"{server.url}way"), tmp_path / "a.zip", session)
    assert server.asked("/a.zip") == ["", "bytes=20000-"]


def test_nobody_at_home(remote: Make, session: Session, tmp_path: Path) -> None:
    with pytest.raises(NevusError, match=r"127\.0\.0\.1 cannot be reached.*3 times in a row"):
        fetch(remote(url="http://127.0.0.1:9/a.zip"), tmp_path / "a.zip", session)


def test_a_full_disk_is_one_message_and_the_part_stays(
    remote: Make, session: Session, noise: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, chunk: bytes) -> None:
        # /dev/full fails every write as a full disk does.
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(chunk)

    monkeypatch.setattr("nevus.data.download.transfer._write", full)
    with pytest.raises(NevusError, match=r"a\.zip: the disk is full.*run it again"):
        fetch(remote(), tmp_path / "a.zip", session)
    monkeypatch.undo()
    fetch(remote(), tmp_path / "a.zip", session)
    assert (tmp_path / "a.zip").read_bytes() == noise


def test_documents_survive_cuts_and_busy_servers(server: StandIn, session: Session) -> None:
    server.contents["/list"] = lambda query: {"a": list(range(1000))}
    server.fail("/list", "cut:100", "503")
    assert get_json(f"{server.url}list", session)["a"][-1] == 999
    server.fail("/list", "page")
    with pytest.raises(NotAvailableError, match="a web page came where a list of files is expected"):
        get_json(f"{server.url}list", session)
    server.contents["/list"] = b"no json"
    with pytest.raises(NotAvailableError, match="no JSON came"):
        get_json(f"{server.url}list", session)


def test_waits_grow_are_bounded_and_heed_the_server(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Patience(num_tries=6, first_wait_s=1, longest_wait_s=5))
    waits: list[float] = []
    monkeypatch.setattr(session.stop, "wait", waits.append)
    server.contents["/list"] = lambda query: 1
    server.fail("/list", "503", "503", "503 after 4", "503", "503 after 3600")
    assert get_json(f"{server.url}list", session) == 1
    assert waits == [1, 2, 4, 5, 5]


def test_a_stop_ends_a_wait(session: Session) -> None:
    session.stop.set()
    with pytest.raises(web.StoppedError):
        web.persevere("a", lambda: pytest.fail("asked after the stop"), session)
