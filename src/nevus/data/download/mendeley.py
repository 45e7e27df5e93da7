"""PAD-UFES-20 from Mendeley Data: three archives of photos and a table, each with its size and SHA-256.

`https://data.mendeley.com/public-api/datasets/ID` lists the files of all folders in `files`: `filename` and `content_details`
with `sha256_hash`, `size` and `download_url` (the attributes of a content details object at https://dev.mendeley.com; the
archives lie in a folder, which `.../files?folder_id=root` leaves out). Clients that call themselves Python-urllib are refused.
"""

import csv
import io
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from nevus.data.download.catalogue import Source
from nevus.data.download.listing import Checksum, Listing, Remote, plain_name
from nevus.data.download.web import Session, get_json
from nevus.data.tables import read_table
from nevus.errors import DataError, NotAvailableError
from nevus.files import write

_TABLE, _FOR_PREPARE = "metadata.csv", "metadata-archive-layout.csv"
# The table's words that are nowhere else in the field, in words that `prepare` reads; the others are passed on as they are.
_DIAGNOSES = {"ACK": "actinic keratosis", "NEV": "nevus", "SEK": "seborrheic keratosis"}
_SITES = {"FOREARM": "upper extremity", "THIGH": "lower extremity", "NOSE": "head/neck", "LIP": "head/neck"}


def list_files(source: Source, base: str, session: Session) -> Listing:
    """The archives and the table of PAD-UFES-20."""
    url = urljoin(base, f"datasets/{source.key}")
    document = get_json(url, session)
    try:
        files = [_remote(entry, url) for entry in document["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{url}: not the description of a data set ({error!r}).") from error
    tables = [file for file in files if file.name == _TABLE]
    archives = sorted((file for file in files if file.name.endswith(".zip")), key=lambda file: file.name)
    if not tables or not archives:
        raise NotAvailableError(f"{url}: it no longer lists metadata.csv and archives of images.")
    return Listing(tables, archives, ids=(_TABLE, "img_id"))


def prepare_options(out: Path, listing: Listing) -> list[str]:
    """Write the table again in the archive's layout, which `nevus prepare` reads, and say what it is to be told."""
    table = read_table(out / _TABLE, ("img_id", "patient_id", "lesion_id", "age", "gender", "region", "diagnostic"))
    text = io.StringIO()
    columns = ("isic_id", "attribution", "copyright_license", "age_approx", "sex", "anatom_site_general", "diagnosis")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "lesion_id", "patient_id"])
    for row in table.to_dict("records"):
        site, diagnosis = _SITES.get(row["region"], row["region"]), _DIAGNOSES.get(row["diagnostic"], row["diagnostic"])
        cells = [row["img_id"], "Pacheco et al. 2020", "CC-BY", row["age"], row["gender"], site, diagnosis]
        writer.writerow([*cells, row["lesion_id"], row["patient_id"]])
    write(out / _FOR_PREPARE, text.getvalue())
    return ["--source", "isic-archive", "--metadata", str(out / _FOR_PREPARE)]


def _remote(entry: dict[str, Any], url: str) -> Remote:
    name, details = plain_name(entry["filename"], url), entry["content_details"]
    place = f"archives/{name}" if name.endswith(".zip") else name
    checksum = Checksum("sha256", str(details["sha256_hash"]).lower())
    return Remote(place, str(details["download_url"]), int(details["size"]), checksum)
