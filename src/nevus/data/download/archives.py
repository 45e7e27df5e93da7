"""Images out of zip archives: nothing outside its folder, nothing larger than it says, and nothing twice.

Each member is written beside its place and renamed. When all are there and flushed to the disk, `archives/NAME.json` says so and
the archive itself is removed, so that a data set takes its room once; a later run reads that note and does not unpack again.
"""

import contextlib
import hashlib
import json
import os
import stat
import zipfile
import zlib
from collections.abc import Container
from pathlib import Path, PurePosixPath

from nevus.data.download.listing import Remote
from nevus.data.images import SUFFIXES
from nevus.errors import DataError, listed
from nevus.files import write_json, writing

# Photos hardly shrink in an archive and tables shrink tenfold; what grows a hundredfold is a bomb.
_LARGEST_GROWTH = 100
_MOST_MEMBERS = 1_000_000
_TEXTS = (".csv", ".txt")


def image_id(path: Path | PurePosixPath) -> str:
    """The id that an image's file name carries, as `prepare` reads it."""
    return path.stem.removesuffix("_downsampled")


def is_unpacked(remote: Remote, out: Path, elsewhere: Container[str]) -> bool:
    """Whether a note says that this very archive was unpacked, and all of it is still here or in `elsewhere` (ids)."""
    try:
        note = json.loads(_note(remote, out).read_text())
        if (note["size"], note["checksum"]) != (remote.size, _published(remote)):
            return False
        here = all((out / name).stat().st_size == size for name, size in note["members"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return here and all(name in elsewhere for name in note["elsewhere"])


def unpack(archive: Path, remote: Remote, out: Path, elsewhere: Container[str]) -> dict[str, str]:
    """Unpack the images of an archive to `out/images` and its tables to `out`; returns the SHA-256 of each by name.

    Images whose id is in `elsewhere` are left out.

    Raises
    ------
    DataError
        The archive is broken, or holds what no archive of photos holds; it is removed.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = _checked(archive, file.infolist())
            skipped = sorted(image_id(PurePosixPath(name)) for name in members)
            skipped = [name for name in skipped if name in elsewhere]
            wanted = {name: info for name, info in members.items() if image_id(PurePosixPath(name)) not in elsewhere}
            digests = {name: _extract(file, info, out / name) for name, info in wanted.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        archive.unlink(missing_ok=True)
        raise DataError(f"{archive}: a broken archive ({error}). It is removed; run it again to fetch it anew.") from error
    except DataError:
        archive.unlink(missing_ok=True)
        raise
    # One flush for all members: one a file would take hours for 400,000 of them.
    os.sync()
    sizes = {name: info.file_size for name, info in wanted.items()}
    note = {"url": remote.url, "size": remote.size, "checksum": _published(remote), "members": sizes, "elsewhere": skipped}
    write_json(_note(remote, out), note)
    archive.unlink()
    return digests


def _checked(archive: Path, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members to unpack by their names below the output folder."""
    problems: list[str] = []
    chosen: dict[str, zipfile.ZipInfo] = {}
    for info in members:
        path = PurePosixPath(info.filename)
        if info.is_dir() or not path.name or "__MACOSX" in path.parts or path.name.startswith("._"):
            continue
        mode = info.external_attr >> 16
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in path.parts[0]:
            problems.append(f"{info.filename!r} leads out of its folder")
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            problems.append(f"{info.filename!r} is a link or a device")
        elif info.flag_bits & 1:
            problems.append(f"{info.filename!r} is encrypted")
        elif path.suffix.lower() in (*SUFFIXES, *_TEXTS):
            # Archives nest their images in folders of their own name; one flat folder serves all sources.
            name = f"images/{path.name}" if path.suffix.lower() in SUFFIXES else path.name
            if name in chosen:
                problems.append(f"{name} is in it twice")
            chosen[name] = info
    declared, size = sum(info.file_size for info in members), archive.stat().st_size
    if declared > size * _LARGEST_GROWTH or len(members) > _MOST_MEMBERS:
        problems.append(f"{len(members):,} members would grow from {size:,} to {declared:,} bytes")
    if problems:
        remedy = "Nothing of it was unpacked, and it is removed."
        raise DataError(listed(f"{archive}: no archive of photos:", problems, remedy=remedy))
    return chosen


def _extract(file: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path) -> str:
    """Write one member and return its SHA-256; what an interrupted run has left is taken where its CRC is the archive's."""
    with contextlib.suppress(OSError):
        if place.stat().st_size == info.file_size:
            content = place.read_bytes()
            if zlib.crc32(content) == info.CRC:
                return hashlib.sha256(content).hexdigest()
    digest, beside = hashlib.sha256(), place.with_name(f"{place.name}.part")
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            # zipfile reads no more than the declared size and compares the CRC at its end.
            with file.open(info) as member, beside.open("wb") as written:
                while chunk := member.read(1 << 20):
                    digest.update(chunk)
                    written.write(chunk)
            beside.replace(place)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    return digest.hexdigest()


def _note(remote: Remote, out: Path) -> Path:
    return out / f"{remote.name}.json"


def _published(remote: Remote) -> str | None:
    return f"{remote.checksum.algorithm}:{remote.checksum.hexdigest}" if remote.checksum else None
