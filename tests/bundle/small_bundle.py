"""A bundle that is quickly written: files of a few bytes, a document of two classes."""

from pathlib import Path
from typing import Any

from nevus.bundle import Bundle
from nevus.files import write

NAMES = ("model.onnx", "weights.safetensors", "README.md")


def small_bundle(path: Path, size: int = 10) -> Bundle:
    contents = {name: lambda path: write(path, path.name * size) for name in NAMES}
    return Bundle.write(path, {"classes": ["benign", "malignant"]}, contents)


def whole_bundle(path: Path, **changes: Any) -> Bundle:
    """Files of a few bytes, and a document that says all that an answer needs."""
    document = {
        "name": "lesions",
        "task": "malignant",
        "classes": ["benign", "malignant"],
        "preprocessing": {"size": 32, "views": 1},
        "metadata": {"fields": [], "age_mean": 50.0, "age_sd": 10.0, "categories": {}},
        "temperature": 1.25,
        "operating_point": {"positive": "malignant", "rule": "youden", "threshold": 0.5},
        "training_data": {"licences": {"CC-BY-NC-4.0": 90, "CC-0": 10}, "datasets": {"isic2020": 100}},
        **changes,
    }
    texts = {"model.onnx": "model " * 900, "weights.safetensors": "weights " * 900, "README.md": "# lesions\n\n---\n\nA card.\n"}
    return Bundle.write(path, document, {name: lambda path: write(path, texts[path.name]) for name in texts})
