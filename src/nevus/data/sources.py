"""From a data set as it was published to a manifest."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from nevus.data import taxonomy
from nevus.data.image_files import index_images, with_files
from nevus.data.manifest import Manifest
from nevus.data.source_tables import blank, complete, mapped, report, second_table, with_metadata
from nevus.data.tables import read_table
from nevus.errors import DataError, listed

_LOG = logging.getLogger("nevus")
_HAM = "Tschandl, Rosendahl, Kittler 2018, Sci. Data 5:180161"
_ISIC_2018 = "Codella et al. 2019, arXiv:1902.03368; Tschandl et al. 2018, Sci. Data 5:180161"
_ISIC_2019 = "Tschandl et al. 2018; Codella et al. 2017; Combalia et al. 2019, arXiv:1908.02288"
_ISIC_2020 = "Rotemberg et al. 2021, Sci. Data 8:34, doi 10.34970/2020-ds01"
# The sources whose lesions stand in a second table.
_WITH_LESIONS = ("isic2018", "isic2019", "isic2020")
ONE_HOT = ("MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
# The whole training table of ISIC-2020. Its paper and its table say 584; ZooME says 594.
_ISIC_2020_ROWS, _ISIC_2020_MALIGNANT = 33_126, 584


@dataclass(frozen=True)
class Request:
    """What `prepare` was asked: the source's table, a second one that names lesions, and the image files by id."""

    metadata: Path | None
    lesions: Path | None
    images: dict[str, Path]
    folders: Sequence[Path]

    @property
    def table(self) -> Path:
        """The source's table; it is an error where none was given."""
        if self.metadata is None:
            raise DataError("this source needs --metadata, the path of its table.")
        return self.metadata


def prepare(
    source: str,
    *,
    images: Sequence[Path],
    metadata: Path | None = None,
    lesions: Path | None = None,
    missing: str = "error",
) -> Manifest:
    """Make a manifest from a source's own files.

    Parameters
    ----------
    source
        One of `SOURCES`.
    images
        Folders that hold the image files, searched with their subfolders.
    metadata
        The source's table; "folders" has none.
    lesions
        For "isic2020": a table `image_name,lesion_id`, whose equal ids join duplicates. For "isic2018" and "isic2019": a table
        with `image` and any of `lesion_id`, `age_approx`, `sex`, `anatom_site_general`.
    missing
        What to do with rows whose image file is not there: "error", "drop", or "keep" them with an empty path,
        for metadata alone; then `images` may be empty.

    Raises
    ------
    DataError
        Names all rows, values or files that are at fault.
    """
    if source not in SOURCES:
        raise DataError(f"--source {source}: there is no such source. Choose one of {', '.join(SOURCES)}.")
    if missing not in ("error", "drop", "keep"):
        raise DataError(f"--missing {missing}: expected error, drop or keep.")
    if not images and (missing != "keep" or source == "folders"):
        raise DataError("--images: not given. Name the folder of the images; a table alone needs --missing keep.")
    if absent := [str(folder) for folder in images if not folder.is_dir()]:
        raise DataError(f"--images {', '.join(absent)}: not a folder.")
    _refuse_unread(source, metadata, lesions)
    request = Request(metadata, lesions, {} if source == "folders" or not images else index_images(images), images)
    frame = SOURCES[source](request)
    origin = metadata or images[0]
    if source != "folders":
        frame = with_files(frame, request.images, origin, missing)
    return Manifest.build(frame, Path(), Path(origin), check_files=False, without_images=missing == "keep")


def _refuse_unread(source: str, metadata: Path | None, lesions: Path | None) -> None:
    """A table that was given and silently not read would be worse than none: its patients and lesions would not be grouped."""
    if metadata and source == "folders":
        raise DataError(f"--metadata {metadata}: the folders' names are the answers; no table is read beside them.")
    if lesions and source not in _WITH_LESIONS:
        raise DataError(f"--lesions {lesions}: {source} reads no second table; {', '.join(_WITH_LESIONS)} do.")


def _ham10000(request: Request) -> pd.DataFrame:
    """`HAM10000_metadata.csv`, or the same columns under its older name without suffix."""
    table = read_table(request.table, ("lesion_id", "image_id", "dx", "age", "sex", "localization"))
    frame = blank(table["image_id"], "ham10000", "CC-BY-NC-4.0", _HAM)
    frame["diagnosis"] = mapped(request.table, table, "dx", taxonomy.diagnosis)
    frame["lesion_id"] = table["lesion_id"]
    return with_metadata(frame, request.table, table, age="age", sex="sex", site="localization")


def _isic2020(request: Request) -> pd.DataFrame:
    columns = ("image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge", "target")
    table = read_table(request.table, columns)
    frame = blank(table["image_name"], "isic2020", "CC-BY-NC-4.0", _ISIC_2020)
    frame["target"] = mapped(request.table, table, "target", taxonomy.malignant, required=True)
    num_malignant = int((frame["target"] == "1").sum())
    if len(table) == _ISIC_2020_ROWS and num_malignant != _ISIC_2020_MALIGNANT:
        raise DataError(
            f"{request.table}: {num_malignant} malignant of {len(table)}; the published table has 584. Download it again."
        )
    frame["patient_id"] = table["patient_id"]
    if "diagnosis" in table:
        # Benign images carry diagnoses that are none of ours ("cafe-au-lait macule"), most "unknown": empty, and still a target.
        frame["diagnosis"], unmapped = taxonomy.map_column(table["diagnosis"], taxonomy.diagnosis)
        report(request.table, "diagnosis", unmapped)
    if request.lesions:
        frame["lesion_id"] = second_table(request.lesions, frame, "image_name", "lesion_id")["lesion_id"]
    site = "anatom_site_general_challenge"
    return with_metadata(frame, request.table, table, age="age_approx", sex="sex", site=site)


