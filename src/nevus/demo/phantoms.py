"""Both systems on phantom lesions, each under its paper's protocol and under the strict one, side by side in one report."""

import sys
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.data.splits import label
from nevus.evaluation.cross_validate import cross_validate
from nevus.recipe import Recipe
from nevus.reports.page import write_report

NUM_LESIONS = 240
# Each system under the strict protocol and under the one of its own paper.
RUNS = (
    ("zoome", "strict"),
    ("zoome", "paper-zoome"),
    ("soft-attention", "strict"),
    ("soft-attention", "paper-2022"),
)
_SHOWN = ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity")


def demo_phantoms(out: Path) -> Path:
    """Generate the phantoms, run both systems under both protocols, print the figures and return the report's path.

    What is finished in `out` is kept: run again after an interruption, it goes on.
    """
    started = time.monotonic()
    manifest = Manifest.read(write_phantoms(out / "phantoms", num_lesions=NUM_LESIONS))
    folders, rows = [], []
    for system, protocol in RUNS:
        folder = out / f"{system}-{protocol}"
        document = cross_validate(demo_recipe(system, protocol, manifest), manifest, folder)
        folders.append(folder)
        rows.append((system, protocol, document))
    page = write_report(folders, out / "report.html", title="nevus demo: two systems on phantom lesions")
    print(_table(rows))
    print("Phantoms are drawings: these figures say that the program works, and nothing about patients.")
    print(f"{time.monotonic() - started:.0f} s. Report: {page}", file=sys.stderr)
    return page


def demo_recipe(system: str, protocol: str, manifest: Manifest) -> Recipe:
    """The recipe of one demo run; `system` is "zoome" or "soft-attention"."""
    with as_file(files("nevus.demo") / f"{system}.toml") as path:
        recipe = Recipe.read(path)
    return recipe.with_settings([f'data.protocol="{protocol}"', f'data.manifest="{manifest.path}"'])


def _table(rows: list[tuple[str, str, dict[str, Any]]]) -> str:
    """One block a system: the strict figures with their intervals beside the paper's protocol, as fold mean ± deviation too."""
    lines = []
    for system in dict.fromkeys(system for system, _, _ in rows):
        runs = [(protocol, document) for name, protocol, document in rows if name == system]
        lines += [f"\n{system}", f"  {'':20}" + "".join(f"{label(protocol):44}" for protocol, _ in runs)]
        for metric in _SHOWN:
            if metric in runs[0][1]["metrics"]:
                lines.append(f"  {metric:20}" + "".join(f"{_cell(document['metrics'][metric]):44}" for _, document in runs))
    return "\n".join(lines)


def _cell(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"– ({figure['reason']})"
    interval = f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" if figure["low"] is not None else "–"
    spread = f"folds {figure['fold_mean']:.3f} ± {figure['fold_sd']:.3f}" if figure["fold_sd"] is not None else "one split"
    return f"{interval}  {spread}"
