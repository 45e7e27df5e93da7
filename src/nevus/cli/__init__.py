"""The command line: each verb parses its words, calls the function of its name, and prints.

With --json one document goes to standard output and nothing else; everything for people goes to standard error. Nothing heavy
is imported before a verb needs it, and only of the verb that is called is a parser made: typer takes longer for all of them than
a photo takes to answer.
"""

import logging
import sys
from importlib import import_module
from typing import Annotated

import typer

# Each verb's module and function, or group of verbs, in the order of the help.
VERBS = {
    "prepare": "data.prepare",
    "split": "data.split",
    "pack": "data.pack",
    "audit": "audit.audit",
    "fit": "training.fit",
    "cross-validate": "training.cross_validate",
    "refit": "training.refit",
    "baselines": "training.baselines",
    "evaluate": "results.evaluate",
    "compare": "results.compare",
    "ensemble": "ensemble.ensemble",
    "recalibrate": "recalibrate.recalibrate",
    "report": "results.report",
    "robustness": "measuring.robustness",
    "novelty": "novelty.novelty",
    "views": "views.views",
    "track": "tracking.track",
    "predict": "predicting.predict",
    "export": "exporting.export",
    "write-submission": "submission.write_submission",
    "networks": "networks.networks",
    "check-paper": "papers.check_paper",
    "reproduce": "papers.reproduce",
    "demo": "demo.demo",
    "data": "data.sources",
    "bundle": "bundle.bundles",
}


def create_app(verb: str | None = None) -> typer.Typer:
    """The command line with this verb, or with all of them where it is none of `VERBS`.

    >>> [command.name for command in create_app("predict").registered_commands]
    ['predict']
    """
    app = typer.Typer(
        help="Classify skin lesions from a dermoscopy image, age, sex and body site, and measure honestly how well. "
        "A research tool: not a medical device, not for diagnosis.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_options)
    for name in (verb,) if verb in VERBS else VERBS:
        module, _, attribute = VERBS[name].rpartition(".")
        found = getattr(import_module(f"nevus.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def run() -> None:
    """Run the command line's words."""
    create_app(sys.argv[1] if len(sys.argv) > 1 else None)()


def _options(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    logging.basicConfig(stream=sys.stderr, format="nevus: %(message)s", level=logging.WARNING)
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("nevus"))
        raise typer.Exit
