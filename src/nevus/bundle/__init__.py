"""A bundle is a trained model: weights, ONNX model, preprocessing, classes, metadata schema, thresholds, card.

It is a folder, or the same files as one .nevus file. `bundle.json` is generated, never typed; it holds the SHA-256 of every other
file and of itself. Loading compares them all. A hash finds what was changed by accident or on the way; it does not say who wrote
the bundle.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nevus.bundle.archive import Archive
from nevus.bundle.document import FORMAT, NAME, name_problems, parsed, sealed
from nevus.bundle.folder import Folder
from nevus.errors import BundleError, listed
from nevus.files import sha256, write, writing

__all__ = ["FORMAT", "Bundle"]


@dataclass(frozen=True)
class Bundle:
    """An opened and verified bundle: `path` is its folder or .nevus file, `document` the content of bundle.json."""

    path: Path
    document: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the network's outputs."""
        return tuple(self.document["classes"])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its files, bundle.json among them, sorted."""
        return tuple(sorted([NAME, *self.document["files"]]))

    def size(self, name: str) -> int:
        """The bytes that a file has."""
        return _storage(self.path).size(name)

    def read(self, name: str) -> bytes:
        """The bytes of one of its files, their hash compared: what is used is what was checked.

        Raises
        ------
        BundleError
            The bundle lists no such file, or the file has changed since the bundle was loaded.
        """
        if name not in self.names:
            raise BundleError(f"{self.path}: has no {name}; it has {', '.join(self.names)}.")
        content = _storage(self.path).read(name)
        if not self._is_as_written(name, content):
            raise BundleError(f"{self.path}: {name} has changed since the bundle was opened. Copy the bundle again.")
        return content

    @classmethod
    def load(cls, path: Path | str) -> "Bundle":
        """Open a bundle, a folder or a .nevus file, after comparing every hash. Nothing is unpacked.

        Raises
        ------
        BundleError
            It is not a bundle, is of another format, has files that a bundle may not have, or any byte of it is not as it was
            written.
        """
        path = Path(path)
        storage = _storage(path)
        content = _document_bytes(path, storage)
        document = parsed(path / NAME, content)
        expected = {**document["files"], NAME: hashlib.sha256(content).hexdigest()}
        # In a folder, what is not listed is not read; in an archive it has no business.
        unlisted = storage.entries.keys() - expected.keys() if isinstance(storage, Archive) else ()
        problems = [f"{name}: is not listed in {NAME}" for name in sorted(unlisted)]
        for name, digest in expected.items():
            try:
                if (found := storage.digest(name)) != digest:
                    problems.append(f"{name}: its SHA-256 is {found[:12]}…, expected {digest[:12]}…")
            except OSError as error:
                problems.append(f"{name}: cannot be read ({error.strerror})")
            except BundleError as error:
                problems.append(str(error).removeprefix(f"{path}: "))
        if problems:
            raise BundleError(listed(f"{path}: the bundle is not as it was written:", problems, remedy="Copy it again."))
        return cls(path, document)

    @classmethod
    def finished(cls, path: Path | str) -> "Bundle | None":
        """The bundle at `path`; None where it is not there yet, or was cut short by a kill."""
        try:
            return cls.load(path)
        except BundleError:
            return None

    @classmethod
    def write(cls, path: Path | str, document: Mapping[str, Any], contents: Mapping[str, Callable[[Path], None]]) -> "Bundle":
        """Write a bundle's files, then bundle.json with their hashes; a folder without bundle.json is not a bundle.

        Parameters
        ----------
        path
            The bundle's folder; made where it is missing.
        document
            What bundle.json says beside `format`, `files` and `checksum`.
        contents
            For each file's name a function that writes it to the path it is given.

        Raises
        ------
        BundleError
            A bundle may not hold a file of such a name.
        """
        path = Path(path)
        if problems := name_problems(contents):
            raise BundleError(listed(f"{path}: a bundle cannot hold these files:", problems))
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            (path / NAME).unlink(missing_ok=True)
            for name, write_content in contents.items():
                write_content(path / name)
        write(path / NAME, sealed({"format": FORMAT, **document, "files": {name: sha256(path / name) for name in contents}}))
        return cls.load(path)

    def _is_as_written(self, name: str, content: bytes) -> bool:
        if name == NAME:
            return bool(parsed(self.path / NAME, content)["checksum"] == self.document["checksum"])
        return bool(hashlib.sha256(content).hexdigest() == self.document["files"][name])


def _storage(path: Path) -> Folder | Archive:
    return Archive.open(path) if path.is_file() else Folder(path)


def _document_bytes(path: Path, storage: Folder | Archive) -> bytes:
    remedy = "Give the folder that `nevus fit` or `nevus cross-validate` wrote, or a .nevus file."
    if not path.exists():
        raise BundleError(f"{path}: no such file or folder. {remedy}")
    try:
        return storage.read(NAME)
    except (OSError, BundleError) as error:
        raise BundleError(f"{path}: not a bundle: its {NAME} cannot be read. {remedy}") from error
