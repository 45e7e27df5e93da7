"""How the figures were made: definitions, intervals, the recipe, the command, versions, hashes and hardware."""

import json
from typing import Any

from nevus.reports.markup import Html, element, folded, join, table
from nevus.reports.run import Run
from nevus.reports.wording import METRICS, metric

_TITLES = {
    "command": "Command",
    "nevus": "nevus",
    "python": "Python",
    "packages": "Packages",
    "commit": "Commit",
    "trained_at": "Commits that trained the folds",
    "manifest": "Manifest",
    "manifest_sha256": "SHA-256 of the manifest",
    "folds_sha256": "SHA-256 of the folds",
    "hardware": "Hardware",
    "precision": "Arithmetic",
    "training_seconds": "Training time of all folds",
    "date": "Date",
}
_UNITS = (("hours", 3600), ("minutes", 60))


def methods(run: Run) -> Html:
    """Each figure's definition and interval, then everything that was recorded about the run."""
    figures = run.evaluation["metrics"]
    rows = [
        (metric(name), METRICS.get(name, ("", "–"))[1], figure.get("method") or figure.get("reason") or "–")
        for name, figure in figures.items()
    ]
    header = ("Figure", "Definition", "Method")
    definitions = table("What each figure is and how its interval was made", header, rows, kind="words")
    return join([element("p", _intervals(run)), folded("Definitions and methods, figure by figure", definitions), _record(run)])


def toml(recipe: dict[str, Any]) -> str:
    """The recipe in the notation it is written in.

    >>> print(toml({"name": "a", "data": {"size": 64, "augment": {"vertical_flip": 0.5}}}))
    name = "a"
    <BLANKLINE>
    [data]
    size = 64
    <BLANKLINE>
    [data.augment]
    vertical_flip = 0.5
    """
    return "\n\n".join(block for block in _sections("", recipe) if block)


def _intervals(run: Run) -> str:
    methods = sorted({figure["method"] for figure in run.evaluation["metrics"].values() if figure.get("method")})
    made = f" Intervals: {'; '.join(methods)}." if methods else " No intervals were made."
    return (
        "Figures are computed once over all out-of-fold answers together; the mean and standard deviation over folds stand "
        "beside them because papers print those, but a standard deviation over folds is not an interval." + made
    )


def _record(run: Run) -> Html:
    provenance = {name: value for name, value in run.provenance.items() if name != "recipe" and value not in (None, "", {}, [])}
    if not provenance and not run.recipe:
        return element("p", "Nothing was recorded about how these predictions were made.", class_="note")
    names = [*(name for name in _TITLES if name in provenance), *(name for name in provenance if name not in _TITLES)]
    rows = [(_TITLES.get(name, name.replace("_", " ").capitalize()), _recorded(name, provenance[name])) for name in names]
    parts = [table("How the run was made", ("What", "Recorded"), rows, kind="words")] if rows else []
    if run.recipe:
        listing = element("pre", element("code", toml(run.recipe)), tabindex="0", role="group", aria_label="Recipe")
        parts.append(folded("The recipe", listing))
    return join(parts)


def _recorded(name: str, value: Any) -> str:
    if name == "training_seconds":
        unit, length = next(((unit, length) for unit, length in _UNITS if value >= length), ("seconds", 1))
        return f"{value / length:.1f} {unit}"
    if name in ("command", "commit", "trained_at", "manifest") or name.endswith("sha256"):
        return element("code", str(value))
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else str(value)


def _sections(path: str, section: dict[str, Any]) -> list[str]:
    values = [f"{name} = {_value(value)}" for name, value in section.items() if not isinstance(value, dict) and value is not None]
    blocks = ["\n".join([*([f"[{path}]"] if path else []), *values])] if values else []
    for name, value in section.items():
        if isinstance(value, dict):
            blocks += _sections(f"{path}.{name}".lstrip("."), value)
    return blocks


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
