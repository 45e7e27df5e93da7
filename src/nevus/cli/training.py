"""Verbs that train."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, ManifestPath, RecipePath, Settings, inputs, need_torch, print_json


def fit(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="folder for the checkpoints, the log and the bundle")],
    manifest: ManifestPath = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Train one model on all rows but a validation share, and write its bundle."""
    chosen, rows = inputs(recipe, manifest, settings)
    need_torch()
    from nevus.training.fit import fit as fit_recipe
    from nevus.training.processes import is_main

    bundle = fit_recipe(chosen, rows, out)
    if not is_main():
        return
    if as_json:
        print_json({"bundle": str(bundle.path), "operating_point": bundle.document["operating_point"]})
    else:
        typer.echo(bundle.path)


def cross_validate(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="the run's folder; the same command goes on where it was stopped")],
    manifest: ManifestPath = None,
    settings: Settings = None,
    folds: Annotated[Path | None, typer.Option(help="use this folds.csv instead of splitting anew")] = None,
    only: Annotated[list[int] | None, typer.Option(help="run only this fold; repeatable")] = None,
    as_json: AsJson = False,
) -> None:
    """Train and test every fold of a recipe's protocol; write predictions, evaluation and report."""
    chosen, rows = inputs(recipe, manifest, settings)
    need_torch()
    from nevus.evaluation.cross_validate import cross_validate as run
    from nevus.evaluation.evaluate import evaluation_table
    from nevus.reports.page import write_report
    from nevus.training.processes import is_main

    document = run(chosen, rows, out, only=only, folds=folds)
    if not is_main():
        return
    page = write_report([out], out / "report.html")
    if as_json:
        print_json(document)
    else:
        typer.echo(evaluation_table(document))
        typer.echo(f"\n{page}")


def demo(
    out: Annotated[Path, typer.Option(help="folder for the phantoms, the runs and report.html")] = Path("demo"),
    open_page: Annotated[bool | None, typer.Option("--open/--no-open", help="open the report in a browser")] = None,
) -> None:
    """Train and cross-validate both systems on phantom lesions, under their papers' protocols and the strict one."""
    need_torch()
    from nevus.demo import demo as run_demo

    page = run_demo(out)
    if open_page if open_page is not None else sys.stdout.isatty():
        typer.launch(page.resolve().as_uri())
