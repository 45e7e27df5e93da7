"""The ISIC challenges' own files: the tables of 2018 to 2020, and all of ISIC-2024.

The addresses are those of https://challenge.isic-archive.com/data/ (`stade/core/templates/data/` of
https://github.com/ImageMarkup/stade at cf20329, May 2026: `https://isic-archive.s3.amazonaws.com/challenges/YEAR/FILE`; until
then the bucket was `isic-challenge-data`). S3 answers HEAD with the size and reads Range. No checksums are published: sizes are
compared, and every member of an archive with its CRC.

ISIC-2024 comes this way and not image by image: 401,059 crops of 3 kB would be as many requests. Its licences are two releases,
CC-BY-NC as a whole and the permissive CC-BY.
"""

import csv
import io
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urljoin

from nevus.data.download.catalogue import Source
from nevus.data.download.listing import Listing, Remote
from nevus.data.download.web import Session, persevere, request
from nevus.data.tables import read_table
from nevus.errors import DataError
from nevus.files import replacing

_TABLES = {
    "isic2018": ("2018/ISIC2018_Task3_Training_GroundTruth.zip", "2018/ISIC2018_Task3_Training_LesionGroupings.csv"),
    "isic2019": ("2019/ISIC_2019_Training_GroundTruth.csv", "2019/ISIC_2019_Training_Metadata.csv"),
    "isic2020": ("2020/ISIC_2020_Training_GroundTruth_v2.csv",),
}
_METADATA, _FOR_PREPARE = "metadata.csv", "metadata-archive-layout.csv"


def list_tables(source: Source, base: str, session: Session) -> Listing:
    """The official tables of a challenge whose images come from the archive."""
    return _listing([_head(urljoin(base, path), session) for path in _TABLES[source.name]])


def table_options(source: Source, out: Path) -> list[str]:
    """What `nevus prepare` is to be told of the official tables."""
    truth, *others = (Path(path).stem + ".csv" for path in _TABLES[source.name])
    lesions = others[0] if others else truth  # ISIC-2020's second version names the lesions itself
    return ["--source", source.name, "--metadata", str(out / truth), "--lesions", str(out / lesions)]


def list_files(source: Source, base: str, session: Session, licenses: Collection[str] | None) -> Listing:
    """ISIC-2024: its archive and tables, of the permissive release where CC-BY-NC is not asked for."""
    release = "ISIC_2024_Permissive_Training" if licenses and "CC-BY-NC" not in licenses else "ISIC_2024_Training"
    names = [f"{release}_Input.zip", f"{release}_GroundTruth.csv", f"{release}_Supplement.csv"]
    listing = _listing([_head(urljoin(base, f"{source.key}/{name}"), session) for name in names])
    listing.ids, listing.inside = (f"{release}_GroundTruth.csv", "isic_id"), _METADATA
    return listing


def prepare_options(out: Path, listing: Listing, licenses: Collection[str] | None) -> list[str]:
    """Join the tables on `isic_id` into the archive's layout, and say what `nevus prepare` is to be told.

    The supplement has the diagnoses; age, sex, site, patient and licence are in the metadata that the archive of images brings.
    Rows under another licence than those asked for are left out, and all are counted in the listing.
    """
    supplement = next(file.name for file in listing.tables if file.name.endswith("_Supplement.csv"))
    diagnoses = read_table(out / supplement, ("isic_id", "iddx_1")).set_index("isic_id")
    path = out / _METADATA
    if not path.is_file():
        raise DataError(f"{path}: the archive of images did not bring it, and without it patients are not known.")
    with path.open(newline="", encoding="utf-8-sig") as file, replacing(out / _FOR_PREPARE) as beside:
        reader = csv.DictReader(file)
        own = [name for name in reader.fieldnames or () if name not in diagnoses.columns]
        if "isic_id" not in own:
            raise DataError(f"{path}: no column isic_id. It has {', '.join(own)}.")
        rows = dict(zip(diagnoses.index, diagnoses.itertuples(index=False, name=None), strict=True))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*own, *diagnoses.columns])
        for row in reader:
            license_name = row.get("copyright_license", "")
            if licenses and license_name not in ("", *licenses):
                listing.left_out[license_name] += 1
            elif row["isic_id"] in rows:
                listing.licenses[license_name] += 1
                writer.writerow([*(row[name] for name in own), *rows[row["isic_id"]]])
        beside.write_text(text.getvalue(), encoding="utf-8")
    return ["--source", "isic-archive", "--metadata", str(out / _FOR_PREPARE)]


def _listing(files: list[Remote]) -> Listing:
    return Listing(
        [file for file in files if not file.name.startswith("archives/")],
        [file for file in files if file.name.startswith("archives/")],
    )


def _head(url: str, session: Session) -> Remote:
    """The file at an address, with the size that the server gives."""

    def attempt() -> int | None:
        with request(url, session, method="HEAD") as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None

    name = url.rsplit("/", 1)[1]
    return Remote(f"archives/{name}" if name.endswith(".zip") else name, url, persevere(url, attempt, session))
