"""A bundle to predict with and nothing else: an exported ONNX file in place of the trained weights."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nevus.bundle import Bundle
from nevus.bundle.archive import write_archive
from nevus.bundle.description import exported
from nevus.bundle.document import NAME
from nevus.files import write

# What `Bundle.write` says itself.
_OWN = ("format", "files", "checksum")


def write_light(bundle: Bundle, model: Path, found: Mapping[str, Any], out: Path) -> None:
    """Write a bundle as one .nevus file with `model` as its model.onnx, and without weights.safetensors.

    Parameters
    ----------
    bundle
        As training wrote it.
    model
        The exported ONNX file, float32 or int8.
    found
        What its gates found; bundle.json keeps it as `export`, and the card says it.
    out
        The file to write.
    """
    document = {key: value for key, value in bundle.document.items() if key not in _OWN}
    document["export"] = {**found, "weights_sha256": bundle.document["files"]["weights.safetensors"]}
    card = bundle.read("README.md").decode("utf-8")
    section = f"\n## Without weights\n\n{exported(document)}. Nothing can be trained on or exported from this file.\n"
    kept = [name for name in bundle.names if name not in (NAME, "model.onnx", "weights.safetensors", "README.md")]
    with TemporaryDirectory(prefix="nevus-") as folder:
        light = Bundle.write(
            Path(folder) / "bundle",
            document,
            {
                "model.onnx": lambda path: write(path, model.read_bytes()),
                **{name: partial(_copy, bundle, name) for name in kept},
                "README.md": lambda path: write(path, card.rstrip("\n") + "\n" + section),
            },
        )
        write_archive(out, light.names, light.read)


def _copy(bundle: Bundle, name: str, path: Path) -> None:
    write(path, bundle.read(name))
