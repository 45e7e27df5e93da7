"""The verb that sends a run's figures to TensorBoard or MLflow."""

from pathlib import Path
from typing import Annotated

import typer


def track(
    run: Annotated[Path, typer.Argument(help="a folder that cross-validate wrote")],
    to: Annotated[str, typer.Option(help="tensorboard or mlflow")],
    out: Annotated[str, typer.Option(help="a folder; for MLflow also a tracking URI, as in http://127.0.0.1:5000")],
) -> None:
    """Send a finished run's figures, limits, curves and settings to TensorBoard or MLflow."""
    from nevus.reports.tracking import track as send

    typer.echo(send(run, to, out))
