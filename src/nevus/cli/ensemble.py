"""The verb that makes one answer of several models'."""

from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, print_json


def ensemble(
    files: Annotated[list[Path], typer.Argument(metavar="PREDICTIONS", help="predictions files about the same images and folds")],
    out: Annotated[Path, typer.Option(help="the predictions file to write, for evaluate and compare")],
    how: Annotated[
        str, typer.Option(help="mean of probabilities, rank_mean, or weighted: weights fitted on each fold's validation rows")
    ] = "mean",
    runs: Annotated[
        list[Path] | None,
        typer.Option("--run", help="a run folder a file, in the files' order, to measure the cost; by default each file's own"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Combine several models' predictions of the same images into one file, and say what it costs in milliseconds."""
    from nevus.evaluation.ensemble import ensemble as combine
    from nevus.evaluation.ensemble import ensemble_table
    from nevus.provenance import provenance

    result = combine(files, how=how, runs=runs, provenance=provenance())
    result.predictions.write(out)
    if as_json:
        print_json(result.document)
    else:
        typer.echo(ensemble_table(result.document))
