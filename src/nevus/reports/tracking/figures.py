"""What of a run is tracked: names and numbers, the same for every program that keeps them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nevus.errors import DataError
from nevus.reports.run import Run

# The parts of a figure; `value` goes under the figure's own name.
_PARTS = ("low", "high", "n", "fold_mean", "fold_sd")
# What an item of a list is called after, where it says so.
_CALLED = ("name", "field", "class")
# Folds have their own place, and origins are no figures.
_ELSEWHERE = ("per_fold", "provenance")


@dataclass(frozen=True)
class Tracked:
    """A run's figures {name: value}, its folds' figures and curves {fold: {name: [(epoch, value)]}}, and its settings."""

    name: str
    time_seconds: float
    figures: dict[str, float]
    folds: dict[int, dict[str, list[tuple[int, float]]]]
    settings: dict[str, str]
    origin: dict[str, str]

    @classmethod
    def of(cls, run: Run) -> "Tracked":
        """What is tracked of a run."""
        document = {key: part for key, part in run.evaluation.items() if key not in _ELSEWHERE}
        origin = {
            key: value for key in ("command", "commit", "manifest_sha256") if isinstance(value := run.provenance.get(key), str)
        }
        return cls(
            run.folder.resolve().name,
            _time(run.provenance.get("date")),
            _unique(list(_figures(document, ""))),
            _folds(run),
            dict(_settings(run.recipe, "")),
            {"protocol": run.protocol, "folder": str(run.folder.resolve()), **origin},
        )


def _figures(part: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every figure below a part of the evaluation, by its path; what is undefined has no number and is left out.

    >>> figure = {"value": 0.5, "low": 0.25, "high": None, "n": 4, "method": "Wilson, 95%"}
    >>> dict(_figures({"per_class": {"mel": {"auc": figure}}}, ""))
    {'per_class/mel/auc': 0.5, 'per_class/mel/auc.low': 0.25, 'per_class/mel/auc.n': 4.0}
    """
    if isinstance(part, dict) and "value" in part:
        if _is_number(part["value"]):
            yield path, float(part["value"])
            yield from ((f"{path}.{key}", float(part[key])) for key in _PARTS if _is_number(part.get(key)))
    elif isinstance(part, dict):
        for key, inner in part.items():
            yield from _figures(inner, _below(path, str(key)))
    elif isinstance(part, list):
        for index, inner in enumerate(part):
            called = (
                next((inner[key] for key in _CALLED if isinstance(inner.get(key), str)), None)
                if isinstance(inner, dict)
                else None
            )
            yield from _figures(inner, _below(path, called or str(index)))


def _unique(figures: list[tuple[str, float]]) -> dict[str, float]:
    names = [name for name, _ in figures]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(
            f"two figures would be called {twice[0]}. Rename a class or group: signs such as / and : become _ in names."
        )
    return dict(figures)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _below(path: str, name: str) -> str:
    """A path one step on, in the letters that every program takes: head/neck is one step, not two."""
    plain = re.sub(r"[^\w.\- ]", "_", name).strip(". ") or "_"
    return f"{path}/{plain}" if path else plain


def _folds(run: Run) -> dict[int, dict[str, list[tuple[int, float]]]]:
    """Each fold's figures, at step 0, and its learning curves, a step an epoch."""
    folds: dict[int, dict[str, list[tuple[int, float]]]] = {}
    for part in run.evaluation["per_fold"]:
        numbers = {
            **{_below("metrics", key): value for key, value in part["metrics"].items()},
            "threshold": part.get("threshold"),
        }
        folds[int(part["fold"])] = {key: [(0, float(value))] for key, value in numbers.items() if _is_number(value)}
    for number, epochs in run.epochs.items():
        for name in epochs.columns.drop("epoch"):
            known = epochs[["epoch", name]].dropna()
            if len(known):
                folds.setdefault(number, {})[name] = [(int(epoch), float(value)) for epoch, value in known.to_numpy()]
    return folds


def _settings(part: Any, path: str) -> Iterator[tuple[str, str]]:
    """A recipe's settings as a --set has them.

    >>> dict(_settings({"model": {"backbone": "resnet50", "taps": [1, 2]}}, ""))
    {'model.backbone': 'resnet50', 'model.taps': '[1, 2]'}
    """
    if isinstance(part, dict):
        for key, inner in part.items():
            yield from _settings(inner, f"{path}.{key}" if path else key)
    else:
        yield path, part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)


def _time(date: str | None) -> float:
    """Seconds since 1970: when the run ended, or now where it does not say."""
    return (datetime.fromisoformat(date) if date else datetime.now()).timestamp()
