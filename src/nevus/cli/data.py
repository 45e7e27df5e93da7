"""Verbs about images and what is known of them: download, prepare, split, pack, audit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nevus.cli.arguments import AsJson, checked, print_json, read_manifest

if TYPE_CHECKING:
    from nevus.data.download import Plan

sources = typer.Typer(help="Get public data sets.", no_args_is_help=True, rich_markup_mode=None)


def prepare(
    source: Annotated[str, typer.Option(help="ham10000, isic2020, isic2018, isic2019, isic-archive or folders")],
    out: Annotated[Path, typer.Option(help="the manifest to write, .csv or .parquet")],
    images: Annotated[
        list[Path] | None, typer.Option(help="folder of the images, searched with its subfolders; repeatable")
    ] = None,
    metadata: Annotated[Path | None, typer.Option(help="the source's table")] = None,
    lesions: Annotated[Path | None, typer.Option(help="isic2020: a table image_name,lesion_id that names duplicates")] = None,
    missing: Annotated[str, typer.Option(help="rows without an image file: error, drop, or keep for metadata alone")] = "error",
    join_copies: Annotated[
        bool, typer.Option("--join-copies/--keep-copies", help="read every image and join near-duplicates in one group")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write the manifest of a data set: one row an image, checked, copies of a photograph in one group."""
    from nevus.data.audit import near_duplicate_links
    from nevus.data.sources import prepare as prepare_source
    from nevus.progress import CountProgress

    manifest = prepare_source(source, images=images or [], metadata=metadata, lesions=lesions, missing=missing)
    links: list[tuple[str, str]] = []
    if join_copies:
        with CountProgress("looking for copies", "images") as progress:
            links = near_duplicate_links(manifest.where(manifest.frame["path"] != ""), progress=progress)
        manifest = manifest.joined(links)
    manifest.write(out)
    frame = manifest.frame
    summary = {
        "manifest": str(out),
        "num_images": len(frame),
        "num_groups": int(frame["group_id"].nunique()),
        "diagnoses": {str(name): int(count) for name, count in frame["diagnosis"].value_counts().items()},
        "num_malignant": int((frame["target"] == 1).sum()),
        "copies": [list(pair) for pair in links],
    }
    if as_json:
        print_json(summary)
    else:
        counts = ", ".join(f"{name or 'unknown'} {count}" for name, count in summary["diagnoses"].items())  # type: ignore[attr-defined]
        typer.echo(
            f"{out}: {len(frame)} images in {summary['num_groups']} groups, {summary['num_malignant']} malignant; {counts}"
        )
        if links:
            typer.echo(f"{len(links)} pairs are copies of one photograph and share a group; nevus audit {out} shows them")


def split(
    manifest: Annotated[Path, typer.Argument(help="the manifest")],
    out: Annotated[Path, typer.Option(help="the folds.csv to write")],
    task: Annotated[str, typer.Option(help="diagnosis or malignant")] = "diagnosis",
    protocol: Annotated[str, typer.Option(help="strict, paper-zoome, paper-2022 or paper-datta")] = "strict",
    num_folds: Annotated[int, typer.Option("--folds", help="2 to 20")] = 5,
    seed: Annotated[int, typer.Option(help="another seed, another split")] = 0,
    as_json: AsJson = False,
) -> None:
    """Assign every image of a manifest to a fold, under a named protocol."""
    from nevus.data.splits import label
    from nevus.data.splits import split as split_manifest
    from nevus.recipe import DataRecipe

    data = checked(lambda: DataRecipe.model_validate({"task": task, "protocol": protocol, "num_folds": num_folds}))
    selected, _, _ = read_manifest(manifest).for_task(data.task)
    folds = split_manifest(selected, task=data.task, protocol=data.protocol, num_folds=data.num_folds, seed=seed)
    folds.write(out)
    sizes = folds.frame["fold"].value_counts().sort_index()
    if as_json:
        num_images = {str(fold): int(size) for fold, size in sizes.items()}
        print_json({"folds": str(out), "protocol": data.protocol, "num_images": num_images})
        return
    counts = ", ".join(f"{'never tested' if fold == -1 else f'fold {fold}'}: {count}" for fold, count in sizes.items())
    typer.echo(f"{out}: {label(data.protocol)}, {counts}")


