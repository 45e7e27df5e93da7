"""A server on this machine that stands in for the archives: the same addresses and answers, and the faults that tests ask for."""

import hashlib
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

# What a path gives: bytes, or a function of the query that gives a document.
Content = bytes | Callable[[dict[str, str]], Any]


class StandIn(ThreadingHTTPServer):
    """Files with Range, HEAD and ETag; `faults` are used up one a request of a path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents: dict[str, Content] = {}
        self.redirects: dict[str, str] = {}
        self.faults: dict[str, deque[str]] = defaultdict(deque)
        self.requests: list[tuple[str, str, str]] = []
        self.etags = True
        self.release = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def asked(self, path: str) -> list[str]:
        """The Range of each request of a path, "" where it had none."""
        return [span for method, asked, span in self.requests if asked == path and method == "GET"]

    def fail(self, path: str, *faults: str) -> None:
        """The next answers of a path.

        "cut:N" and "hold:N" (which waits for `release`) after N bytes, "503", "503 after 0", "401", "page", "page as a file",
        "page without a head", "unsized:N" (no length, N bytes), "whole" (ignores Range), "other etag".
        """
        self.faults[path].extend(faults)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server, parts = self.server, urlsplit(self.path)
        span = self.headers.get("Range", "")
        server.requests.append((self.command, parts.path, span))
        if not self.headers.get("User-Agent", "").startswith("nevus/"):
            return self._send(403, b"who are you?")
        faults = server.faults[parts.path]
        fault = faults.popleft() if faults else ""
        if status := re.fullmatch(r"(\d{3})(?: after (\d+))?", fault):
            return self._send(int(status[1]), b"not now", {"Retry-After": status[2]} if status[2] else {})
        if fault == "page":
            return self._send(200, b"<!DOCTYPE html><html>please log in</html>", {"Content-Type": "text/html"})
        if fault == "page without a head":
            return self._send(200, b"<p>please log in</p>", {"Content-Type": "text/html; charset=utf-8"})
        if fault == "page as a file":
            return self._send(200, b"\n<!DOCTYPE html><html>please log in</html>")
        if parts.path in server.redirects:
            return self._send(303, b"", {"Location": server.redirects[parts.path]})
        content = server.contents.get(parts.path)
        if content is None:
            return self._send(404, b"no such thing")
        if callable(content):
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            content = json.dumps(content(query)).encode()
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}{"-2" if fault == "other etag" else ""}"'
        headers = {"ETag": etag} if server.etags else {}
        start = int(span.removeprefix("bytes=").removesuffix("-")) if span and fault != "whole" else 0
        if start and start >= len(content):
            return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        status_code = 206 if start else 200
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        kind, _, length = fault.partition(":")
        return self._send(status_code, content[start:], headers, int(length) if length else None, kind)

    def _send(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None, kind: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if kind != "unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            if kind == "hold":
                self.server.release.wait(20)
            self.close_connection = True


def dataverse(server: StandIn, files: dict[str, bytes], *, originals: dict[str, bytes] | None = None) -> None:
    """HAM10000's data set as the native API describes it; a table that was taken in has an original beside its tabs."""
    entries = []
    for number, (name, content) in enumerate(files.items(), 100):
        original = (originals or {}).get(name)
        digest = hashlib.md5(original or content, usedforsecurity=False).hexdigest()
        file = {"id": number, "filename": name, "filesize": len(content), "md5": digest}
        file["checksum"] = {"type": "MD5", "value": digest}
        if original is not None:
            file |= {"originalFileFormat": "text/csv", "originalFileSize": len(original), "originalFileName": "x.csv"}
        entries.append({"label": name, "restricted": False, "dataFile": file})
        path = f"/api/access/datafile/{number}"
        # Dataverse sends its readers on to its store; the tabs are what comes where no original is asked for.
        server.redirects[path] = f"{server.url}store/{number}"
        server.contents[f"/store/{number}"] = original or content
    document = {"status": "OK", "data": {"id": 1, "latestVersion": {"versionNumber": 4, "files": entries}}}

    def answer(query: dict[str, str]) -> Any:
        assert query["persistentId"] == "doi:10.7910/DVN/DBW86T"
        return document

    server.contents["/api/datasets/:persistentId/"] = answer


def mendeley(server: StandIn, files: dict[str, bytes]) -> None:
    """PAD-UFES-20 as Mendeley's public API describes it."""
    entries = []
    for name, content in files.items():
        path = f"/public-files/datasets/zr7vgbcyr2/files/{name}/file_downloaded"
        server.contents[path] = content
        details = {
            "id": name,
            "sha256_hash": hashlib.sha256(content).hexdigest(),
            "content_type": "application/zip",
            "size": len(content),
            "download_url": server.url.rstrip("/") + path,
        }
        entries.append({"filename": name, "id": name, "size": len(content), "content_details": details})
    server.contents["/public-api/datasets/zr7vgbcyr2"] = lambda query: {"id": "zr7vgbcyr2", "version": 1, "files": entries}


def archive(server: StandIn, collection: str, images: list[dict[str, Any]], page_size: int = 3) -> None:
    """A collection as the ISIC archive's API lists it. Each image is its row with `content`, the bytes of its file."""
    listed = []
    for image in images:
        isic_id, path = image["isic_id"], f"/files/{image['isic_id']}.jpg"
        server.contents[path] = image["content"]
        clinical = {name: value for name, value in image.items() if name not in _OWN}
        entry = {
            "isic_id": isic_id,
            "public": True,
            "copyright_license": image["copyright_license"],
            "attribution": "ViDIR, Vienna",
            "files": {
                "full": {"url": f"{server.url}files/{isic_id}.jpg", "size": len(image["content"])},
                "thumbnail_256": {"url": f"{server.url}thumbs/{isic_id}.jpg", "size": 1},
            },
            "metadata": {"acquisition": {"pixels_x": 600, "pixels_y": 450}, "clinical": clinical},
        }
        server.contents[f"/api/v2/images/{isic_id}/"] = _always(entry)
        listed.append(entry)

    def search(query: dict[str, str]) -> Any:
        assert query["collections"] == collection
        start = int(query.get("cursor", 0))
        end = start + page_size
        following = f"{server.url}api/v2/images/search/?{urlencode({**query, 'cursor': end})}"
        return {
            "results": listed[start:end],
            # As the archive does: on the first page only.
            "count": None if start else len(listed),
            "next": following if end < len(listed) else None,
            "previous": None,
        }

    server.contents["/api/v2/images/search/"] = search


def _always(document: Any) -> Content:
    return lambda query: document


_OWN = ("isic_id", "copyright_license", "content")
