"""HTTP with patience: bounded tries, growing waits, and a plain word for what does not come."""

import contextlib
import json
import math
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from nevus.errors import NevusError, NotAvailableError

T = TypeVar("T")
# A server that is busy or being restarted; anything else of 400 and above will not be better in a minute.
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_LARGEST_DOCUMENT = 256 << 20
_NAME = f"nevus/{version('nevus')}"
GO_ON = "What has arrived is kept: run the same command again to go on."


@dataclass(frozen=True)
class Patience:
    """How long a download waits for a server: seconds without a byte, tries in a row without progress, and between them."""

    timeout_s: float = 30.0
    num_tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0


@dataclass
class Session:
    """What all transfers of one download share; `stop` ends them all, `report` is told the bytes as they come."""

    patience: Patience = field(default_factory=Patience)
    stop: threading.Event = field(default_factory=threading.Event)
    report: Callable[[int], None] = field(default=lambda num_bytes: None)


class TryAgainError(Exception):
    """A passing fault. It never leaves this package: `persevere` tries again, or says in words that it gave up."""

    def __init__(self, why: str, wait_s: float | None = None, progressed: bool = False) -> None:
        super().__init__(why)
        self.wait_s, self.progressed = wait_s, progressed


class StoppedError(Exception):
    """Another transfer failed or the user interrupted: this one ends, and what it has stays for the next run."""


class ForbiddenError(NotAvailableError):
    """The server knows the file and does not give it: a login, or an address that has expired."""


def persevere(what: str, attempt: Callable[[], T], session: Session) -> T:
    """Call `attempt` until it does not raise `TryAgainError`.

    Raises
    ------
    NevusError
        `num_tries` in a row failed without progress.
    """
    patience, num_failed = session.patience, 0
    while True:
        if session.stop.is_set():
            raise StoppedError
        try:
            return attempt()
        except TryAgainError as again:
            num_failed = 1 if again.progressed else num_failed + 1
            if num_failed >= patience.num_tries:
                raise NevusError(f"{what}: {again}, {num_failed} times in a row. {GO_ON}") from again
            wait_s = again.wait_s if again.wait_s is not None else patience.first_wait_s * 2 ** (num_failed - 1)
            session.stop.wait(min(wait_s, patience.longest_wait_s))


def request(url: str, session: Session, *, headers: Mapping[str, str] | None = None, method: str = "GET") -> HTTPResponse:
    """The open response to one request, redirections followed; its status is 200, 206 or 416.

    Raises
    ------
    TryAgainError
        Nothing came, or the server is busy.
    NotAvailableError
        The server says no.
    """
    _check_scheme(url, "https")
    # Without a name of its own, urllib's is refused by some of these servers; identity, so that sizes are those of the file.
    own = {"User-Agent": _NAME, "Accept-Encoding": "identity"}
    asked = urllib.request.Request(url, headers={**own, **(headers or {})}, method=method)
    try:
        return _OPENER.open(asked, timeout=session.patience.timeout_s)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        return _refused(url, error)
    except urllib.error.URLError as error:
        raise TryAgainError(f"{_server(url)} cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise TryAgainError(f"{_server(url)} broke the connection ({error or type(error).__name__})") from error


def get_json(url: str, session: Session) -> Any:
    """The JSON document at an address.

    Raises
    ------
    NotAvailableError
        Something else is there.
    """

    def attempt() -> Any:
        with request(url, session, headers={"Accept": "application/json"}) as response:
            try:
                body = response.read(_LARGEST_DOCUMENT)
            except (OSError, HTTPException) as error:
                raise TryAgainError(f"{_server(url)} broke the connection") from error
            if response.length:
                raise TryAgainError(f"{_server(url)} broke the connection")
        try:
            return json.loads(body)
        except ValueError as error:
            kind = "a web page" if is_page(response.headers.get("Content-Type"), body) else "no JSON"
            raise NotAvailableError(
                f"{url}: {kind} came where a list of files is expected. Open it in a browser: the source may ask for a login, "
                "be closed, or have moved."
            ) from error

    return persevere(url, attempt, session)


def is_page(content_type: str | None, head: bytes) -> bool:
    """Whether a response is a web page, as login walls and proxies send in place of a file."""
    start = head[:512].lstrip().lower()
    return (content_type or "").lower().startswith("text/html") or start.startswith((b"<!doctype html", b"<html"))


def _refused(url: str, error: urllib.error.HTTPError) -> HTTPResponse:
    if error.code == 416:
        return error  # type: ignore[return-value]
    with error:
        if error.code in _PASSING:
            raise TryAgainError(f"{_server(url)} answers {error.code} {error.reason}", _retry_after(error)) from error
        text = b""
        if not is_page(error.headers.get("Content-Type"), b""):
            with contextlib.suppress(OSError, HTTPException):
                text = error.read(200)
    said = f": {text.decode(errors='replace').strip()}" if text.strip() else ""
    if error.code in (401, 403):
        raise ForbiddenError(f"{url}: the server answers {error.code} {error.reason}{said}. It may want a login.") from error
    raise NotAvailableError(f"{url}: the server answers {error.code} {error.reason}{said}.") from error


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """The seconds a busy server asks for; its other form, a date, is not read."""
    try:
        wait_s = float(error.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return wait_s if math.isfinite(wait_s) and wait_s >= 0 else None


def _server(url: str) -> str:
    return urlsplit(url).hostname or url


def _check_scheme(url: str, before: str) -> None:
    """Addresses come from servers: only the web, never a file of this machine, and no step down from https to http."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    if scheme == "https" or (scheme == "http" and (before == "http" or host in ("127.0.0.1", "localhost"))):
        return
    raise NotAvailableError(f"{url}: only https addresses are fetched.")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl, req.type)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


# Only the web: no file, ftp or data addresses. Proxies of the environment are honoured.
_OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    _Redirects,
):
    _OPENER.add_handler(_handler())
