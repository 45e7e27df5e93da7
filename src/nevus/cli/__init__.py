"""The command line: each verb parses its words, calls the function of its name, and prints.

With --json one document goes to standard output and nothing else; everything for people goes to standard error. Nothing heavy
is imported before a verb needs it.
"""

import logging
import sys
from typing import Annotated

import typer

from nevus.cli import data, measuring, papers, predicting, results, training
from nevus.cli.audit import audit
from nevus.cli.bundle import bundles
from nevus.cli.ensemble import ensemble
from nevus.cli.exporting import export
from nevus.cli.networks import networks
from nevus.cli.novelty import novelty
from nevus.cli.recalibrate import recalibrate
from nevus.cli.submission import write_submission
from nevus.cli.tracking import track
from nevus.cli.views import views

app = typer.Typer(
    help="Classify skin lesions from a dermoscopy image, age, sex and body site, and measure honestly how well. "
    "A research tool: not a medical device, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(data.prepare)
app.command()(data.split)
app.command()(data.pack)
app.command()(audit)
app.command()(training.fit)
app.command("cross-validate")(training.cross_validate)
app.command()(training.refit)
app.command()(training.baselines)
app.command()(results.evaluate)
app.command()(results.compare)
app.command()(ensemble)
app.command()(recalibrate)
app.command()(results.report)
app.command()(measuring.robustness)
app.command()(novelty)
app.command()(views)
app.command()(track)
app.command()(predicting.predict)
app.command()(export)
app.command("write-submission")(write_submission)
app.command()(networks)
app.command("check-paper")(papers.check_paper)
app.command()(papers.reproduce)
app.command()(training.demo)
app.add_typer(data.sources, name="data")
app.add_typer(bundles, name="bundle")


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    logging.basicConfig(stream=sys.stderr, format="nevus: %(message)s", level=logging.WARNING)
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("nevus"))
        raise typer.Exit
