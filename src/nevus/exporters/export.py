"""A bundle as a file for another runtime, written where it passes its gate and nowhere else."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nevus.bundle import Bundle
from nevus.bundle.pack import SUFFIX
from nevus.errors import DataError
from nevus.exporters.coreml import to_coreml
from nevus.exporters.executorch import to_executorch
from nevus.exporters.int8 import to_onnx_int8
from nevus.exporters.label import label
from nevus.exporters.light import write_light
from nevus.exporters.litert import to_litert
from nevus.exporters.onnx import to_onnx
from nevus.exporters.openvino import to_openvino
from nevus.exporters.parity import MIN_IMAGES
from nevus.exporters.photos import read_photos
from nevus.exporters.source import Source
from nevus.files import replacing, sha256, write_json
from nevus.provenance import provenance

# Each writes a source to a path, compares the file with the trained model, and returns what it found; under `model` what the
# file's label says otherwise than the ONNX file's.
TARGETS: dict[str, Callable[[Source, Path], dict[str, Any]]] = {
    "onnx": to_onnx,
    "onnx-int8": to_onnx_int8,
    "openvino": to_openvino,
    "litert": to_litert,
    "executorch": to_executorch,
    # No gate can open a Core ML file elsewhere.
    **({"coreml": to_coreml} if sys.platform == "darwin" else {}),
}

# Those that nevus itself can answer with.
_OURS = ("onnx", "onnx-int8")


def export(
    bundle: Bundle | Path | str, to: str, images: Path, out: Path, *, masks: Path | None = None, num_images: int = MIN_IMAGES
) -> dict[str, Any]:
    """Write a bundle for another runtime, and beside the file, as `OUT.json`, what was compared and what the file is.

    Parameters
    ----------
    bundle
        With its weights and its recipe.
    to
        One of `TARGETS`.
    images
        What to compare on: a folder of photos or a manifest, for int8 a manifest.
    out
        The file; replaced where it exists, and left as it was where the gate fails. Named .nevus it becomes a bundle without
        weights, for `nevus predict`.
    masks
        The lesions' masks, for a bundle that was trained on crops.
    num_images
        How many of the photos are drawn for the comparison with the trained model; at least 200.

    Returns
    -------
    document
        What is written beside the file, without what it says of the model.

    Raises
    ------
    BundleError
        The file does not answer as the trained model does.
    DataError
        There is no such format, `out` lies in the bundle, or the photos cannot be read or are too few.

    Examples
    --------
    >>> export("runs/zoome/bundle", "onnx", Path("manifest.csv"), Path("zoome.onnx"))["parity"]  # doctest: +SKIP
    """
    if to not in TARGETS:
        raise DataError(f"--to {to}: there is no such format. There are {', '.join(TARGETS)}.")
    opened = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if out.resolve().is_relative_to(opened.path.resolve()):
        raise DataError(f"--out {out}: lies in the bundle, whose files are under a hash. Choose another place.")
    if out.suffix == SUFFIX and to not in _OURS:
        raise DataError(
            f"--out {out}: a {SUFFIX} file holds an ONNX model. Use --to {' or '.join(_OURS)}, or name the file otherwise."
        )
    source = Source(opened, read_photos(images, opened, masks), out, num_images)
    with replacing(out) as path:
        found = TARGETS[to](source, path)
        if out.suffix == SUFFIX:
            write_light(opened, path, {"to": to, **found}, path)
        own = found.pop("model", {})
        document = {"file": out.name, "to": to, "sha256": sha256(path), "bytes": path.stat().st_size, **found}
    model = {**label(opened), **own}
    write_json(out.with_name(f"{out.name}.json"), {**document, "model": model, "provenance": provenance()})
    return document
