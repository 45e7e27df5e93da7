"""Many figures of a section measured on the same resamples, each put at its place in the section's document."""

from collections.abc import Mapping
from typing import Any

from nevus.evaluation.tested import Document, Tested
from nevus.metrics.bootstrap import WeightedFigure

Path = tuple[str, ...]


def measure_nested(tested: Tested, figures: Mapping[Path, WeightedFigure | None], reason: str) -> Any:
    """The figures, as `measure` gives them, in a document whose keys are their paths."""
    # A path's parts may hold any character ("head/neck"), so that the names given to `measure` are numbers.
    measured = tested.measure({str(number): figure for number, figure in enumerate(figures.values())}, reason)
    nested: Document = {}
    for path, document in zip(figures, measured.values(), strict=True):
        part = nested
        for key in path[:-1]:
            part = part.setdefault(key, {})
        part[path[-1]] = document
    return nested