def pack(
    manifest: Annotated[Path, typer.Argument(help="the manifest")],
    recipe: Annotated[Path | None, typer.Option(help="pack for this recipe's sizes and crops")] = None,
    size: Annotated[int, typer.Option(min=16, max=1024, help="pack for a network's input of this many pixels a side")] = 224,
    unreadable: Annotated[str, typer.Option(help="images that cannot be read: refuse or skip")] = "refuse",
    folder: Annotated[Path | None, typer.Option(help="where packs are kept, instead of the cache folder")] = None,
    as_json: AsJson = False,
) -> None:
    """Decode every image once into one file that training maps into memory; training does the same by itself."""
    from nevus.data.images import pack_side
    from nevus.data.masks import input_paths
    from nevus.data.pack import pack_images
    from nevus.progress import CountProgress
    from nevus.recipe import DataRecipe, Recipe

    policy = checked(lambda: DataRecipe.model_validate({"unreadable": unreadable})).unreadable
    rows = read_manifest(manifest)
    data = Recipe.read(recipe).data if recipe else DataRecipe(size=size)
    short_side, paths = pack_side(data.side), input_paths(data, rows.paths(), rows.frame["image_id"].tolist())

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    with CountProgress("packing", "images") as progress:
        packed = pack_images(paths, short_side, folder, progress, unreadable=policy, say=say)
    ids = rows.frame["image_id"].tolist()
    document = {
        "pack": str(packed.path),
        "short_side": short_side,
        "num_images": len(packed) - len(packed.problems),
        "num_bytes": packed.path.stat().st_size,
        "unreadable": [[ids[row], reason] for row, reason in sorted(packed.problems.items())],
    }
    if as_json:
        print_json(document)
        return
    typer.echo(f"{packed.path}: {document['num_images']} images, shorter side {short_side}, {packed.path.stat().st_size:,} bytes")
    for row, reason in sorted(packed.problems.items()):
        typer.echo(f"left out {ids[row]}: {reason}", err=True)


@sources.command()
def download(
    source: Annotated[str, typer.Argument(help="ham10000, isic2018, isic2019, isic2020, isic2024, pad-ufes-20 or derm7pt")],
    out: Annotated[Path, typer.Option(help="the folder to fill; the same command goes on where it was stopped")],
    license_names: Annotated[
        list[str] | None, typer.Option("--license", help="only images under this licence: CC-0, CC-BY or CC-BY-NC; repeatable")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="a folder with images that need not be fetched again; repeatable")
    ] = None,
    max_images: Annotated[int | None, typer.Option(min=1, help="fetch this many images only")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before fetching")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a data set from its publisher: size, licence and citation first, then every file, checked."""
    from nevus.data.download import download as fetch
    from nevus.progress import CountProgress

    def agreed(plan: "Plan") -> bool:
        typer.echo(plan.text(), err=True)
        return yes or typer.confirm("Fetch it?", err=True)

    with CountProgress("fetching", "files") as progress:
        done = fetch(
            source,
            out,
            licenses=license_names,
            have=images or (),
            max_images=max_images,
            confirm=agreed,
            progress=lambda files, of, num_bytes: progress(files, of),
        )
    if done is None:
        typer.echo("nothing was fetched", err=True)
        raise typer.Exit(2)
    if as_json:
        print_json(
            {
                "out": str(done.out),
                "num_images": done.num_images,
                "num_found": done.num_found,
                "num_fetched": done.num_fetched,
                "licenses": done.licenses,
                "next_command": done.next_command,
            }
        )
        return
    typer.echo(f"{done.out}: {done.num_images} images, {done.num_found} of them found on disk, {done.num_fetched} fetched")
    typer.echo(f"next: {done.next_command}")
