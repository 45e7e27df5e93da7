"""The verb that lists networks."""

from dataclasses import asdict
from typing import Annotated

import typer

from nevus.cli.arguments import AsJson, need_torch, print_json
from nevus.errors import RecipeError


def networks(
    name: Annotated[str | None, typer.Argument(help="draw this one, or any other convolutional network of timm")] = None,
    attention: Annotated[str, typer.Option(help="none, or zoom_se to draw it with Zoom-SE")] = "none",
    as_json: AsJson = False,
) -> None:
    """List every backbone with its size, cost, preprocessing and weights; with a name, draw its structure and its taps.

    Parameters and multiply-adds are those of the backbone up to its last feature map, without its ImageNet classifier.
    """
    need_torch()
    from nevus.networks.inventory import draw, measure, taps_of
    from nevus.networks.registry import BACKBONES
    from nevus.recipe import AttentionRecipe

    if attention not in ("none", "zoom_se"):
        raise RecipeError(f"--attention {attention!r}: expected none or zoom_se.")
    if name is None:
        cuts = [measure(each) for each in BACKBONES]
    else:
        cuts = [measure(name, tap) for tap, refusal in taps_of(name).items() if not refusal]
    if as_json:
        print_json([asdict(cut) for cut in cuts])
        return
    if name is None:
        typer.echo(f"{'':26}{'parameters':>12}{'multiply-adds':>16}{'input':>7}{'mean, std':>16}  weights")
        for cut in cuts:
            normalisation = "ImageNet's" if cut.mean[0] != cut.mean[1] else f"{cut.mean[0]:g}, {cut.std[0]:g}"
            typer.echo(
                f"{cut.name:26}{cut.parameters:>12,}{cut.multiply_adds:>16,}{cut.input_size:>7}{normalisation:>16}"
                f"  {', '.join(cut.weights)}"
            )
        return
    typer.echo(draw(name, AttentionRecipe(kind=attention)))
    typer.echo(f"\n{'tap':20}{'map':>18}{'parameters':>14}{'multiply-adds':>18}")
    for cut in cuts:
        shape = " x ".join(map(str, cut.map_shape))
        typer.echo(f"{cut.tap:20}{shape:>18}{cut.parameters:>14,}{cut.multiply_adds:>18,}")
    for tap, refusal in taps_of(name).items():
        if refusal:
            typer.echo(f"{tap:20}refused: {refusal}")
