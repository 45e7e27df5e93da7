"""The errors nevus raises on purpose. Each message is complete: what, which value, which rows, and the remedy.

They become exit codes at the command line's edge alone (`nevus.__main__`).
"""

from collections.abc import Sequence


class NevusError(Exception):
    """Base of every error nevus raises on purpose; its text is meant to be read by a person."""


class DataError(NevusError):
    """A manifest, table, folds file, predictions file or image is not what it must be."""


class RecipeError(NevusError):
    """A recipe cannot be read, or asks for something that cannot be built."""


class BundleError(NevusError):
    """A bundle is incomplete, was changed, or does not fit the request."""


class NotAvailableError(NevusError):
    """Weights, a package or a device that was asked for is not to be had here."""


def listed(header: str, problems: Sequence[str], *, remedy: str = "", limit: int = 20) -> str:
    """Join all problems under one header, so that a user mends a file once and not one row a run.

    >>> print(listed("2 bad rows:", ["row 2: age -1", "row 9: age 200"], remedy="Give ages in years."))
    2 bad rows:
      row 2: age -1
      row 9: age 200
    Give ages in years.
    """
    lines = [header, *(f"  {problem}" for problem in problems[:limit])]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more")
    return "\n".join([*lines, remedy] if remedy else lines)
