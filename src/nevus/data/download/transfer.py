"""One file, fetched so that a cut connection costs nothing and a wrong byte is not kept.

Bytes go to `NAME.part` beside the place, what identifies the remote file to `NAME.part.json`. A part goes on with an HTTP range
where the server still has the same file; where it ignores ranges, or the file has changed, that file starts again. Size and
checksum are compared before the part takes its name. If-Range is not sent: Dataverse does not read it (its Data Access guide),
so the answer's own ETag and length are compared instead.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from nevus.data.download.listing import Remote
from nevus.data.download.web import ForbiddenError, Session, StoppedError, TryAgainError, is_page, persevere, request
from nevus.errors import DataError, NotAvailableError
from nevus.files import settle, write_json, writing

_CHUNK = 1 << 18
# A server that cuts a large file again and again is still making way as long as this many bytes come each time.
_PROGRESS = 1 << 20


def fetch(remote: Remote, place: Path, session: Session) -> str:
    """Fetch `remote` to `place` and return its SHA-256.

    Raises
    ------
    DataError
        The file that came has another size or checksum than is published; nothing is left under its name.
    NotAvailableError
        It is not there, or a web page came in its place.
    NevusError
        The connection failed too often, or the disk is full; the part stays and the next call goes on with it.
    """
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(remote, place)
        while True:
            persevere(place.name, lambda: transfer.attempt(session), session)
            try:
                digest = transfer.verify()
            except DataError:
                transfer.drop()
                # The pieces may be of two versions of the file: once more from its start before it is called wrong.
                if not transfer.resumed:
                    raise
                transfer.resumed = False
                continue
            transfer.finish()
            return digest


def part_size(place: Path) -> int:
    """The bytes that an earlier run left of a file."""
    try:
        return _beside(place, ".part").stat().st_size
    except OSError:
        return 0


class _Transfer:
    def __init__(self, remote: Remote, place: Path) -> None:
        self.remote, self.place = remote, place
        self.part, self.state = _beside(place, ".part"), _beside(place, ".part.json")
        self.resumed = self.renewed = False

    def attempt(self, session: Session) -> None:
        """Take one connection's worth of bytes; returns once the part is as long as the file."""
        kept, known = self._kept()
        if kept and kept == known.get("size"):
            self.resumed = True
            return
        headers = {"Range": f"bytes={kept}-"} if kept else {}
        try:
            response = request(self.remote.url, session, headers=headers)
        except ForbiddenError:
            if self.remote.renew is None or self.renewed:
                raise
            self.renewed = True
            self.remote = dataclasses.replace(self.remote, url=self.remote.renew())
            raise TryAgainError("its address has expired", 0, progressed=True) from None
        with response:
            start, size = self._accept(response, kept, known)
            self._receive(response, start, size, session)

    def _kept(self) -> tuple[int, dict[str, Any]]:
        """How much of the file is here, and what the server said of it; a part of unknown origin counts for nothing."""
        try:
            kept, known = self.part.stat().st_size, json.loads(self.state.read_text())
        except (OSError, ValueError):
            kept, known = 0, {}
        return kept, known

    def _accept(self, response: HTTPResponse, kept: int, known: dict[str, Any]) -> tuple[int, int | None]:
        """Where the answer's bytes belong, and the whole file's size."""
        etag = response.headers.get("ETag")
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip())
            if span is None or int(span[1]) != kept or not self._is_same(etag, int(span[2]), known):
                self.drop()
                raise TryAgainError("the file has changed on the server", 0)
            self.resumed = True
            return kept, int(span[2])
        if response.status == 416:
            self.drop()
            raise TryAgainError("the file has changed on the server", 0)
        size = response.length
        if is_page(response.headers.get("Content-Type"), b""):
            raise NotAvailableError(self._page())
        if None not in (size, self.remote.size) and size != self.remote.size:
            if is_page(None, self._next(response, 0, 0, size)):
                raise NotAvailableError(self._page())
            raise DataError(self._wrong("size", f"{self.remote.size:,} bytes", f"{size:,} bytes"))
        if size is None and not response.chunked and self.remote.size is None and self.remote.checksum is None:
            raise NotAvailableError(f"{self.remote.url}: the server does not say how long the file is; a cut would go unseen.")
        size = size if size is not None else self.remote.size
        write_json(self.state, {"url": self.remote.url, "etag": etag, "size": size})
        return 0, size

    def _is_same(self, etag: str | None, size: int, known: dict[str, Any]) -> bool:
        return (etag is None or known.get("etag") in (None, etag)) and size == known.get("size", size)

    def _receive(self, response: HTTPResponse, start: int, size: int | None, session: Session) -> None:
        # Unbuffered: what has come is in the file at once, so that an interrupted run, even a killed one, goes on from there.
        with self.part.open("r+b" if start else "wb", buffering=0) as file:
            file.seek(start)
            file.truncate()
            at = start
            while chunk := self._next(response, at, start, size):
                if at == 0 and is_page(None, chunk):
                    raise NotAvailableError(self._page())
                _write(file, chunk)
                at += len(chunk)
                session.report(len(chunk))
                if session.stop.is_set():
                    raise StoppedError
        if size is not None and at < size:
            raise self._cut(at, start, size)

    def _next(self, response: HTTPResponse, at: int, start: int, size: int | None) -> bytes:
        """What has come, without waiting for more: nothing that arrived is lost when the connection breaks."""
        try:
            return response.read1(_CHUNK)
        except (HTTPException, OSError) as error:
            raise self._cut(at, start, size) from error

    def _cut(self, at: int, start: int, size: int | None) -> TryAgainError:
        of = f" of {size:,}" if size is not None else ""
        return TryAgainError(f"the connection broke after {at:,}{of} bytes", progressed=at - start >= _PROGRESS)

    def verify(self) -> str:
        """The part's SHA-256, once its size and the published checksum hold."""
        expected, size = self.remote.size, self.part.stat().st_size
        if expected is not None and size != expected:
            raise DataError(self._wrong("size", f"{expected:,} bytes", f"{size:,} bytes"))
        published = self.remote.checksum
        algorithms = {"sha256", *([published.algorithm] if published else [])}
        digests = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
        with self.part.open("rb") as file:
            while chunk := file.read(1 << 20):
                for digest in digests.values():
                    digest.update(chunk)
        if published and digests[published.algorithm].hexdigest() != published.hexdigest:
            found = digests[published.algorithm].hexdigest()
            raise DataError(self._wrong(f"{published.algorithm} checksum", published.hexdigest, found))
        return digests["sha256"].hexdigest()

    def finish(self) -> None:
        settle(self.part, self.place)
        self.state.unlink(missing_ok=True)

    def drop(self) -> None:
        """Forget what has come."""
        for path in (self.part, self.state):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _page(self) -> str:
        self.drop()
        return (
            f"{self.remote.url}: a web page came in place of {self.place.name}. The source may ask for a login, or something "
            "between you and it does: open the address in a browser."
        )

    def _wrong(self, what: str, expected: str, found: str) -> str:
        return (
            f"{self.place}: its {what} is wrong: {expected} is published, {found} came from {self.remote.url}. It is not kept. "
            "Run it again; if it comes again, the file was changed at the source or on the way."
        )


def _write(file: Any, chunk: bytes) -> None:
    """All of it: an unbuffered write may take a piece only."""
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(place.name + ending)
