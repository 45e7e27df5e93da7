"""Words that several verbs share, and what is made of them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nevus.errors import DataError, NevusError, RecipeError

if TYPE_CHECKING:
    from nevus.data.manifest import Manifest
    from nevus.recipe import Recipe

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="a recipe's .toml file")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="change one setting of the recipe; repeatable")
]
ManifestPath = Annotated[Path | None, typer.Option("--manifest", help="the manifest; instead of the recipe's data.manifest")]
Prevalence = Annotated[
    list[str] | None,
    typer.Option(
        "--prevalence", metavar="CLASS=SHARE", help="a class's share where the model is used, as in mel=0.02; repeatable"
    ),
]
Deciding = Annotated[
    str,
    typer.Option(
        "--decisions", help="likeliest, or balanced: the largest probability for the class's share of what a fold does not test"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document on standard output")]


def inputs(
    path: Path, manifest: Path | None, settings: list[str] | None, *, without_images: bool = False
) -> "tuple[Recipe, Manifest]":
    """The recipe with its settings, and the manifest it names or that was given."""
    from nevus.recipe import Recipe

    recipe = Recipe.read(path, settings or ())
    given = str(manifest or recipe.data.manifest)
    if not given:
        raise RecipeError(f"{path}: names no data.manifest. Give --manifest, as `nevus prepare` writes one.")
    return recipe.with_settings([f"data.manifest={json.dumps(given)}"]), read_manifest(Path(given), without_images=without_images)


def read_manifest(path: Path, *, without_images: bool = False) -> "Manifest":
    """The manifest at a path; rows without an image are refused unless they were asked for."""
    from nevus.data.manifest import Manifest

    return Manifest.read(path, without_images=without_images)


def read_prevalence(words: list[str] | None) -> dict[str, float]:
    """Shares by class from CLASS=SHARE; whether they can be is for the receiver to say."""
    stated: dict[str, float] = {}
    for text in words or ():
        name, _, share = text.partition("=")
        try:
            stated[name.strip()] = float(share)
        except ValueError:
            raise DataError(f"--prevalence {text}: expected CLASS=SHARE, as in mel=0.02 for 2% melanoma.") from None
    return stated


def need_torch(*others: str) -> None:
    """Raise where what training needs is not installed."""
    from importlib.util import find_spec

    if missing := [name for name in ("torch", "timm", "accelerate", "onnx", *others) if find_spec(name) is None]:
        raise NevusError(f"training needs {', '.join(missing)}. Install them with: pip install 'nevus[train]'")


def checked(build: Any) -> Any:
    """Build a section of a recipe from the command line's words; what is wrong is said as a recipe's error is."""
    from pydantic import ValidationError

    try:
        return build()
    except ValidationError as error:
        raise DataError("; ".join(f"--{p['loc'][0]}: {p['msg']}, not {p['input']!r}" for p in error.errors())) from error


def print_json(document: Any) -> None:
    """The one document of --json."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False))
