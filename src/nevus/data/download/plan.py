"""What is to be fetched, and whether there is room for it: known before the first byte of an image comes."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nevus.data.download.catalogue import Source, describe, show_bytes, show_licenses
from nevus.data.download.listing import Listing, Remote
from nevus.data.download.transfer import part_size
from nevus.errors import DataError


@dataclass(frozen=True)
class Plan:
    """The files to fetch and their bytes; `num_bytes` is a lower bound where a source gives no sizes.

    `needed` are the bytes of disk it takes at most while an archive and its images lie side by side, `free` those there are.
    """

    source: Source
    num_files: int
    num_bytes: int
    num_found: int
    needed: int
    free: int
    licenses: dict[str, int]
    left_out: dict[str, int]

    def text(self) -> str:
        """All of it, to be shown before anything is fetched."""
        lines = [describe(self.source)]
        if self.licenses:
            lines.append(f"licences of the images: {show_licenses(self.licenses.items())}")
        if self.left_out:
            lines.append(f"left out by --license: {show_licenses(self.left_out.items())}")
        lines.append(f"already on disk: {self.num_found:,} images")
        lines.append(f"to fetch: {self.num_files:,} files, {show_bytes(self.num_bytes)}; free on disk: {show_bytes(self.free)}")
        return "\n".join(lines)


def make_plan(source: Source, out: Path, listing: Listing, files: Sequence[Remote], num_found: int) -> Plan:
    """Add up what is still to come; parts that are here count as had."""
    sizes = {file.name: max(0, (file.size or 0) - part_size(out / file.name)) for file in files}
    # An archive lies beside its images until all of them are out.
    archives = [file.size or 0 for file in files if file.name.startswith("archives/")]
    needed = sum(sizes.values()) + sum(archives)
    return Plan(
        source=source,
        num_files=len(files),
        num_bytes=sum(sizes.values()),
        num_found=num_found,
        needed=needed,
        free=shutil.disk_usage(out).free,
        licenses=dict(listing.licenses.most_common()),
        left_out=dict(listing.left_out.most_common()),
    )


def check_room(plan: Plan, out: Path) -> None:
    """Refuse before anything is fetched.

    Raises
    ------
    DataError
        There is less room on the disk than it takes.
    """
    if plan.needed > plan.free:
        raise DataError(
            f"{out}: {plan.source.name} needs {show_bytes(plan.needed)} there and {show_bytes(plan.free)} are free. "
            "Free some space or choose another --out; nothing was fetched."
        )
