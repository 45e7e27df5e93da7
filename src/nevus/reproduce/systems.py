"""From a row of a paper's table to the recipe that it is trained as."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from nevus.data.splits import PROTOCOLS
from nevus.errors import DataError
from nevus.recipe import Recipe

PAPERS_OWN = "paper"


@dataclass(frozen=True)
class System:
    """A network with its training, as a paper has it.

    `protocol` is the paper's own for it. `smallest` is the smallest input in pixels that reduced budgets give it. `one_pixel`
    says that its attention would see a map of 1×1, so that it must be refused.
    """

    paper: str
    name: str
    protocol: str
    settings: tuple[str, ...]
    smallest: int = 0
    one_pixel: bool = False


@dataclass(frozen=True)
class Budget:
    """How much of a paper's training is run: `settings` over the system's, only `folds` where they are given.

    `smallest` is the input's side in pixels, where it is not the system's own; without `keep_models` the runs leave no weights.
    """

    name: str
    says: str
    settings: tuple[str, ...]
    smallest: int | None = None
    folds: tuple[int, ...] | None = None
    keep_models: bool = True


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("systems.toml").read_text(encoding="utf-8"))


def systems(paper: str) -> dict[str, System]:
    """The systems of a paper by name.

    >>> systems("zoome")["zoome"].protocol
    'paper-zoome'
    """
    document = _document()[paper]
    found = {}
    for name, entry in document["systems"].items():
        regime = document["regimes"][entry.get("regime", "paper")]
        settings = (*document["settings"], *regime["settings"], *entry["settings"])
        one_pixel = entry.get("one_pixel", False)
        found[name] = System(paper, name, regime["protocol"], settings, entry.get("smallest", 0), one_pixel)
    return found


def num_images(paper: str) -> int:
    """How many images the paper's data set has."""
    return int(_document()[paper]["images"])


def assumed(paper: str) -> list[str]:
    """What the paper leaves open and is chosen here."""
    return list(_document()[paper]["assumed"])


def budget(name: str) -> Budget:
    """A budget by name.

    Raises
    ------
    DataError
        There is none; those there are are named.

    Examples
    --------
    >>> budget("smoke").folds
    (0,)
    """
    entries = _document()["budgets"]
    if name not in entries:
        raise DataError(f"--budget {name!r}: expected one of {', '.join(entries)}.")
    entry = entries[name]
    folds = tuple(entry["folds"]) if "folds" in entry else None
    return Budget(name, entry["says"], tuple(entry["settings"]), entry.get("smallest"), folds, entry.get("keep_models", True))


def protocol_of(system: System, name: str) -> str:
    """A protocol that was asked for, "paper" being the system's own.

    Raises
    ------
    DataError
        There is none of that name.
    """
    if name == PAPERS_OWN:
        return system.protocol
    if name not in PROTOCOLS:
        raise DataError(f"--protocol {name!r}: expected one of {', '.join([PAPERS_OWN, *PROTOCOLS])}.")
    return name


def settings_for(system: System, settings: Sequence[str]) -> list[str]:
    """Those of `settings` that are a system's: all that name none, and "name:a.b=c" of its own name.

    >>> settings_for(systems("zoome")["alexnet"], ["training.epochs=3", "alexnet:data.size=64", "zoome:data.size=32"])
    ['training.epochs=3', 'data.size=64']
    """
    found = []
    for setting in settings:
        name, colon, _ = setting.partition("=")[0].partition(":")
        if not colon:
            found.append(setting)
        elif name == system.name:
            found.append(setting.removeprefix(f"{name}:"))
        elif name not in systems(system.paper):
            raise DataError(f"--set {setting}: no system {name!r}. There are {', '.join(systems(system.paper))}.")
    return found


def recipe_of(system: System, protocol: str, budget: Budget, manifest: Path, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of a system under a protocol; its own of `settings` go over everything else.

    Raises
    ------
    DataError
        A setting is of a system that is not there.
    RecipeError
        A setting is not a recipe's.

    Examples
    --------
    >>> recipe = recipe_of(systems("zoome")["resnet50"], "strict", budget("smoke"), Path("manifest.csv"))
    >>> recipe.name, recipe.data.size, recipe.model.backbone, recipe.training.loss.kind
    ('resnet50', 64, 'resnet50', 'focal')
    """
    own = [f"data.protocol={protocol}", f"data.manifest={json.dumps(str(manifest))}"]
    if budget.smallest:
        own.append(f"data.size={max(budget.smallest, system.smallest)}")
    return Recipe(name=system.name).with_settings([*system.settings, *budget.settings, *own, *settings_for(system, settings)])
