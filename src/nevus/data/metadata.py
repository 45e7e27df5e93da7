"""Age, sex and site as numbers, each optional: fitted on training rows alone, saved as JSON, read back exactly."""

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.data.taxonomy import SEXES, SITES
from nevus.errors import DataError

# The codes of sex and site in exported graphs are places in these.
CATEGORIES = {"sex": SEXES, "site": SITES}
COLUMNS = {"age": "age_years", "sex": "sex", "site": "site"}
_LOG = logging.getLogger("nevus")

Values = Sequence[Any] | NDArray[Any] | None
Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


@dataclass(frozen=True)
class MetadataEncoder:
    """The encoding: age as (age − mean) / sd and a missing flag; sex and site one-hot with "missing" as their last place.

    The mean and the standard deviation are those of the training rows.
    """

    fields: tuple[str, ...]
    age_mean: float = 0.0
    age_sd: float = 1.0

    @classmethod
    def fit(cls, columns: Columns, fields: Sequence[str] = ("age", "sex", "site")) -> "MetadataEncoder":
        """Fit on training rows; `columns` holds `age_years`, and only its known values count.

        >>> MetadataEncoder.fit({"age_years": [30.0, 50.0, float("nan")]}).age_mean
        40.0
        """
        if unknown := [name for name in fields if name not in COLUMNS]:
            raise DataError(f"no such metadata field: {', '.join(unknown)}. There are {', '.join(COLUMNS)}.")
        ages = np.asarray(columns.get("age_years", []), np.float64)
        known = ages[~np.isnan(ages)]
        if not len(known):
            return cls(tuple(fields))
        return cls(tuple(fields), float(known.mean()), float(known.std()) or 1.0)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each number, in order."""
        names: list[str] = []
        for name in self.fields:
            names += ["age", "age missing"] if name == "age" else [f"{name} {c}" for c in (*CATEGORIES[name], "missing")]
        return tuple(names)

    @property
    def num_features(self) -> int:
        """How many numbers a row becomes."""
        return len(self.feature_names)

    def encode(self, columns: Columns, num_rows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Encode rows.

        Parameters
        ----------
        columns
            Any of `age_years` (years, NaN or None unknown), `sex` and `site` (our vocabulary, "" unknown), each `num_rows` long.
        num_rows
            How many rows; a column that is not given is missing in all of them.

        Returns
        -------
        metadata
            float32 (num_rows, num_features).
        missing
            bool (num_rows, fields).

        Examples
        --------
        >>> encoder = MetadataEncoder(("age", "sex"), 50.0, 10.0)
        >>> encoder.encode({"age_years": [60.0], "sex": [""]}, 1)
        (array([[1., 0., 0., 0., 1.]], dtype=float32), array([[False,  True]]))
        """
        parts, flags = [], []
        for name in self.fields:
            values = columns.get(COLUMNS[name])
            part, missing = self._age(values, num_rows) if name == "age" else _one_hot(name, values, num_rows)
            parts.append(part)
            flags.append(missing)
        if not parts:
            return np.zeros((num_rows, 0), np.float32), np.zeros((num_rows, 0), np.bool_)
        return np.concatenate(parts, axis=1), np.stack(flags, axis=1)

    def drop(self, metadata: NDArray[np.float32], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Encoded rows with the fields of `missing` (N, fields) turned to "missing", as `encode` would have written them."""
        dropped, start = metadata.copy(), 0
        for index, name in enumerate(self.fields):
            stop = start + (2 if name == "age" else len(CATEGORIES[name]) + 1)
            dropped[missing[:, index], start:stop] = 0
            dropped[missing[:, index], stop - 1] = 1
            start = stop
        return dropped

    def to_json(self) -> dict[str, Any]:
        """A JSON document from which `from_json` makes an equal encoder."""
        categories = {name: list(CATEGORIES[name]) for name in self.fields if name in CATEGORIES}
        return {"fields": list(self.fields), "age_mean": self.age_mean, "age_sd": self.age_sd, "categories": categories}

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | str) -> "MetadataEncoder":
        """Read `to_json`'s document.

        Raises
        ------
        DataError
            It was written with other categories than this version knows: its columns would mean something else.
        """
        content = json.loads(document) if isinstance(document, str) else document
        encoder = cls(tuple(content["fields"]), float(content["age_mean"]), float(content["age_sd"]))
        if encoder.to_json()["categories"] != content["categories"]:
            raise DataError("the metadata schema has other categories than this nevus. Use the version that wrote it.")
        return encoder

    def _age(self, values: Values, num_rows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        ages = age_values(values, num_rows)
        missing = np.isnan(ages)
        scaled = np.where(missing, 0.0, (ages - self.age_mean) / self.age_sd)
        return np.stack([scaled, missing], axis=1).astype(np.float32), missing


def coded(columns: Columns, num_rows: int) -> dict[str, NDArray[Any]]:
    """Rows as an exported graph takes them: `age` float32 (N,), years, NaN unknown; `sex` and `site` int64 (N,), -1 unknown.

    >>> coded({"age_years": [61, None], "sex": ["male", ""]}, 2)
    {'age': array([61., nan], dtype=float32), 'sex': array([ 1, -1]), 'site': array([-1, -1])}
    """
    ages = age_values(columns.get(COLUMNS["age"]), num_rows).astype(np.float32)
    return {"age": ages, **{name: category_codes(name, columns.get(COLUMNS[name]), num_rows) for name in CATEGORIES}}


def age_values(values: Values, num_rows: int) -> NDArray[np.float64]:
    """Ages in years (N,), NaN for None, for NaN, and for all where there is no column."""
    given = [math.nan] * num_rows if values is None else [math.nan if value is None else value for value in values]
    return np.asarray(given, np.float64)


def category_codes(name: str, values: Values, num_rows: int) -> NDArray[np.int64]:
    """The place of each value (N,) in `CATEGORIES[name]`, -1 where it is "", None or, with a warning, none of them."""
    categories = CATEGORIES[name]
    places = {category: index for index, category in enumerate(categories)}
    given = [""] * num_rows if values is None else list(values)
    unseen = Counter(str(value) for value in given if value not in places and value not in ("", None))
    if unseen:
        counts = ", ".join(f"{value!r} in {count}" for value, count in sorted(unseen.items()))
        _LOG.warning(
            "%s: %s of the rows are unknown values and count as missing. Known: %s.", name, counts, ", ".join(categories)
        )
    return np.array([places.get(value, -1) for value in given], np.int64)


def _one_hot(name: str, values: Values, num_rows: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    codes = category_codes(name, values, num_rows)
    # Code -1 is the last row, "missing".
    return np.eye(len(CATEGORIES[name]) + 1, dtype=np.float32)[codes], codes < 0
