"""bundle.json: what it must be before anything that it says is believed."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nevus.errors import BundleError, listed

FORMAT = 2
NAME = "bundle.json"
BLANK = "0" * 64
MAX_FILES = 64
MAX_FILE_BYTES = 1 << 30
# What a bundle may hold. A file that is none of these is refused, most of all what Python would unpickle and so run.
SUFFIXES = (".json", ".md", ".onnx", ".safetensors", ".txt")
_PICKLED = (".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth")
# One folder's plain names: no path, nothing hidden, nothing that a shell or another system would read otherwise.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def sealed(document: dict[str, Any]) -> str:
    """The text of bundle.json, its own SHA-256 in it, counted with zeros in the hash's place."""
    text = json.dumps({**document, "checksum": BLANK}, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    return text.replace(BLANK, hashlib.sha256(text.encode()).hexdigest())


def parsed(path: Path | str, content: bytes) -> dict[str, Any]:
    """The document in the bytes of bundle.json.

    Parameters
    ----------
    path
        Where the bytes are from, for messages.
    content
        The whole file.

    Raises
    ------
    BundleError
        It is not a bundle's, is of another format, was changed, or names files that a bundle may not hold.
    """
    try:
        document = json.loads(content)
        checksum, version, files = document["checksum"], document["format"], document["files"]
        # The format first: a later one may be sealed in another way.
        newer = version > FORMAT
        names = list(files.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        remedy = "Give a folder or .nevus file that nevus wrote."
        raise BundleError(f"{path}: damaged, or not a bundle's. {remedy}") from error
    if version != FORMAT:
        remedy = "Update nevus: pip install --upgrade nevus" if newer else "Train it again, or use the nevus that wrote it"
        raise BundleError(f"{path}: its format is {version}; this nevus reads {FORMAT}. {remedy}.")
    if hashlib.sha256(content.replace(str(checksum).encode(), BLANK.encode())).hexdigest() != checksum:
        raise BundleError(f"{path}: was changed after it was written. Copy the bundle again.")
    problems = [f"{name}: {digest!r} is no SHA-256" for name, digest in names if not _DIGEST.fullmatch(str(digest))]
    if problems := [*name_problems(files), *problems]:
        raise BundleError(listed(f"{path}: names files that a bundle may not hold:", problems, remedy="Do not use it."))
    return dict(document)


def name_problems(names: Iterable[str]) -> list[str]:
    """What is wrong with the names of a bundle's files beside bundle.json; nothing, for those that nevus writes.

    >>> name_problems(["model.onnx", "weights.safetensors", "README.md"])
    []
    >>> name_problems(["weights.pt"])
    ['weights.pt: may be a pickle, which runs code when it is read']
    """
    problems, seen = [], {NAME: NAME}
    for name in names:
        suffix = Path(name).suffix.lower()
        if not _PLAIN.fullmatch(name):
            problems.append(f"{name}: has a path, or signs that a plain name has not")
        elif suffix in _PICKLED:
            problems.append(f"{name}: may be a pickle, which runs code when it is read")
        elif suffix not in SUFFIXES:
            problems.append(f"{name}: is none of {', '.join(SUFFIXES)}")
        elif (other := seen.setdefault(name.lower(), name)) != name or name == NAME:
            problems.append(f"{name}: is there twice, also as {other}")
    if len(seen) > MAX_FILES:
        problems.append(f"{len(seen)} files; at most {MAX_FILES}")
    return problems
