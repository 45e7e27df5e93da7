"""A bundle as one .nevus file: a zip archive in the single form that its contents allow.

Entries are stored as they are, in the order of their names, without times, comments, extra fields or gaps; so the headers follow
from names, sizes and contents, and opening compares each of them. No byte of the file is free: those of the contents are under
SHA-256, all others have one allowed value. What another zip program made of the same files is therefore refused, also where it
is harmless. Weights hardly compress (by 8%), and what is not compressed cannot swell when it is read.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nevus.bundle.document import MAX_FILE_BYTES, MAX_FILES, NAME, name_problems
from nevus.errors import BundleError, listed

# APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = 0x04034B50, 0x02014B50, 0x06054B50
# Version 2.0 made on Unix, a plain file that all may read, 1 January 1980: the earliest day that a zip archive knows.
_VERSION, _MADE_BY, _MODE, _DAY = 20, 3 << 8 | 20, 0o100644 << 16, 0x21
_LINK, _KIND = 0o120000, 0o170000
_REMEDY = "Pack the bundle's folder with: nevus bundle pack. A file of a later nevus needs that nevus."
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file in an archive: its size in bytes, its CRC-32, and where its header begins."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def start(self) -> int:
        """Where its content begins."""
        return self.offset + _LOCAL.size + len(self.name)

    def header(self) -> bytes:
        """What stands before its content."""
        fields = (_VERSION, 0, 0, 0, _DAY, self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(_LOCAL_MARK, *fields) + self.name.encode()


@dataclass(frozen=True)
class Archive:
    """An opened .nevus file, its headers checked and its contents not yet."""

    path: Path
    entries: dict[str, Entry]

    @classmethod
    def open(cls, path: Path) -> "Archive":
        """Read the directory of an archive and hold every header to the form that `write_archive` gives it.

        Raises
        ------
        BundleError
            It is not such an archive: cut short, with something before, between or after its files, compressed, encrypted, with
            links, paths, names twice, or files that are too large.
        """
        try:
            with path.open("rb") as file:
                return cls(path, {entry.name: entry for entry in _entries(path, file)})
        except OSError as error:
            raise BundleError(f"{path}: cannot be read ({error.strerror}).") from error

    def size(self, name: str) -> int:
        """A file's size in bytes."""
        return self._entry(name).size

    def digest(self, name: str) -> str:
        """Hex SHA-256 of a file's bytes, its CRC-32 compared on the way."""
        digest, crc = hashlib.sha256(), 0
        for chunk in self._chunks(self._entry(name)):
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
        if crc != self._entry(name).crc:
            raise BundleError(f"{self.path}: {name}: its CRC-32 is not the one in its header")
        return digest.hexdigest()

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        return b"".join(self._chunks(self._entry(name)))

    def _entry(self, name: str) -> Entry:
        if name not in self.entries:
            raise BundleError(f"{self.path}: {name}: missing")
        return self.entries[name]

    def _chunks(self, entry: Entry) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(entry.start)
            for left in range(entry.size, 0, -_CHUNK):
                yield file.read(min(left, _CHUNK))


def write_archive(path: Path, names: Iterable[str], read: Callable[[str], bytes]) -> None:
    """Write files as an archive; equal contents give equal bytes, whenever and wherever.

    Parameters
    ----------
    path
        The file to write.
    names
        The files' names, in any order.
    read
        Gives the bytes of a name.

    Raises
    ------
    BundleError
        They are more than 4 GB in all.
    """
    entries: list[Entry] = []
    with path.open("wb") as file:
        for name in sorted(names):
            content = read(name)
            entry = Entry(name, len(content), zlib.crc32(content), file.tell())
            if entry.start + entry.size >= 1 << 32:
                raise BundleError(f"{path}: the bundle has more than 4 GB, which one file cannot hold. Keep the folder.")
            file.write(entry.header())
            file.write(content)
            entries.append(entry)
        file.write(_directory(entries, file.tell()))


def _directory(entries: list[Entry], offset: int) -> bytes:
    """What stands behind the contents, from `offset` on."""
    central = b"".join(
        _CENTRAL.pack(
            _CENTRAL_MARK, _MADE_BY, _VERSION, 0, 0, 0, _DAY, e.crc, e.size, e.size, len(e.name), *[0] * 4, _MODE, e.offset
        )
        + e.name.encode()
        for e in entries
    )
    return central + _END.pack(_END_MARK, 0, 0, len(entries), len(entries), len(central), offset, 0)


def _entries(path: Path, file: BinaryIO) -> list[Entry]:
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size))
    end = file.read()
    fields = _END.unpack(end) if len(end) == _END.size else (0,)
    if fields[0] != _END_MARK:
        raise BundleError(f"{path}: no bundle: cut short, followed by something, or no zip archive. Copy it again. {_REMEDY}")
    _, _, _, _, count, num_bytes, offset, _ = fields
    if count > MAX_FILES + 1 or offset + num_bytes + _END.size != size:
        raise BundleError(
            f"{path}: a zip archive, but not one as nevus writes it: its directory is not where it must be. {_REMEDY}"
        )
    file.seek(offset)
    entries, problems = _listed(file.read(num_bytes), count)
    problems += name_problems(entry.name for entry in entries if entry.name != NAME)
    if problems:
        raise BundleError(listed(f"{path}: a zip archive that no bundle is:", problems, remedy=_REMEDY))
    place = 0
    for entry in entries:
        file.seek(entry.offset)
        if entry.offset != place or file.read(len(entry.header())) != entry.header():
            raise BundleError(f"{path}: the header of {entry.name} is not as nevus writes it. Copy the file again. {_REMEDY}")
        place = entry.start + entry.size
    file.seek(offset)
    names = [entry.name for entry in entries]
    if place != offset or names != sorted(set(names)) or file.read() != _directory(entries, offset):
        raise BundleError(f"{path}: its directory is not as nevus writes it. Copy the file again. {_REMEDY}")
    return entries


def _listed(directory: bytes, count: int) -> tuple[list[Entry], list[str]]:
    """The entries that a directory lists, and what of them no bundle has."""
    entries: list[Entry] = []
    problems: list[str] = []
    place = 0
    for _ in range(count):
        fields = directory[place : place + _CENTRAL.size]
        if len(fields) < _CENTRAL.size:
            return entries, [*problems, "its directory ends in the middle of an entry"]
        _, _, _, flags, method, _, _, crc, packed, size, length, extra, comment, _, _, mode, offset = _CENTRAL.unpack(fields)
        place += _CENTRAL.size
        name = directory[place : place + length].decode("ascii", "backslashreplace")
        place += length + extra + comment
        wrong = {
            "is encrypted": flags & 1,
            "is compressed": method != 0 or packed != size,
            "is a link": (mode >> 16) & _KIND == _LINK,
            f"has {size:,} bytes; at most {MAX_FILE_BYTES:,}": size > MAX_FILE_BYTES,
        }
        problems += [f"{name}: {words}" for words, found in wrong.items() if found]
        entries.append(Entry(name, size, crc, offset))
    return entries, problems
