"""Verbs about the two papers."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nevus.cli.arguments import AsJson, Settings, need_torch, print_json
from nevus.errors import DataError

if TYPE_CHECKING:
    from nevus.metrics.feasibility import Verdict

_FIGURES = ("accuracy", "sensitivity", "specificity")


def check_paper(
    paper: Annotated[str | None, typer.Argument(help="zoome or soft-attention: check its own tables")] = None,
    accuracy: Annotated[str | None, typer.Option(help="as it is printed: 84.59% or 0.8459")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="as it is printed")] = None,
    specificity: Annotated[str | None, typer.Option(help="as it is printed")] = None,
    prevalence: Annotated[str | None, typer.Option(help="the share of positive images, as it is printed")] = None,
    n: Annotated[int | None, typer.Option("--n", help="the number of test images")] = None,
    positives: Annotated[int | None, typer.Option(help="how many of them are positive")] = None,
    folds: Annotated[int, typer.Option(min=1, help="above 1: the figures are means over so many stratified folds")] = 1,
    rounding: Annotated[str, typer.Option(help="nearest, or down where digits were cut off")] = "nearest",
    as_json: AsJson = False,
) -> None:
    """Say whether a confusion matrix can exist with the accuracy, sensitivity and specificity that a paper reports.

    The exit code is 1 where one cannot.
    """
    from nevus.metrics.feasibility import ROUNDINGS, Reported, check_binary

    if rounding not in ROUNDINGS:
        raise DataError(f"--rounding {rounding!r}: expected one of {', '.join(ROUNDINGS)}.")
    given = dict(zip(_FIGURES, (accuracy, sensitivity, specificity), strict=True))
    assumed: list[str] = []
    if paper:
        if any(given.values()) or prevalence or n or positives or folds > 1:
            raise DataError(f"the figures of {paper} are its own. Give a paper's name, or figures.")
        verdicts, assumed = _published_verdicts(paper, rounding)
    else:
        if missing := [f"--{name}" for name, text in given.items() if text is None]:
            raise DataError(f"{', '.join(missing)}: not given. Give all three figures, or the name of a paper.")
        figures = [Reported.read(text or "", f"--{name}", rounding) for name, text in given.items()]
        share = Reported.read(prevalence, "--prevalence", rounding) if prevalence else None
        one = check_binary(*figures, num_images=n, num_positive=positives, prevalence=share, num_folds=folds)
        verdicts = {"": one}
    if as_json:
        print_json([{"row": name, **asdict(verdict)} for name, verdict in verdicts.items()])
    else:
        for line in assumed:
            typer.echo(line)
        for name, verdict in verdicts.items():
            typer.echo(f"{name}{': ' if name else ''}{'possible' if verdict.possible else 'IMPOSSIBLE'}: {verdict.reason}.")
    if not all(verdict.possible for verdict in verdicts.values()):
        raise typer.Exit(1)


def reproduce(
    paper: Annotated[str, typer.Argument(help="zoome or soft-attention")],
    out: Annotated[Path, typer.Option(help="folder for the tables and the runs; the same command goes on where it was stopped")],
    data: Annotated[Path | None, typer.Option(metavar="MANIFEST", help="the manifest of the paper's images")] = None,
    rows: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help='a table, row or system, as in "Table 9" or zoome*; repeatable')
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help='a protocol, "paper" for each row\'s own; repeatable [paper and strict]'),
    ] = None,
    budget: Annotated[
        str, typer.Option(help="full, cpu (three epochs on small images), or smoke (drawings: does it run?)")
    ] = "full",
    settings: Settings = None,
    workers: Annotated[int, typer.Option(min=1, help="how many rows run at a time")] = 1,
    ray: Annotated[
        bool, typer.Option("--ray", help="run the rows on the Ray cluster of RAY_ADDRESS, or on one started here")
    ] = False,
) -> None:
    """Run what is missing of a paper's published rows, and print ours beside theirs.

    The exit code is 1 where a row failed; a row whose network must be refused says so and is no failure.
    """
    need_torch()
    from nevus.reproduce.reproduce import reproduce as run

    paths, well = run(
        paper,
        out,
        data=data,
        rows=rows or (),
        protocols=protocol or (),
        budget_name=budget,
        settings=settings or (),
        num_workers=workers,
        runner="ray" if ray else "processes",
    )
    for path in paths:
        typer.echo(path)
    if not well:
        raise typer.Exit(1)


def _published_verdicts(paper: str, rounding: str) -> "tuple[dict[str, Verdict], list[str]]":
    """The verdict on each row, or on each figure that others fix, and what is taken for granted."""
    from nevus.metrics.feasibility import Reported, check_binary
    from nevus.reproduce.consistency import consistency
    from nevus.reproduce.published import published

    tables = published(paper)
    if paper == "soft-attention":
        return consistency(), ["Figures are taken as rounded to two digits, σ as cut off after three, as all of them are."]
    verdicts = {
        f"{table.name}, {name}": check_binary(
            *(Reported.read(row[figure][0], figure, rounding) for figure in _FIGURES),
            num_images=table.num_images,
            num_positive=table.num_positive,
            num_folds=table.num_folds or 1,
        )
        for table in tables
        for name, row in table.rows.items()
    }
    assumed = [
        f"{table.name}, {table.title}: {table.num_images:,} images, {table.num_positive:,} of them positive; taken as means over "
        f"{table.num_folds} stratified folds"
        for table in tables
    ]
    return verdicts, assumed
