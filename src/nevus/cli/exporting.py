"""The verb that writes a bundle for other runtimes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from nevus.cli.arguments import AsJson, need_torch, print_json


def export(
    bundle: Annotated[Path, typer.Argument(help="a bundle that fit or cross-validate wrote")],
    to: Annotated[str, typer.Option(help="onnx, onnx-int8, openvino, litert, executorch; on macOS coreml")],
    images: Annotated[
        Path,
        typer.Option(
            help="at least 200 photos to compare on: a folder or a manifest; for int8 a manifest, of photos that it was not "
            "trained on"
        ),
    ],
    out: Annotated[Path, typer.Option(help="the file to write; what was compared goes beside it, as OUT.json")],
    masks: Annotated[
        Path | None, typer.Option(help="folder of the lesions' masks, NAME.png for NAME.jpg; for a model trained on crops")
    ] = None,
    num_images: Annotated[int, typer.Option(min=200, help="how many photos to compare with the trained model")] = 200,
    as_json: AsJson = False,
) -> None:
    """Write a bundle for another runtime, unless the file does not answer as the trained model does."""
    need_torch()
    from nevus.exporters.export import export as write_export

    document = write_export(bundle, to, images, out, masks=masks, num_images=num_images)
    typer.echo("\n".join(_account(document)), err=True)
    if as_json:
        print_json(document)
    else:
        typer.echo(out)


def _account(document: dict[str, Any]) -> list[str]:
    """What the gates found, for people."""
    parity = document["parity"]
    lines = [
        f"{parity['num_images']} photos, metadata present, partly and wholly absent: a probability differs from the trained "
        f"model's by {parity['max_difference']:.2g} at most ({parity['limit']:g} allowed)."
    ]
    if gate := document.get("int8"):
        chosen = document["calibration"]
        figures = ", ".join(
            f"{name.replace('_', ' ')} {figure['before']:.4f} to {figure['after']:.4f} (a fall of {figure['limit']:g} is allowed)"
            for name, figure in ((name, gate[name]) for name in ("balanced_accuracy", "auc"))
        )
        lines.append(f"int8, ranges by {chosen['method']} from {chosen['num_images']} photos.")
        whose = "others, of those it was trained on" if gate["trained_on"] else "others"
        lines.append(
            f"On {gate['num_images']} {whose}: {figures}; {gate['decisions_changed']} decisions changed, {gate['right_before']} "
            f"were right and {gate['right_after']} are."
        )
    size = document["bytes"] + document.get("weights", {}).get("bytes", 0)
    return [*lines, f"{size / 1e6:.1f} MB."]
