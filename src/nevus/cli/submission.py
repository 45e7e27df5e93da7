"""The verb that writes a challenge's submission."""

from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import Deciding


def write_submission(
    predictions: Annotated[Path, typer.Argument(help="a predictions.csv")],
    layout: Annotated[str, typer.Option(help="isic2018, isic2019, isic2020 or isic2024")],
    out: Annotated[Path, typer.Option(help="the CSV to write")],
    decisions: Deciding = "likeliest",
) -> None:
    """Write the test rows of predictions in the layout that an ISIC challenge takes."""
    from nevus.evaluation.submission import write_submission as write_rows

    typer.echo("\n".join(write_rows(predictions, out, layout, decisions)))
