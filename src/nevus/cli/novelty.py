"""Verbs about images that are unlike those a run was trained on."""

from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, need_torch, print_json
from nevus.cli.measuring import OtherManifest, RunPath
from nevus.errors import DataError


def novelty(
    run: RunPath,
    images: Annotated[
        list[Path],
        typer.Option(
            help="a folder or manifest of other images; repeatable. A folder's sub-folders hold parts of one photo each"
        ),
    ],
    name: Annotated[list[str] | None, typer.Option(help="what to call them, one for each --images")] = None,
    manifest: OtherManifest = None,
    fold: Annotated[int | None, typer.Option(help="whose model and test images; by default the first")] = None,
    baselines: Annotated[
        bool, typer.Option(help="fit two published scores to the run's training images and measure them too (needs scikit-learn)")
    ] = False,
    num_images: Annotated[int, typer.Option(min=10, help="of each set at most about as many images")] = 500,
    as_json: AsJson = False,
) -> None:
    """Measure whether a run's model tells other images, as of no lesion or another clinic, from those like its own."""
    from nevus.evaluation.novelty import novelty as measure
    from nevus.evaluation.novelty import novelty_table
    from nevus.provenance import provenance

    names = name or [place.stem for place in images]
    if len(names) != len(images) or len(set(names)) != len(names):
        raise DataError(f"--name: {len(images)} places need as many names, all different, not {', '.join(names)}.")
    others = dict(zip(names, images, strict=True))
    if baselines:
        need_torch("sklearn")
    document = measure(
        run, others, manifest=manifest, fold=fold, num_images=num_images, baselines=baselines, provenance=provenance()
    )
    if as_json:
        print_json(document)
    else:
        typer.echo(novelty_table(document))
        typer.echo(f"\n{run / 'novelty.json'}")
