"""The models that come with nevus: .nevus files beside the code, each with its card."""

from pathlib import Path

from nevus.errors import DataError

# The one that answers where no bundle is named: of the files that passed their gates, the fastest for one photo.
DEFAULT = "mobile-int8"
_FOLDER = Path(__file__).parents[1] / "models"


def shipped_names() -> tuple[str, ...]:
    """The names of the models that come with nevus, the default first."""
    names = sorted(path.stem for path in _FOLDER.glob("*.nevus"))
    return tuple(sorted(names, key=lambda name: name != DEFAULT))


def shipped_bundle(name: str = DEFAULT) -> Path:
    """Where the model of that name is.

    Raises
    ------
    DataError
        None of that name comes with this copy of nevus; those that do are named.
    """
    path = _FOLDER / f"{name}.nevus"
    if not path.is_file():
        have = ", ".join(shipped_names()) or "no model"
        raise DataError(f"{name}: does not come with this copy of nevus, which has {have}. Give one of your own: --bundle.")
    return path


def find_bundle(given: Path | str | None) -> Path:
    """The bundle at a path, the shipped one of a name, or the default where none is given; a path that is there comes first."""
    if given is None:
        return shipped_bundle()
    path = Path(given)
    return shipped_bundle(str(given)) if not path.exists() and str(given) in shipped_names() else path
