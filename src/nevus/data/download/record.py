"""What a download leaves beside its files: where they come from, under which licences, and their checksums."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nevus.data.download.catalogue import Source
from nevus.data.download.listing import Listing
from nevus.data.images import SUFFIXES
from nevus.files import sha256, write, write_json

CHECKSUMS, RECORD = "checksums.sha256", "download.json"


def write_checksums(out: Path, fresh: dict[str, str], tables: Iterable[Path]) -> int:
    """Write `checksums.sha256` for the images and tables, which `sha256sum --check` reads, and return its number of lines.

    `fresh` are the images of this run; one of an earlier run keeps its line, and one that has none is read.
    """
    known = read_checksums(out) | fresh
    images = sorted(path for path in (out / "images").glob("*") if path.suffix.lower() in SUFFIXES)
    digests = {path.relative_to(out).as_posix(): known.get(path.relative_to(out).as_posix()) or sha256(path) for path in images}
    digests |= {path.relative_to(out).as_posix(): sha256(path) for path in sorted(set(tables))}
    write(out / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    return len(digests)


def read_checksums(out: Path) -> dict[str, str]:
    """SHA-256 by name, of the last run; empty where there was none."""
    try:
        lines = (out / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, separator, name in (line.partition("  ") for line in lines) if separator}


def write_record(out: Path, source: Source, endpoint: str, listing: Listing, counts: dict[str, Any]) -> None:
    """Write `download.json`."""
    described = [
        {
            "name": file.name,
            "url": file.url,
            "size": file.size,
            "checksum": f"{file.checksum.algorithm}:{file.checksum.hexdigest}" if file.checksum else None,
        }
        for file in (*listing.tables, *listing.archives)
    ]
    document = {
        "source": source.name,
        "title": source.title,
        "page": source.page,
        "endpoint": endpoint,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "nevus": version("nevus"),
        "license": source.license,
        "citation": source.citation,
        **counts,
        "files": described,
        "checksums": CHECKSUMS,
    }
    write_json(out / RECORD, document)
