"""The images that are on disk already, by id, so that nothing is fetched twice."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from nevus.data.download.archives import image_id
from nevus.data.download.listing import Remote
from nevus.data.images import SUFFIXES
from nevus.errors import DataError


class Shelf:
    """Images under `out` and the folders in `have`, searched with their subfolders; empty files do not count."""

    def __init__(self, out: Path, have: Sequence[Path]) -> None:
        if absent := [str(folder) for folder in have if not folder.is_dir()]:
            raise DataError(f"--images {', '.join(absent)}: not a folder.")
        self.out, self.own = out, out / "images"
        # The output folder first: an image that lies there and elsewhere is the one there.
        self._roots = [self.own, out, *(folder.absolute() for folder in have)]
        self._paths: dict[str, tuple[Path, int]] = {}
        for root in self._roots:
            for path in root.rglob("*") if root.is_dir() else ():
                if path.suffix.lower() in SUFFIXES and (size := path.stat().st_size):
                    self._paths.setdefault(image_id(path), (path, size))

    def __len__(self) -> int:
        return len(self._paths)

    def has(self, remote: Remote) -> bool:
        """Whether the image is here with the size that the source gives."""
        found = self._paths.get(image_id(Path(remote.name)))
        return found is not None and remote.size in (None, found[1])

    def has_all(self, ids: Iterable[str]) -> bool:
        """Whether images of all these ids are here."""
        return all(name in self._paths for name in ids)

    def count(self, ids: Iterable[str]) -> int:
        """How many of these ids are here."""
        return sum(name in self._paths for name in ids)

    def elsewhere(self) -> frozenset[str]:
        """Ids of images that lie outside the folder that a download fills."""
        return frozenset(name for name, (path, _) in self._paths.items() if path.parent != self.own)

    def folders(self, ids: Collection[str]) -> list[Path]:
        """The folders that `nevus prepare` has to search to find these images, none of them inside another."""
        used = {next(root for root in self._roots if path.is_relative_to(root)) for path in self._used(ids)}
        outermost = [one for one in used if not any(one != other and one.is_relative_to(other) for other in used)]
        return sorted(outermost, key=self._roots.index)

    def _used(self, ids: Collection[str]) -> list[Path]:
        return [path for name, (path, _) in self._paths.items() if name in ids]
