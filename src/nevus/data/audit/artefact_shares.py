"""Artefacts by class: how often each occurs, and a warning where it goes with a class, since a network may learn it instead."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.audit.looks import Looks
from nevus.data.audit.signs import LEFT_OUT, SIGNS

_Z = 1.959964
_MIN_IMAGES = 20
# An odds ratio whose interval only touches 1 is noise among dozens of them; one of two or more is worth a look.
_MIN_ODDS = 1.5


def artefact_shares(frame: pd.DataFrame, looks: Looks) -> dict[str, Any]:
    """Shares by class with 95% intervals, odds ratios of a class against all others, warnings, and the clearest examples.

    Each data set is judged alone: a class that only one of them has would seem to go with that one's camera. Classes are
    diagnoses, with "benign" and "malignant" where only that is known. Intervals count images as independent; photographs of one
    patient are not, so they are too narrow where patients have many.
    """
    classes, datasets = frame["answer"].replace("", "unknown").to_numpy(), frame["dataset"].to_numpy()
    readable, names = looks.readable, frame["name"].to_numpy()
    return {
        "left_out": dict(LEFT_OUT),
        "datasets": [
            {"dataset": str(dataset), **_of_rows(readable[datasets[readable] == dataset], classes, names, looks)}
            for dataset in dict.fromkeys(datasets[readable])
        ],
    }


def _of_rows(rows: NDArray[np.int64], classes: NDArray[Any], names: NDArray[Any], looks: Looks) -> dict[str, Any]:
    found: dict[str, Any] = {"signs": [], "warnings": []}
    inside = classes[rows]
    for index, sign in enumerate(SIGNS):
        values = looks.signs[rows, index]
        present = values >= sign.cut
        each = np.unique(inside)
        shares = {str(name): wilson(int(present[inside == name].sum()), int((inside == name).sum())) for name in each}
        odds = {str(name): odds_ratio(present, inside == name) for name in each}
        strongest = np.argsort(-values, kind="stable")[:4]
        found["signs"].append(
            {
                "name": sign.name,
                "title": sign.title,
                "measures": sign.measures,
                "cut": sign.cut,
                "weakness": sign.weakness,
                "overall": wilson(int(present.sum()), len(present)),
                "by_class": shares,
                "odds_ratios": odds,
                "examples": [str(names[rows[place]]) for place in strongest if present[place]],
            }
        )
        found["warnings"] += _warnings(sign.title, shares, odds)
    return found


def wilson(count: int, total: int) -> dict[str, Any]:
    """A share and its 95% Wilson score interval.

    >>> wilson(5, 10)["low"], wilson(5, 10)["high"]
    (0.2366, 0.7634)
    """
    if not total:
        return {"value": None, "low": None, "high": None, "n": 0, "num_present": 0}
    share = count / total
    middle, spread = share + _Z**2 / (2 * total), _Z * np.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    low, high = (middle - spread) / (1 + _Z**2 / total), (middle + spread) / (1 + _Z**2 / total)
    return {
        "value": round(share, 4),
        "low": round(max(0.0, float(low)), 4),
        "high": round(min(1.0, float(high)), 4),
        "n": total,
        "num_present": count,
    }


def odds_ratio(present: NDArray[np.bool_], inside: NDArray[np.bool_]) -> dict[str, Any]:
    """The odds of an artefact inside a class against outside, with Woolf's 95% interval and half added to each count."""
    counts = np.array(
        [[(present & inside).sum(), (~present & inside).sum()], [(present & ~inside).sum(), (~present & ~inside).sum()]]
    )
    if not inside.any() or inside.all():
        return {"value": None, "low": None, "high": None}
    halved = counts + 0.5
    logarithm = float(np.log(halved[0, 0] * halved[1, 1] / (halved[0, 1] * halved[1, 0])))
    error = _Z * float(np.sqrt((1 / halved).sum()))
    low, value, high = (round(float(np.exp(point)), 3) for point in (logarithm - error, logarithm, logarithm + error))
    return {"value": value, "low": low, "high": high}


def _warnings(sign: str, shares: dict[str, dict[str, Any]], odds: dict[str, dict[str, Any]]) -> list[str]:
    found = []
    for name, ratio in odds.items():
        if ratio["low"] is None or shares[name]["n"] < _MIN_IMAGES:
            continue
        if ratio["low"] >= _MIN_ODDS or ratio["high"] <= 1 / _MIN_ODDS:
            more = "more" if ratio["value"] > 1 else "less"
            found.append(
                f"{sign} is {more} frequent in {name}: {100 * shares[name]['value']:.1f}% of its {shares[name]['n']:,} images, "
                f"odds ratio {ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
            )
    return found
