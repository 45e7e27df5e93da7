"""A bundle that is quickly written: files of a few bytes, a document of two classes."""

from pathlib import Path

from nevus.bundle import Bundle
from nevus.files import write

NAMES = ("model.onnx", "weights.safetensors", "README.md")


def small_bundle(path: Path, size: int = 10) -> Bundle:
    contents = {name: lambda path: write(path, path.name * size) for name in NAMES}
    return Bundle.write(path, {"classes": ["benign", "malignant"]}, contents)
