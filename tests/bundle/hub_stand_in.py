"""A server on this machine that stands in for the Hugging Face hub: the addresses that its client asks, and faults on request."""

import base64
import hashlib
import json
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_the-owners-token"


@dataclass
class Repository:
    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        whole = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        text = json.dumps([branch, len(self.commits), sorted((name, hashlib.sha256(c).hexdigest()) for name, c in whole.items())])
        name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.branches[branch], self.commits[name] = name, whole
        return name

    def resolve(self, revision: str) -> str | None:
        return self.branches.get(revision) or (revision if revision in self.commits else None)


class HubStandIn(ThreadingHTTPServer):
    """Repositories in memory; `faults` by a file's name are used up one a GET: "cut" after half of the rest, or a status."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        self.faults: dict[str, deque[str]] = defaultdict(deque)
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no fault."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is one packet: two would each wait for the other side.
    wbufsize = -1
    server: HubStandIn

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        self._get()

    def do_PUT(self) -> None:
        oid, content = self.path.rpartition("/")[2], self._body()
        assert hashlib.sha256(content).hexdigest() == oid, "what is stored is what was announced"
        self.server.stored[oid] = content
        self._send(200, b"")

    def do_POST(self) -> None:
        path, body = self._asked(), self._body()
        if path == "/api/validate-yaml":
            head = json.loads(body)["content"].split("\n---\n")[0]
            bad = not head.startswith("---\n") or 'license: "' not in head
            return self._json({"errors": [{"message": "no head"}] if bad else [], "warnings": []}, 400 if bad else 200)
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refused()
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
            if name in self.server.repositories:
                return self._json({"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}, 409)
            self.server.repositories[name] = repository = Repository(private=_private(asked))
            repository.commit("main", {".gitattributes": b"*.onnx filter=lfs\n"})
            return self._json({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            for item in objects:
                item["actions"] = {"upload": {"href": f"{self.server.url}/store/{item['oid']}", "header": {}}}
            return self._json({"transfer": "basic", "objects": objects})
        name, verb, revision = self._api(path)
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._missing("RepoNotFound")
        if verb == "branch":
            if revision in repository.branches:
                return self._json({"error": "exists"}, 409)
            repository.branches[revision] = repository.branches["main"]
            return self._json({})
        if verb == "preupload":
            files = json.loads(body)["files"]
            kinds = {True: "lfs", False: "regular"}
            modes = [{"path": f["path"], "uploadMode": kinds[f["path"].endswith((".onnx", ".safetensors"))]} for f in files]
            return self._json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})
        assert verb == "commit", path
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
            else:
                assert line["key"] == "header"
        commit = repository.commit(revision, files)
        return self._json({"success": True, "commitOid": commit, "commitUrl": f"{self.server.url}/{name}/commit/{commit}"})

    def _get(self) -> None:
        path = self._asked()
        if path.startswith("/api/models/"):
            name, verb, revision = self._api(path)
            assert verb in ("", "revision"), path
            commit, files = self._files(name, revision or "main")
            if files is None:
                return None
            siblings = [{"rfilename": file, "size": len(content)} for file, content in sorted(files.items())]
            return self._json(
                {"id": name, "sha": commit, "private": self.server.repositories[name].private, "siblings": siblings}
            )
        owner, name, _, revision, file = path.removeprefix("/").split("/", 4)
        commit, files = self._files(f"{owner}/{name}", unquote(revision))
        if files is None:
            return None
        if file not in files:
            return self._missing("EntryNotFound")
        content, start = files[file], 0
        head = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        fault = self.server.faults[file].popleft() if self.command == "GET" and self.server.faults[file] else ""
        if fault.isdigit():
            return self._send(int(fault), b"not now")
        if span := self.headers.get("Range"):
            start = int(span.removeprefix("bytes=").split("-")[0])
            head["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._send(206 if span else 200, content[start:], head, cut=fault == "cut")

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes] | None]:
        repository, given = self.server.repositories.get(name), self.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            self._refused()
            return "", None
        if repository is None or (repository.private and given is None):
            self._missing("RepoNotFound")
            return "", None
        if (commit := repository.resolve(revision)) is None:
            self._missing("RevisionNotFound")
            return "", None
        return commit, repository.commits[commit]

    def _api(self, path: str) -> tuple[str, str, str]:
        """OWNER/NAME, the verb and the revision of /api/models/OWNER/NAME/verb/revision."""
        owner, name, *rest = path.removeprefix("/api/models/").split("/", 3)
        verb, revision = [*rest, "", ""][:2]
        return f"{owner}/{name}", verb, unquote(revision)

    def _asked(self) -> str:
        parts = urlsplit(self.path)
        self.server.requests.append(f"{self.command} {parts.path}")
        assert not parse_qs(parts.query).get("create_pr"), "pushed, not proposed"
        return parts.path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, document: Any, status: int = 200) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _missing(self, code: str) -> None:
        self._send(404, b"{}", {"X-Error-Code": code})

    def _refused(self) -> None:
        self._send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.close_connection = True


def _private(asked: dict[str, Any]) -> bool:
    return bool(asked.get("private")) or asked.get("visibility") == "private"
