"""The ledger of what was tried for the small model: each change told from what it was tried on, on images that test nothing.

    python experiments/ledger.py experiments/ledger.toml data/ham10000.csv --out runs/ledger

trains what is missing, one run an entry, and writes the table of all that is finished to ledger.md among the runs; it stands in
docs/explanation/experiments.md. `--only NAME` trains one entry, so that several processes can share the work; `--collect` trains
none. The first fold of the recipe's split is put away before anything is split again: it tests the recipe that is chosen in the
end, and chooses nothing.
"""

import argparse
import tomllib
from pathlib import Path
from typing import Any

from nevus.data.manifest import Manifest
from nevus.data.splits import split
from nevus.evaluation.compare import compare
from nevus.evaluation.cross_validate import cross_validate
from nevus.files import write, write_json
from nevus.provenance import provenance
from nevus.recipe import Recipe

FIGURES = ("macro_auc", "balanced_accuracy", "brier")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path, help="what is tried, a table an entry")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--only", action="append", help="train this entry alone; repeatable")
    parser.add_argument("--collect", action="store_true", help="train nothing")
    parser.add_argument("--page", type=Path, help="the table's file; ledger.md in the folder of the runs unless given")
    words = parser.parse_args()
    ledger = tomllib.loads(words.ledger.read_text(encoding="utf-8"))
    recipe = Recipe.read(words.ledger.parent / ledger["recipe"])
    manifest = screening_rows(recipe, Manifest.read(words.manifest), words.out)
    for entry in ledger["entry"]:
        if not words.collect and (not words.only or entry["name"] in words.only):
            train(recipe, manifest, entry, words.out)
    if not words.only:
        rows = [row for entry in ledger["entry"] if (row := found(entry, words.out))]
        write_json(words.out / "ledger.json", {"entries": rows, "provenance": provenance()})
        write(words.page or words.out / "ledger.md", render(rows))


def screening_rows(recipe: Recipe, manifest: Manifest, out: Path) -> Manifest:
    """The manifest without the images that the recipe's own first fold tests, as a file beside the runs."""
    folds = split(manifest, task=recipe.data.task, protocol="strict", num_folds=recipe.data.num_folds, seed=recipe.training.seed)
    tested = set(folds.frame.loc[folds.frame["fold"] == 0, "image_id"])
    kept = manifest.where(~manifest.frame["image_id"].isin(tested))
    path = out / "without-the-first-fold.csv"
    if not path.exists():
        kept.write(path)
    return Manifest.read(path)


def train(recipe: Recipe, manifest: Manifest, entry: dict[str, Any], out: Path) -> None:
    """One fold of an entry's recipe, from its folder where it is finished."""
    if not (out / entry["name"] / "evaluation.json").exists():
        cross_validate(recipe.with_settings(entry.get("settings", [])), manifest, out / entry["name"], only=[0])


def found(entry: dict[str, Any], out: Path) -> dict[str, Any] | None:
    """An entry with the differences to what it was tried on, second minus first; None where one of the two is not finished."""
    paths = [out / name / "predictions.csv" for name in (entry.get("against", "base"), entry["name"])]
    if not all(path.exists() for path in paths):
        return None
    return {**entry, **compare(*paths)}


def render(rows: list[dict[str, Any]]) -> str:
    """The table, and what its differences are of."""
    lines = [
        f"| tried | why | expected | {' | '.join(FIGURES)} |",
        f"|{'---|' * (3 + len(FIGURES))}",
    ]
    for row in rows:
        cells = [_cell(row["differences"].get(name), row["name"] == "base") for name in FIGURES]
        settings = ", ".join(f"`{setting}`" for setting in row.get("settings", []))
        against = f", against {row['against']}" if "against" in row else ""
        lines.append(f"| **{row['name']}**{against} {settings} | {row['why']} | {row['expected']} | {' | '.join(cells)} |")
    num = f"{rows[0]['num_images']:,} images of {rows[0]['num_groups']:,} groups" if rows else "no"
    lines += ["", f"Differences are of {num}, paired, with 95% intervals of 2,000 bootstrap draws of whole groups.", ""]
    return "\n".join(lines)


def _cell(difference: dict[str, Any] | None, is_base: bool) -> str:
    if difference is None:
        return "–"
    if is_base:
        return f"{difference['second']:.3f}"
    interval = "" if difference["low"] is None else f" [{difference['low']:+.3f}, {difference['high']:+.3f}]"
    return f"{difference['second']:.3f} ({difference['value']:+.3f}{interval})"


if __name__ == "__main__":
    main()
