"""Files are written beside their place, flushed to the disk and renamed: a reader sees the old one or the new one."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nevus.errors import NevusError


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it takes `path`'s name, on any error it is removed.

    Raises
    ------
    NevusError
        The disk is full or the folder cannot be written; `path` itself is as it was.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            settle(beside, path)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes that name with all its files, on any error it is removed.

    Raises
    ------
    NevusError
        `path` is there and holds something, the disk is full, or the place cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise NevusError(f"{path}: is there already. Give a folder that is not, or an empty one.")
    with writing(path):
        try:
            beside.mkdir(parents=True)
            yield beside
            for file in beside.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            _sync_folder(beside)
            beside.rename(path)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def settle(beside: Path, path: Path) -> None:
    """Flush a file that was written beside `path` to the disk, and give it that name."""
    with beside.open("rb") as written:
        os.fsync(written.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


@contextlib.contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Say in words what keeps `path` from being written: a full disk, or a place one may not write to.

    Raises
    ------
    NevusError
        Instead of the `OSError` of either; other errors pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NevusError(f"{path}: the disk is full. Nothing was changed; free some space and run it again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
            raise NevusError(f"{path}: cannot be written ({error.strerror}). Choose a folder you may write to.") from error
        raise


def write(path: Path | str, content: str | bytes) -> None:
    """Write text (UTF-8, Unix newlines) or bytes to `path`, wholly or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path | str, document: Any) -> None:
    """Write a JSON document, indented, NaN refused: an undefined figure is null, with its reason beside it."""
    write(path, json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def sha256(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; not every file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
