"""The limit of a bundle's prediction sets, from the rows that fitted its temperature."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.metrics.conformal import conformal_quantile, lac_scores

COVERAGES = (0.90, 0.95)
# The sets that are shown and that refer an image; see docs/explanation/architecture.md for how it was chosen.
DECIDES = 0.90


def fit_conformal(
    probabilities: NDArray[np.float64], targets: NDArray[np.int64], groups: NDArray[Any], what: str = "validation images"
) -> dict[str, dict[str, float | None] | str | None]:
    """bundle.json's `conformal`: for each coverage the score, 1 − probability, up to which a class is in an image's set.

    Whole groups are counted (`conformal_quantile`). A limit is null where there are too few of them to promise it; without the
    one that decides there are no sets, and `reason` says so.

    Parameters
    ----------
    probabilities
        (N, C), calibrated, of the validation rows as the bundle will give them.
    targets
        (N,) class indices.
    groups
        (N,) any labels of which photos belong together.
    what
        What the rows are called.

    Examples
    --------
    >>> even = np.full((12, 2), 0.5)
    >>> fit_conformal(even, np.zeros(12, np.int64), np.arange(12))["quantiles"]
    {'0.90': 0.5, '0.95': None}
    """
    scores = lac_scores(probabilities)[np.arange(len(targets)), targets]
    quantiles = {f"{coverage:.2f}": conformal_quantile(scores, coverage, groups) for coverage in COVERAGES}
    num_groups = len(np.unique(groups))
    decides = f"{DECIDES:.2f}"
    known = math.isfinite(quantiles[decides])
    needed = math.ceil(DECIDES / (1 - DECIDES) - 1e-9)
    return {
        "method": "lac",
        "quantiles": {name: value if math.isfinite(value) else None for name, value in quantiles.items()},
        "decides": decides if known else None,
        "chosen_on": f"{len(targets)} {what} of {num_groups} groups",
        "reason": None if known else f"{num_groups} groups of {what} are too few: {decides} needs {needed}",
    }
