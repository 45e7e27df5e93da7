"""One download from its first question to its record."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nevus.data.download import challenge, dataverse, isic, mendeley
from nevus.data.download.archives import image_id, is_unpacked, unpack
from nevus.data.download.catalogue import Provider, Source
from nevus.data.download.listing import Listing, Remote
from nevus.data.download.plan import Plan, check_room, make_plan
from nevus.data.download.pool import Meter, Progress, fetch_all
from nevus.data.download.record import CHECKSUMS, RECORD, write_checksums, write_record
from nevus.data.download.shelf import Shelf
from nevus.data.download.transfer import fetch
from nevus.data.download.web import Patience, Session
from nevus.data.tables import read_table

# Each is documented in the module of its name.
ENDPOINTS: dict[Provider, str] = {
    "dataverse": "https://dataverse.harvard.edu/",
    "isic": "https://api.isic-archive.com/api/v2/",
    "challenge": "https://isic-archive.s3.amazonaws.com/challenges/",
    "mendeley": "https://data.mendeley.com/public-api/",
}


@dataclass(frozen=True)
class Downloaded:
    """What is on disk now: `num_found` images were there before, `num_fetched` came, `num_bytes` crossed the network."""

    source: Source
    out: Path
    num_images: int
    num_found: int
    num_fetched: int
    num_bytes: int
    licenses: dict[str, int]
    left_out: dict[str, int]
    record: Path
    checksums: Path
    next_command: str


class Run:
    """List what the source has, compare it with the disk, fetch the rest, and write it down."""

    def __init__(
        self,
        source: Source,
        out: Path,
        licenses: frozenset[str] | None,
        max_images: int | None,
        progress: Progress | None,
        endpoints: Mapping[Provider, str],
        patience: Patience | None,
    ) -> None:
        self.source, self.out, self.licenses, self.max_images = source, out, licenses, max_images
        self.progress, self.endpoints = progress, endpoints
        self.session = Session(patience or Patience())

    def run(self, have: Sequence[Path], confirm: Callable[[Plan], bool] | None) -> Downloaded | None:
        """All of it; None where `confirm` says no."""
        shelf = Shelf(self.out, have)
        listing = self._list()
        archives, num_found = self._archives(listing, shelf)
        images = [image for image in listing.images if not shelf.has(image)]
        num_found += len(listing.images) - len(images)
        tables = [table for table in listing.tables if not self._is_here(table)]
        plan = make_plan(self.source, self.out, listing, [*tables, *archives, *images], num_found)
        check_room(plan, self.out)
        if confirm and not confirm(plan):
            return None

        meter = Meter(plan.num_files, self.progress)
        self.session.report = meter.add_bytes
        digests = self._fetch_whole(tables, archives, shelf.elsewhere(), meter)
        digests |= fetch_all(images, self.out, self.session, meter)
        return self._finish(listing, Shelf(self.out, have), digests, plan, meter)

    def _list(self) -> Listing:
        base = self.endpoints[self.source.provider]
        match self.source.provider:
            case "dataverse":
                return dataverse.list_files(self.source, base, self.session)
            case "mendeley":
                return mendeley.list_files(self.source, base, self.session)
            case "challenge":
                return challenge.list_files(self.source, base, self.session, self.licenses)
        listing = isic.list_images(self.source, base, self.session, licenses=self.licenses, max_images=self.max_images)
        if self._is_whole:
            official = challenge.list_tables(self.source, self.endpoints["challenge"], self.session)
            listing.tables, listing.archives = official.tables, official.archives
        return listing

    @property
    def _is_whole(self) -> bool:
        """The official tables name every image, so they go with the whole set alone."""
        return self.licenses is None and self.max_images is None

    def _archives(self, listing: Listing, shelf: Shelf) -> tuple[list[Remote], int]:
        """The archives that are still needed, and how many of their images are on disk."""
        wanted = [archive for archive in listing.archives if not is_unpacked(archive, self.out, shelf.elsewhere())]
        if listing.ids is None or not shelf:
            return wanted, 0
        # What is on disk can be told from what is missing only by the table that names the images; it is small.
        table = next(file for file in listing.tables if file.name == listing.ids[0])
        if not self._is_here(table):
            fetch(table, self.out / table.name, self.session)
        ids = self._ids(listing)
        # An archive that is still here was not unpacked to its end.
        unfinished = any((self.out / archive.name).exists() for archive in wanted)
        lacking = listing.inside is not None and not (self.out / listing.inside).is_file()
        if shelf.has_all(ids) and not unfinished and not lacking:
            wanted = []
        return wanted, shelf.count(ids)

    def _ids(self, listing: Listing) -> frozenset[str]:
        if listing.ids is None:
            return frozenset(row["isic_id"] for row in listing.rows)
        name, column = listing.ids
        return frozenset(image_id(PurePosixPath(text)) for text in read_table(self.out / name, (column,))[column])

    def _is_here(self, remote: Remote) -> bool:
        place = self.out / remote.name
        return remote.size is not None and place.is_file() and place.stat().st_size == remote.size

    def _fetch_whole(
        self, tables: Sequence[Remote], archives: Sequence[Remote], elsewhere: frozenset[str], meter: Meter
    ) -> dict[str, str]:
        """Tables and archives one after the other, each archive unpacked before the next one comes."""
        digests: dict[str, str] = {}
        for remote in (*tables, *archives):
            place = self.out / remote.name
            if not self._is_here(remote):
                fetch(remote, place, self.session)
            if remote in archives:
                digests |= unpack(place, remote, self.out, elsewhere)
            meter.add_file()
        return digests

    def _finish(self, listing: Listing, shelf: Shelf, digests: dict[str, str], plan: Plan, meter: Meter) -> Downloaded:
        options, ids = self._options(listing), self._ids(listing)
        folders = [part for folder in shelf.folders(ids) for part in ("--images", str(folder))]
        command = shlex.join(["nevus", "prepare", *options, *folders, "--out", str(self.out / "manifest.csv")])
        num_images = shelf.count(ids)
        fetched = {name: digest for name, digest in digests.items() if name.startswith("images/")}
        licenses = dict(listing.licenses.most_common()) or {self.source.license: num_images}
        left_out = dict(listing.left_out.most_common())
        tables = [Path(option) for option in options if option.endswith(".csv")]
        tables += [self.out / table.name for table in listing.tables]
        write_checksums(self.out, fetched, tables)
        counts = {
            "licenses_asked": sorted(self.licenses) if self.licenses else None,
            "licenses": licenses,
            "left_out": left_out,
            "num_images": num_images,
            "num_found": plan.num_found,
            "num_fetched": len(fetched),
            "num_bytes": meter.num_bytes,
            "next_command": command,
        }
        write_record(self.out, self.source, self.endpoints[self.source.provider], listing, counts)
        return Downloaded(
            source=self.source,
            out=self.out,
            num_images=num_images,
            num_found=plan.num_found,
            num_fetched=len(fetched),
            num_bytes=meter.num_bytes,
            licenses=licenses,
            left_out=left_out,
            record=self.out / RECORD,
            checksums=self.out / CHECKSUMS,
            next_command=command,
        )

    def _options(self, listing: Listing) -> list[str]:
        """Write the table that `nevus prepare` reads, and say what it is to be told."""
        match self.source.provider:
            case "dataverse":
                return dataverse.prepare_options(self.out, listing)
            case "mendeley":
                return mendeley.prepare_options(self.out, listing)
            case "challenge":
                return challenge.prepare_options(self.out, listing, self.licenses)
        options = isic.write_table(self.out, listing)
        return challenge.table_options(self.source, self.out) if self._is_whole else options
