"""What each part of a fine-tuned system is worth: the whole network trained with it and without, paired on the same images.

Every system is a run like any other, in a folder of `--out`: the full one and each without one of the parts that are named, or
with `--all` every combination of them.

    python experiments/fine_tuned.py experiments/effects-ham10000.toml data/ham10000.csv --factor metadata --out runs/effects

leaves effects.json and effects.md beside the runs. What is finished is kept: run again after an interruption, it goes on.
"""

import argparse
import itertools
from pathlib import Path

from effects import render, summarise
from nevus.data.manifest import Manifest
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.predictions import Predictions
from nevus.files import write, write_json
from nevus.provenance import provenance
from nevus.recipe import Recipe

# Each factor, and the recipe's settings without it.
FACTORS = {
    "attention": ("model.attention.kind=none",),
    "metadata": ("model.fusion.kind=none", "data.metadata=[]"),
    "weighted loss": ("training.loss.kind=cross_entropy",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="the full system")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--factor", action="append", required=True, choices=sorted(FACTORS), dest="factors")
    parser.add_argument("--all", action="store_true", help="every combination, not only the full system without one part")
    parser.add_argument("--only", type=int, action="append", help="test this fold only; repeatable")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="change one setting; repeatable")
    words = parser.parse_args()
    recipe, manifest = Recipe.read(words.recipe, words.set), Manifest.read(words.manifest)
    tables = {name_of(kept): answers(recipe, manifest, kept, words) for kept in combinations(words.factors, every=words.all)}
    document = summarise(tables, words.factors)
    origin = {"provenance": provenance(), "manifest_sha256": manifest.sha256, "recipe": recipe.model_dump(mode="json")}
    write_json(words.out / "effects.json", {**document, **origin})
    page = render(document["protocol"], document)
    write(words.out / "effects.md", page + "\n")
    print(page)


def combinations(factors: list[str], *, every: bool) -> list[tuple[str, ...]]:
    """The factors that each system has, the full system first.

    >>> combinations(["a", "b"], every=False)
    [('a', 'b'), ('b',), ('a',)]
    """
    if every:
        there = itertools.product((1, 0), repeat=len(factors))
        return [tuple(itertools.compress(factors, chosen)) for chosen in there]
    return [tuple(factors), *(tuple(other for other in factors if other != factor) for factor in factors)]


def name_of(kept: tuple[str, ...]) -> str:
    """The factors that a system has, as `effects` names it."""
    return " + ".join(kept) or "none"


def answers(recipe: Recipe, manifest: Manifest, kept: tuple[str, ...], words: argparse.Namespace) -> Predictions:
    """The out-of-fold answers of one system, from its folder where they are finished."""
    folder = words.out / name_of(kept).replace(" + ", "+").replace(" ", "-")
    if not (folder / "evaluation.json").exists():
        settings = [setting for factor in words.factors if factor not in kept for setting in FACTORS[factor]]
        cross_validate(recipe.with_settings(settings), manifest, folder, only=words.only)
    return Predictions.read(folder / "predictions.csv")


if __name__ == "__main__":
    main()
