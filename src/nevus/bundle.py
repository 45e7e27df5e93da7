"""A bundle is a trained model as a folder: weights, ONNX model, preprocessing, classes, metadata schema, thresholds, card.

`bundle.json` is generated, never typed; it holds the SHA-256 of every other file and of itself. Loading compares them all.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nevus.errors import BundleError, listed
from nevus.files import sha256, write, writing

FORMAT = 2
_BLANK = "0" * 64


@dataclass(frozen=True)
class Bundle:
    """An opened and verified bundle: `path` is its folder, `document` the content of bundle.json."""

    path: Path
    document: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the network's outputs."""
        return tuple(self.document["classes"])

    @classmethod
    def load(cls, path: Path | str) -> "Bundle":
        """Open a bundle after comparing every hash.

        Raises
        ------
        BundleError
            It is not a bundle, is of a later format, or any byte of it is not as it was written.
        """
        path = Path(path)
        document = _read_document(path / "bundle.json")
        problems = []
        for name, expected in document["files"].items():
            if not (path / name).is_file():
                problems.append(f"{name}: missing")
            elif (found := sha256(path / name)) != expected:
                problems.append(f"{name}: its SHA-256 is {found[:12]}…, expected {expected[:12]}…")
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
        """
        path = Path(path)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            (path / "bundle.json").unlink(missing_ok=True)
            for name, write_content in contents.items():
                write_content(path / name)
        whole = {"format": FORMAT, **document, "files": {name: sha256(path / name) for name in contents}, "checksum": _BLANK}
        text = json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        write(path / "bundle.json", text.replace(_BLANK, hashlib.sha256(text.encode()).hexdigest()))
        return cls.load(path)


def _read_document(path: Path) -> dict[str, Any]:
    remedy = "Give the folder that `nevus fit` or `nevus cross-validate` wrote."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path.parent}: not a bundle: its bundle.json cannot be read. {remedy}") from error
    try:
        document = json.loads(content)
        checksum, version = document["checksum"], document["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: damaged, or not a bundle's. {remedy}") from error
    if hashlib.sha256(content.replace(str(checksum).encode(), _BLANK.encode())).hexdigest() != checksum:
        raise BundleError(f"{path}: was changed after it was written. Copy the bundle again.")
    if version != FORMAT:
        remedy = "Use the version that wrote it, or train again."
        raise BundleError(f"{path}: its format is {version}; this nevus reads {FORMAT}. {remedy}")
    return dict(document)
