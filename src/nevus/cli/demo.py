"""The verb to look at nevus with: phantoms and training, or the model that comes with it and real photographs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nevus.cli.arguments import need_torch
from nevus.errors import DataError


def demo(
    out: Annotated[Path, typer.Option(help="folder for what is drawn, trained or fetched, and for the page")] = Path("demo"),
    real: Annotated[
        bool, typer.Option("--real", help="the model that comes with nevus on real photographs; nothing is trained")
    ] = False,
    images: Annotated[
        list[Path] | None,
        typer.Option(help="with --real, photos, a folder of them or a .csv of cases; by default a dozen of the ISIC Archive's"),
    ] = None,
    open_page: Annotated[bool | None, typer.Option("--open/--no-open", help="open the page in a browser")] = None,
) -> None:
    """Train and cross-validate both systems on phantom lesions, or with --real show what the shipped model says of photos."""
    if images and not real:
        raise DataError("--images: the demo draws its own lesions. For photographs add --real.")
    if real:
        from nevus.demo.real import demo_real

        page = demo_real(out, images or ())
        typer.echo(f"{page}: photographs and answers. Not a medical device and not for diagnosis.")
    else:
        need_torch()
        from nevus.demo.phantoms import demo_phantoms

        page = demo_phantoms(out)
    if open_page if open_page is not None else sys.stdout.isatty():
        typer.launch(page.resolve().as_uri())
