"""The verb that looks for leaks."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nevus.cli.arguments import AsJson, Settings, inputs, need_torch, print_json
from nevus.errors import DataError

if TYPE_CHECKING:
    from nevus.data.manifest import Manifest


def audit(
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST [OTHER]...", help="one manifest, or several together")],
    folds: Annotated[Path | None, typer.Option(help="a folds.csv: is anything in two folds? If so the exit code is 1")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="a predictions.csv: how difficult is what a clean-up would remove")
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(help="a raw table of these images: do columns betray the answer? Repeatable"),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="write a page with pictures here")] = None,
    join: Annotated[Path | None, typer.Option(help="write the manifest here, copies joined in their groups")] = None,
    without: Annotated[
        Path | None,
        typer.Option("--apart", help="write the first manifest here, without the groups that another one has a photo of"),
    ] = None,
    inject: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="the leak experiment instead: train with and without the leak")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="with --inject: how many pairs of networks")] = 1,
    out: Annotated[Path | None, typer.Option(help="with --inject: the experiment's folder")] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Find copies, leaks over folds, columns that betray the answer, and artefacts that go with a class."""
    if inject:
        _inject(manifests, inject, out, repeats, settings, as_json)
        return
    if out or settings:
        raise DataError("--out and --set belong to --inject. For files of the audit give --page, --join, --apart or --json.")
    if join and len(manifests) > 1:
        raise DataError(f"--join {join}: joins the copies of one manifest; {len(manifests)} are given. Audit each on its own.")
    if without and len(manifests) < 2:
        raise DataError(
            f"--apart {without}: parts one manifest from others; one is given. Give those that it is to be apart from."
        )
    from nevus.data.audit import apart, num_crossing, read_audited
    from nevus.data.audit import audit as audit_manifests
    from nevus.progress import CountProgress

    read = [read_audited(path) for path in manifests]
    with CountProgress("reading", "images") as progress:
        document = audit_manifests(read, folds=folds, predictions=predictions, tables=table or (), progress=progress)
    if join:
        _join(read[0], document, join)
    if without:
        apart(read[0], document).write(without)
    if page:
        from nevus.reports.audit_page import write_audit_page

        write_audit_page(document, read, page)
    if as_json:
        print_json(document)
    else:
        typer.echo(_summary(document, [path for path in (page, join, without) if path]))
    if num_crossing(document):
        raise typer.Exit(1)


def _join(manifest: "Manifest", document: dict[str, Any], path: Path) -> None:
    """Groups over the copies that the audit found; with one manifest its names are the image ids."""
    links = [(first, second) for first, second in document["exact_duplicates"]]
    links += [(first, second) for first, second, _ in document["near_duplicates"]]
    manifest.joined(links).write(path)


def _inject(
    manifests: list[Path], recipe: Path, out: Path | None, repeats: int, settings: list[str] | None, as_json: bool
) -> None:
    if len(manifests) != 1 or out is None:
        raise DataError("--inject needs one manifest and --out, the experiment's folder.")
    chosen, rows = inputs(recipe, manifests[0], settings)
    need_torch()
    from nevus.evaluation.leak import inject as run
    from nevus.evaluation.leak import leak_table

    document = run(chosen, rows, out, num_repeats=repeats, say=lambda text: print(text, file=sys.stderr))
    if as_json:
        print_json(document)
    else:
        typer.echo(leak_table(document))


def _summary(document: dict[str, Any], written: Sequence[Path]) -> str:
    counts = document["counts"]
    lines = [
        f"{counts['num_readable']} of {counts['num_images']} images read, {counts['num_groups']} groups",
        f"copies: {counts['num_exact_pairs']} pairs of equal files, {counts['num_near_pairs']} near-duplicate pairs",
        *(f"  {first} = {second}" for first, second in document["exact_duplicates"][:10]),
        *(f"  {first} ~ {second}  {score:.3f}" for first, second, score in document["near_duplicates"][:10]),
    ]
    if across := document["across"]:
        lines.append(
            f"in two data sets: {len(across)} pairs; what has been trained on one must not be tested on the other: --apart"
        )
        lines += [f"  {first} and {second}" for first, second in across[:10]]
    if counts["num_with_fold"]:
        spans = ", ".join(f"{kind} {number}" for kind, number in counts["num_crossing"].items())
        lines.append(f"in two folds: {spans}")
    lines += [f"column {column['column']}: {column['reason']}" for column in document["columns"]]
    lines += [f"not read {name}: {reason}" for name, reason in document["unreadable"][:10]]
    lines += [f"written: {path}" for path in written]
    return "\n".join(lines)
