"""The verb that makes predictions mean what they say in the clinic in question."""

from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, Prevalence, print_json, read_prevalence


def recalibrate(
    predictions: Annotated[Path, typer.Argument(help="a predictions.csv with validation rows, of nevus or any other program")],
    out: Annotated[Path, typer.Option(help="the predictions file to write")],
    method: Annotated[str | None, typer.Option(help="temperature, vector or isotonic scaling, fitted on validation rows")] = None,
    prevalence: Prevalence = None,
    prior: Annotated[
        str, typer.Option(help="shares that the probabilities belong to: validation, or equal for a logit-adjusted network's")
    ] = "validation",
    as_json: AsJson = False,
) -> None:
    """Scale probabilities as the validation rows say, and move them to your clinic's shares of the classes."""
    from nevus.evaluation.recalibrate import recalibrate as recalibrate_predictions
    from nevus.evaluation.recalibrate import recalibration_table

    result = recalibrate_predictions(predictions, method=method, prevalence=read_prevalence(prevalence), prior=prior)
    result.predictions.write(out)
    if as_json:
        print_json(result.document)
    else:
        typer.echo(recalibration_table(result))
