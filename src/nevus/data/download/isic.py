"""Images one by one from the ISIC archive, each under its own licence.

The archive's API is spoken directly. Its own tool, isic-cli, asks the same addresses (`isic_cli/io/http.py` and
`isic_cli/cli/image.py` of https://github.com/ImageMarkup/isic-cli, 12.x), and its table is written here column for column; but it
does not go on with a part of a file, does not filter what it fetches by licence and tell what it left out, ends with a traceback
where a connection stays cut, and could be tested here only by pretending to be it.

Asked: `images/search/?collections=ID` (pages of 100, `results`, `count` on the first one, `next` until null), and
`images/ISIC_ID/` for a fresh address of one image. An image has `isic_id`, `copyright_license`, `attribution`,
`files.full.url`, `files.full.size` and `metadata` (`isic/core/api/image.py` and `isic/core/pagination.py` of
https://github.com/ImageMarkup/isic). The archive publishes sizes and no checksums.
"""

import csv
import io
import logging
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from nevus.data.download.catalogue import Source
from nevus.data.download.listing import Listing, Remote
from nevus.data.download.web import Session, get_json
from nevus.data.images import SUFFIXES
from nevus.errors import DataError
from nevus.files import write

_LOG = logging.getLogger("nevus")
_TABLE = "metadata.csv"
# A list of more images than these takes long enough to wonder.
_LONG = 5_000
_FIRST = ("isic_id", "attribution", "copyright_license")


def list_images(
    source: Source,
    base: str,
    session: Session,
    *,
    licenses: Collection[str] | None = None,
    max_images: int | None = None,
) -> Listing:
    """The images of the source's collection and their metadata, filtered by each image's own licence."""
    listing, seen = Listing(), set()
    for image in _images(source, base, session):
        remote, row = _image(image, base, session)
        if row["isic_id"] in seen:
            continue
        seen.add(row["isic_id"])
        if licenses and row["copyright_license"] not in licenses:
            listing.left_out[row["copyright_license"]] += 1
            continue
        listing.images.append(remote)
        listing.rows.append(row)
        listing.licenses[row["copyright_license"]] += 1
        if len(listing.images) == max_images:
            return listing
    if not listing.images:
        counts = ", ".join(f"{name} {number:,}" for name, number in listing.left_out.most_common()) or "nothing at all"
        raise DataError(f"{source.name}: no image is left; the archive's collection {source.key} has {counts}.")
    return listing


def write_table(out: Path, listing: Listing) -> list[str]:
    """Write the metadata as isic-cli does, and say what `nevus prepare` is to be told."""
    columns = [*_FIRST, *sorted({name for row in listing.rows for name in row} - set(_FIRST))]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listing.rows)
    write(out / _TABLE, text.getvalue())
    return ["--source", "isic-archive", "--metadata", str(out / _TABLE)]


def _images(source: Source, base: str, session: Session) -> Iterator[dict[str, Any]]:
    """All images of a collection, page by page."""
    url: str | None = urljoin(base, f"images/search/?{urlencode({'collections': source.key, 'limit': 100})}")
    pages: set[str] = set()
    num_listed = announced = 0
    while url:
        if url in pages or urlsplit(url).netloc != urlsplit(base).netloc:
            raise DataError(f"{base}: its pages lead to {url}, which is not its next one. Try again later.")
        pages.add(url)
        page = get_json(url, session)
        try:
            results, following, count = page["results"], page["next"], page.get("count")
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{url}: not a page of the archive's images ({error!r}).") from error
        announced = announced or count or 0
        if not num_listed and announced > _LONG:
            _LOG.warning("%s: asking the archive for its list of %d images, 100 at a time.", source.name, announced)
        num_listed += len(results)
        yield from results
        url = urljoin(url, following) if following else None
    if num_listed < announced:
        _LOG.warning("%s: the archive announces %d images and lists %d.", source.name, announced, num_listed)


def _image(image: dict[str, Any], base: str, session: Session) -> tuple[Remote, dict[str, str]]:
    try:
        isic_id, full, metadata = str(image["isic_id"]), image["files"]["full"], image["metadata"]
        row = {name: str(image[name]) for name in _FIRST}
        for kind in ("acquisition", "clinical"):
            row |= {name: "" if value is None else str(value) for name, value in (metadata.get(kind) or {}).items()}
        url, size = str(full["url"]), int(full["size"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{base}: not an image of the archive ({error!r}): {str(image)[:200]}") from error
    if not re.fullmatch(r"ISIC_\d{7,}", isic_id):
        raise DataError(f"{base}: {isic_id!r} is not an image's name in the archive; nothing of it is fetched.")
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    name = f"images/{isic_id}{suffix if suffix in SUFFIXES else '.jpg'}"
    detail = urljoin(base, f"images/{isic_id}/")
    # An address may be signed and expire while thousands of others are fetched.
    return Remote(name, url, size, renew=lambda: str(get_json(detail, session)["files"]["full"]["url"])), row
