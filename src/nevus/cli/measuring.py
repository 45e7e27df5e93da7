"""Verbs that test a finished run again under other conditions."""

from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, print_json

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a folder that cross-validate wrote, with its folds' bundles")]
OtherManifest = Annotated[Path | None, typer.Option("--manifest", help="where the images are; by default the one the run names")]


def robustness(
    run: RunPath,
    manifest: OtherManifest = None,
    kinds: Annotated[list[str] | None, typer.Option("--kind", help="only this change of the images; repeatable")] = None,
    severities: Annotated[list[int] | None, typer.Option("--severity", help="only this one, 1 to 5; repeatable")] = None,
    images: Annotated[int, typer.Option(min=10, help="test about as many images, whole lesions or patients; all if more")] = 500,
    image_only: Annotated[
        Path | None, typer.Option(help="a run of the same recipe and folds without metadata, to compare with")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test a run again with hair, ink, blur and more on its images, and with metadata missing or wrong; it resumes."""
    from nevus.data.artefacts import ARTEFACTS
    from nevus.evaluation.robustness import SEVERITIES, robustness_table
    from nevus.evaluation.robustness import robustness as measure
    from nevus.provenance import provenance

    document = measure(
        run,
        manifest=manifest,
        kinds=kinds or tuple(ARTEFACTS),
        severities=severities or SEVERITIES,
        num_images=images,
        image_only=image_only,
        provenance=provenance(),
    )
    if as_json:
        print_json(document)
    else:
        typer.echo(robustness_table(document))
        typer.echo(f"\n{run / 'robustness.json'}")
