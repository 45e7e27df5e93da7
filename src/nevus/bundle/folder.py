"""A bundle as a folder. Files that bundle.json does not list may lie there; they are never read."""

from dataclasses import dataclass
from pathlib import Path

from nevus.bundle.document import MAX_FILE_BYTES
from nevus.errors import BundleError
from nevus.files import sha256


@dataclass(frozen=True)
class Folder:
    """The files of a bundle that is a folder, read by name."""

    path: Path

    def size(self, name: str) -> int:
        """A file's size in bytes."""
        return self._file(name).stat().st_size

    def digest(self, name: str) -> str:
        """Hex SHA-256 of a file's bytes."""
        return sha256(self._file(name))

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        return self._file(name).read_bytes()

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise BundleError(f"{self.path}: {name}: missing")
        if (size := path.stat().st_size) > MAX_FILE_BYTES:
            raise BundleError(f"{self.path}: {name}: {size:,} bytes; at most {MAX_FILE_BYTES:,}")
        return path
