"""The columns that the ISIC challenges take, and which of our classes each is: for whole tables and for rows as they come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nevus.data import taxonomy
from nevus.errors import DataError

_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
# Each layout's column of image ids, and its classes, or the diagnoses that its one score counts as malignant.
LAYOUTS: Mapping[str, tuple[str, tuple[str, ...] | frozenset[str]]] = {
    "isic2018": ("image", _2018),
    "isic2019": ("image", _2019),
    # All its malignant images are melanomas.
    "isic2020": ("image_name", frozenset({"mel"})),
    "isic2024": ("isic_id", taxonomy.MALIGNANT),
}


@dataclass(frozen=True)
class Columns:
    """A submission's column of ids, the classes whose probabilities are summed in each other column, and what is to be said."""

    image_id: str
    classes: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]


def challenge_columns(layout: str, classes: Sequence[str], source: str) -> Columns:
    """Where the probabilities of these classes stand in a layout; `source` is what errors call them.

    Raises
    ------
    DataError
        The layout is unknown, or has no place for a class.

    Examples
    --------
    >>> challenge_columns("isic2020", ("benign", "malignant"), "a.csv").classes
    {'target': ('malignant',)}
    """
    if layout not in LAYOUTS:
        raise DataError(f"--layout {layout}: expected one of {', '.join(LAYOUTS)}.")
    image_id, known = LAYOUTS[layout]
    if not isinstance(known, frozenset):
        return Columns(image_id, *_by_class(known, classes, source))
    if "malignant" in classes:
        return Columns(image_id, {"target": ("malignant",)}, ())
    counted = tuple(name for name in classes if name in known)
    if not counted:
        raise DataError(f"{source}: has neither malignant nor any of {', '.join(sorted(known))} among its classes.")
    return Columns(image_id, {"target": counted}, (f"target is the sum over {', '.join(counted)}.",))


def _by_class(
    columns: tuple[str, ...], classes: Sequence[str], source: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """One column a class; one without a class of ours is 0 for every image."""
    labels = {name: taxonomy.diagnosis(name) or name.lower() for name in columns}
    if homeless := [name for name in classes if name not in labels.values()]:
        raise DataError(f"{source}: the layout has no place for {', '.join(homeless)}. It has {', '.join(columns)}.")
    places: dict[str, tuple[str, ...]] = {name: (label,) if label in classes else () for name, label in labels.items()}
    absent = [name for name, found in places.items() if not found]
    notes = [f"{', '.join(absent)}: no class of these predictions; 0 for every image."] if absent else []
    return places, tuple(notes)
