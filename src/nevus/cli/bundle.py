"""Verbs about bundles: show, verify, pack, unpack, push, pull."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nevus.cli.arguments import AsJson, print_json

if TYPE_CHECKING:
    from nevus.bundle import Bundle

bundles = typer.Typer(help="Look into a trained model, check it, pass it on.", no_args_is_help=True, rich_markup_mode=None)

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="a bundle: a folder or a .nevus file")]
Model = Annotated[
    Path | None,
    typer.Argument(metavar="BUNDLE", help="a bundle, or a model that comes with nevus by its name; by default the one that does"),
]
Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="a Hugging Face hub repository")]


@bundles.command()
def show(given: Model = None, as_json: AsJson = False) -> None:
    """Say what a model is: its card, what it was made with, where it was pulled from, its files."""
    from textwrap import fill

    from nevus.bundle import Bundle
    from nevus.bundle.description import description
    from nevus.bundle.hub import origin_of
    from nevus.predictor.shipped import find_bundle

    path = find_bundle(given)
    bundle = Bundle.load(path)
    document, origin = bundle.document, origin_of(bundle)
    if as_json:
        files = [{"name": name, "num_bytes": bundle.size(name), "sha256": _digest(bundle, name)} for name in bundle.names]
        print_json({"path": str(path), "origin": origin, **document, "files": files})
        return
    typer.echo(f"{document.get('name', path)}, {'a file' if path.is_file() else 'a folder'} of format {document['format']}\n")
    rows = description(document)
    if origin:
        rows["Pulled from"] = f"{origin['repository']} at commit {origin['commit']}, {origin['date']}"
    for point in document.get("operating_points") or ():
        rows[f"Threshold {point['rule']}"] = (
            f"{point['threshold']:.4f}, sensitivity {point['sensitivity']:.3f} and specificity {point['specificity']:.3f} on "
            f"{document['operating_point']['chosen_on']}"
        )
    for title, text in rows.items():
        typer.echo(fill(f"{title}: {text}", 110, subsequent_indent="    ", break_on_hyphens=False))
    typer.echo()
    for name in bundle.names:
        typer.echo(f"{_digest(bundle, name)} {bundle.size(name):>12,} bytes  {name}")
    typer.echo("Not a medical device and not for diagnosis.", err=True)


@bundles.command()
def verify(given: Model = None, as_json: AsJson = False) -> None:
    """Check every hash, what the model says of itself, and that it answers; with torch, also its weights.

    The exit code is 2 at the first check that does not hold.
    """
    from importlib.util import find_spec

    from nevus.bundle import Bundle
    from nevus.predictor.shipped import find_bundle
    from nevus.predictor.verify import verify as checks

    path, held = find_bundle(given), []
    for line in checks(path):
        held.append(line)
        typer.echo(f"ok: {line}", err=as_json)
    bundle = Bundle.load(path)
    if "weights.safetensors" in bundle.names and all(find_spec(name) for name in ("torch", "timm")):
        from nevus.exporters.check_weights import check_weights

        held.append(check_weights(bundle))
        typer.echo(f"ok: {held[-1]}", err=as_json)
    elif "weights.safetensors" in bundle.names:
        typer.echo("not checked: the weights against the recipe's network, which needs pip install 'nevus[train]'", err=True)
    if as_json:
        print_json({"path": str(path), "checksum": bundle.document["checksum"], "held": held})


@bundles.command()
def pack(
    path: BundlePath,
    out: Annotated[Path, typer.Option(help="the .nevus file to write")],
) -> None:
    """Write a bundle as one file; equal bundles give equal files."""
    from nevus.bundle.pack import pack as write

    typer.echo(write(path, out).path)


@bundles.command()
def unpack(
    path: BundlePath,
    out: Annotated[Path, typer.Option(help="the folder to make")],
) -> None:
    """Write a bundle as a folder, wholly or not at all."""
    from nevus.bundle.pack import unpack as write

    typer.echo(write(path, out).path)


@bundles.command()
def push(
    path: BundlePath,
    repository: Repository,
    private: Annotated[bool, typer.Option("--private", help="make it private; refused where it is public already")] = False,
    revision: Annotated[str, typer.Option(help="the branch, made where it is missing")] = "main",
    as_json: AsJson = False,
) -> None:
    """Put a bundle into a hub repository, with its card, in one commit; log in before with `hf auth login`."""
    from dataclasses import asdict

    from nevus.bundle.hub import push as send

    done = send(path, repository, private=private, revision=revision)
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(f"{done.repository}@{done.commit}")
        typer.echo(done.url, err=True)


@bundles.command()
def pull(
    repository: Repository,
    out: Annotated[Path, typer.Option(help="the folder or .nevus file to make")],
    revision: Annotated[str, typer.Option(help="a branch, a tag, or a commit's hash")] = "main",
    as_json: AsJson = False,
) -> None:
    """Fetch a bundle from a hub repository, every byte checked, and record the commit that it was."""
    from nevus.bundle.hub import pull as fetch

    bundle, origin = fetch(repository, out, revision=revision)
    if as_json:
        print_json({"path": str(bundle.path), **origin})
    else:
        typer.echo(bundle.path)
        typer.echo(f"{origin['repository']}@{origin['commit']}", err=True)


def _digest(bundle: "Bundle", name: str) -> str:
    from hashlib import sha256

    return str(bundle.document["files"].get(name) or sha256(bundle.read(name)).hexdigest())
