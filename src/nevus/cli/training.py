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


def refit(
    run: Annotated[Path, typer.Argument(help="a folder that cross-validate finished, all folds of it")],
    out: Annotated[Path, typer.Option(help="folder for the checkpoints, the log and the bundle")],
    manifest: Annotated[Path | None, typer.Option(help="the run's manifest; by default the one it names")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a cross-validated recipe on all of its rows; thresholds and limits come from the run's out-of-fold answers."""
    need_torch()
    from nevus.evaluation.refit import refit as run_again
    from nevus.reports.model_card import model_card
    from nevus.reports.run import Run

    bundle = run_again(run, out, manifest=manifest, account=model_card(Run.read(run)))
    if as_json:
        print_json({"bundle": str(bundle.path), "operating_point": bundle.document["operating_point"]})
    else:
        typer.echo(bundle.path)


def baselines(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option(help="the folder of the runs, one a model; the same command goes on where it was stopped")],
    manifest: ManifestPath = None,
    settings: Settings = None,
    what: Annotated[str, typer.Option("--inputs", help="metadata, image or both; metadata needs no image at all")] = "both",
    models: Annotated[list[str] | None, typer.Option(help="only this classifier; repeatable")] = None,
    class_weights: Annotated[str, typer.Option(help="none, or balanced: answer at equal shares of the classes")] = "none",
    folds: Annotated[Path | None, typer.Option(help="use this folds.csv instead of splitting anew")] = None,
    as_json: AsJson = False,
) -> None:
    """Cross-validate what is simpler: metadata alone, and classical classifiers on the features of a frozen backbone."""
    chosen, rows = inputs(recipe, manifest, settings, without_images=what == "metadata")
    need_torch("sklearn")
    from nevus.evaluation.baselines import baselines as run
    from nevus.evaluation.baselines import baselines_table
    from nevus.training.estimators import ESTIMATORS

    documents = run(
        chosen,
        rows,
        out,
        inputs=what,
        models=models or tuple(ESTIMATORS),
        class_weights=class_weights,
        folds=folds,
        say=lambda text: print(text, file=sys.stderr),
    )
    if as_json:
        print_json(documents)
    else:
        typer.echo(baselines_table(documents))
