"""HAM10000 from the Harvard Dataverse: two archives of images and a table, each with its size and checksum.

The dataset's JSON is the native API's `/api/datasets/:persistentId/?persistentId=DOI`, a file is `/api/access/datafile/ID`, which
reads Range (https://guides.dataverse.org/en/latest/api/dataaccess.html; pyDataverse asks the same addresses). A table that
Dataverse took in is served as tabs unless `format=original` is asked for; its published checksum is that of the original
(https://github.com/IQSS/dataverse/issues/7275), its size `originalFileSize`.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

from nevus.data.download.catalogue import Source
from nevus.data.download.listing import Checksum, Listing, Remote, plain_name
from nevus.data.download.web import Session, get_json
from nevus.errors import DataError, NotAvailableError

_IMAGES = ("HAM10000_images_part_1.zip", "HAM10000_images_part_2.zip")
_TABLE = "HAM10000_metadata.csv"
# `hashlib`'s names of the algorithms that a Dataverse may use.
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}


def list_files(source: Source, base: str, session: Session) -> Listing:
    """The archives and the table of HAM10000; its masks and the 2018 test set, in the same data set, are left alone."""
    url = urljoin(base, f"/api/datasets/:persistentId/?{urlencode({'persistentId': source.key})}")
    document = get_json(url, session)
    try:
        files = [_remote(entry["dataFile"], base) for entry in document["data"]["latestVersion"]["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{url}: not the description of a data set ({error!r}).") from error
    found = {remote.name: remote for remote in files}
    wanted = (_TABLE, *(f"archives/{name}" for name in _IMAGES))
    if missing := [name for name in wanted if name not in found]:
        raise NotAvailableError(f"{url}: it no longer lists {', '.join(missing)}; it has {', '.join(sorted(found))}.")
    return Listing([found[wanted[0]]], [found[name] for name in wanted[1:]], ids=(_TABLE, "image_id"))


def prepare_options(out: Path, listing: Listing) -> list[str]:
    """What `nevus prepare` is to be told of these files."""
    return ["--source", "ham10000", "--metadata", str(out / _TABLE)]


def _remote(file: dict[str, Any], base: str) -> Remote:
    name, url, size = str(file["filename"]), urljoin(base, f"/api/access/datafile/{int(file['id'])}"), int(file["filesize"])
    if name.startswith("HAM10000_metadata"):
        name = _TABLE
        if "originalFileSize" in file:
            url, size = f"{url}?format=original", int(file["originalFileSize"])
    elif name.endswith(".zip"):
        name = f"archives/{plain_name(name, base)}"
    published = file.get("checksum") or {"type": "MD5", "value": file["md5"]}
    return Remote(name, url, size, Checksum(_ALGORITHMS[published["type"]], str(published["value"]).lower()))
