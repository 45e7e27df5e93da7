"""From the columns of a source's tables to a manifest's columns, with what cannot be understood named and counted."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nevus.data import taxonomy
from nevus.data.image_ids import plain_id
from nevus.data.manifest import COLUMNS
from nevus.data.tables import read_table
from nevus.errors import DataError, listed

_LOG = logging.getLogger("nevus")


def blank(ids: "pd.Series[str]", dataset: str, license_name: str, attribution: str) -> pd.DataFrame:
    """A manifest's columns for these images, all unknown but whose they are."""
    return complete(pd.DataFrame({"image_id": ids.map(plain_id)}), dataset, license_name, attribution)


def complete(frame: pd.DataFrame, dataset: str, license_name: str, attribution: str) -> pd.DataFrame:
    """The frame with all of a manifest's columns, in their order."""
    frame["dataset"], frame["license"], frame["attribution"] = dataset, license_name, attribution
    return frame.reindex(columns=list(COLUMNS), fill_value="").astype(str)


def second_table(path: Path, frame: pd.DataFrame, name: str, *required: str) -> pd.DataFrame:
    """The rows of another table, found by image id and in the order of `frame`; "" for images that it lacks."""
    table = read_table(path, (name, *required))
    table.index = pd.Index(table[name].map(plain_id))
    if repeated := table.index[table.index.duplicated()].unique().tolist():
        raise DataError(listed(f"{path}: {len(repeated)} images have several rows:", repeated, remedy="Keep one of each."))
    if not table.index.isin(frame["image_id"]).any():
        raise DataError(f"{path}: none of its images is in the other table. Its first is {table.index[0]}.")
    return table.reindex(frame["image_id"]).fillna("").reset_index(drop=True)


def with_metadata(frame: pd.DataFrame, path: Path, table: pd.DataFrame, *, age: str, sex: str, site: str) -> pd.DataFrame:
    """The frame with ages, sexes and sites from these columns of a table with the same rows."""
    # The archive gives ages over 85 as "85+", to protect the oldest.
    ages = table.get(age, pd.Series("", index=table.index)).astype(str).str.strip().str.removesuffix("+")
    frame["age_years"] = ages.where(~ages.map(taxonomy.is_unknown), "").to_numpy()
    for name, column, mapping in (("sex", sex, taxonomy.sex), ("site", site, taxonomy.site)):
        if column in table:
            frame[name] = mapped(path, table, column, mapping)
    return frame


def mapped(
    path: Path, table: pd.DataFrame, column: str, mapping: Callable[[str], str | None], *, required: bool = False
) -> list[str]:
    """A column in our words; a value that no rule maps, or an empty one where it is required, is an error that counts it."""
    values, unmapped = taxonomy.map_column(table[column], mapping)
    if required:
        pairs = zip(table[column], values, strict=True)
        unmapped.update([text or "(empty)" for text, value in pairs if not value and text not in unmapped])
    if unmapped:
        problems = [f"{column} {text!r} in {count} rows" for text, count in unmapped.most_common()]
        raise DataError(listed(f"{path}: values that cannot be understood:", problems, remedy="Mend or empty them."))
    return values


def report(path: Path, column: str, unmapped: Counter[str]) -> None:
    """Say which values became empty, the most frequent first."""
    if unmapped:
        worst = ", ".join(f"{text!r} in {count}" for text, count in unmapped.most_common(8))
        _LOG.warning("%s: %d rows have a %s that is none of ours: %s.", path, unmapped.total(), column, worst)