def _isic2018(request: Request) -> pd.DataFrame:
    return _one_hot(request, "isic2018", "CC-BY-NC-4.0", _ISIC_2018)


def _isic2019(request: Request) -> pd.DataFrame:
    return _one_hot(request, "isic2019", "CC-BY-NC-4.0", _ISIC_2019)


def _one_hot(request: Request, dataset: str, license_name: str, attribution: str) -> pd.DataFrame:
    """`image,MEL,NV,…`: columns count by name, never by place (2018 and 2019 differ)."""
    table = read_table(request.table, ("image",))
    classes = [name for name in ONE_HOT if name in table]
    if len(classes) < 2:
        raise DataError(f"{request.table}: no one-hot columns. Expected image and {', '.join(ONE_HOT)}.")
    values = table[classes].apply(pd.to_numeric, errors="coerce")
    wrong = ~(values.isin((0, 1)).all(axis=1) & (values.sum(axis=1) == 1))
    if wrong.any():
        problems = [f"row {index + 2}: {', '.join(table[classes].iloc[index])}" for index in wrong.to_numpy().nonzero()[0]]
        raise DataError(
            listed(f"{request.table}: {len(problems)} rows do not have one 1 and else 0 in {', '.join(classes)}:", problems)
        )
    frame = blank(table["image"], dataset, license_name, attribution)
    frame["diagnosis"] = taxonomy.map_column(values.idxmax(axis=1), taxonomy.diagnosis)[0]
    if request.lesions:
        extra = second_table(request.lesions, frame, "image")
        frame["lesion_id"] = extra.get("lesion_id", "")
        frame = with_metadata(frame, request.lesions, extra, age="age_approx", sex="sex", site="anatom_site_general")
    return frame


def _isic_archive(request: Request) -> pd.DataFrame:
    """The CSV that the archive's own tool writes (`isic metadata download`), or that of ISIC-2024, which says `iddx_`."""
    table = read_table(request.table, ("isic_id",))
    frame = blank(table["isic_id"], "isic-archive", "", "")
    for name, column in (("attribution", "attribution"), ("license", "copyright_license")):
        frame[name] = table.get(column, "")
    levels = [f"{kind}_{level}" for kind in ("diagnosis", "iddx") for level in range(1, 6) if f"{kind}_{level}" in table]
    answers = [name for name in (*levels[:1], "benign_malignant", "target") if name in table]
    if not answers and "diagnosis" not in table:
        raise DataError(f"{request.table}: no column says what an image shows: diagnosis_1, iddx_1, diagnosis, target.")
    texts = table[levels].agg(":".join, axis=1) if levels else table.get("diagnosis", pd.Series("", index=table.index))
    # An archive holds many diagnoses that are none of ours: counted and left empty, so that they stay usable for `malignant`.
    frame["diagnosis"], unmapped = taxonomy.map_column(texts.str.strip(":"), taxonomy.diagnosis)
    report(request.table, "diagnosis", unmapped)
    if answers:
        frame["target"], unmapped = taxonomy.map_column(table[answers[0]], taxonomy.malignant)
        report(request.table, "target", unmapped)
        # Ours calls Bowen's disease and actinic keratosis malignant; the archive files some under benign or indeterminate.
        frame.loc[frame["diagnosis"] != "", "target"] = ""
    for name in ("lesion_id", "patient_id"):
        frame[name] = table.get(name, "")
    if "fitzpatrick_skin_type" in table:
        frame["skin_type"], unmapped = taxonomy.map_column(table["fitzpatrick_skin_type"], taxonomy.skin_type)
        report(request.table, "fitzpatrick_skin_type", unmapped)
    sites = [name for name in (f"anatom_site_{level}" for level in range(1, 6)) if name in table]
    if sites:
        table["site"] = table[sites].agg(":".join, axis=1).str.strip(":")
    site = "site" if sites else "anatom_site_general"
    return with_metadata(frame, request.table, table, age="age_approx", sex="sex", site=site)


def _folders(request: Request) -> pd.DataFrame:
    """A folder a class: our diagnoses under any of their names, or benign and malignant."""
    labels, unmapped = {}, []
    for root in request.folders:
        for folder in sorted(path for path in root.absolute().iterdir() if path.is_dir()):
            code, target = taxonomy.diagnosis(folder.name), taxonomy.malignant(folder.name)
            if code or target:
                labels[folder] = code or "", target or ""
            else:
                unmapped.append(str(folder))
    if unmapped:
        remedy = f"Name each folder for a class: {', '.join(taxonomy.DIAGNOSES)}, or benign and malignant."
        raise DataError(listed(f"{len(unmapped)} folders are not named for a class:", unmapped, remedy=remedy))
    if not labels:
        raise DataError(f"--images {', '.join(map(str, request.folders))}: no folder in it; one a class is expected.")
    rows = [
        (image_id, str(path), *next(labels[folder] for folder in path.parents if folder in labels))
        for image_id, path in index_images(list(labels)).items()
    ]
    frame = pd.DataFrame(rows, columns=["image_id", "path", "diagnosis", "target"])
    _LOG.warning(
        "no patients or lesions are known, so photos of one lesion may fall into several folds; give them in the manifest."
    )
    return complete(frame, "folders", "", "")


SOURCES: dict[str, Callable[[Request], pd.DataFrame]] = {
    "ham10000": _ham10000,
    "isic2018": _isic2018,
    "isic2019": _isic2019,
    "isic2020": _isic2020,
    "isic-archive": _isic_archive,
    "folders": _folders,
}
