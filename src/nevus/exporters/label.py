"""What an exported file says of itself, so that who has the file alone knows what it is."""

import json
from pathlib import Path
from typing import Any

import onnx

from nevus.bundle import Bundle
from nevus.data.metadata import CATEGORIES
from nevus.provenance import provenance

_INPUTS = {
    "images": "uint8 (N, H, W, 3), RGB, upright, N photos of one size, any H and W",
    "age": "float32 (N,), years, NaN unknown",
    "sex": "int64 (N,), a code, -1 unknown",
    "site": "int64 (N,), a code, -1 unknown",
}
_OUTPUTS = {
    "probabilities": "float32 (N, classes), calibrated",
    "logits": "float32 (N, classes), means over the views, before the temperature",
    "features": "float32 (N, F), by which photos that are unlike the training images are known",
}


def label(bundle: Bundle) -> dict[str, Any]:
    """What is said of an export of a bundle: its classes, inputs, codes, operating point, licences and the weights' SHA-256."""
    document = bundle.document
    fields = document["metadata"]["fields"]
    return {
        "name": document["name"],
        "task": document["task"],
        "classes": list(bundle.classes),
        "inputs": {name: text for name, text in _INPUTS.items() if name == "images" or name in fields},
        "outputs": dict(_OUTPUTS),
        "codes": {name: list(names) for name, names in CATEGORIES.items() if name in fields},
        "preprocessing": document["preprocessing"],
        "temperature": document["temperature"],
        "operating_point": document["operating_point"],
        "licences": document["training_data"]["licences"],
        "attributions": document["training_data"]["attributions"],
        "use": "research only: not a medical device, not for diagnosis",
        "weights_sha256": document["files"]["weights.safetensors"],
        "nevus": provenance()["nevus"],
    }


def label_onnx(path: Path, bundle: Bundle) -> None:
    """Write the label into an ONNX file's `metadata_props`, each value as JSON."""
    model = onnx.load(str(path))
    onnx.helper.set_model_props(
        model,
        {
            **{prop.key: prop.value for prop in model.metadata_props},
            **{f"nevus.{name}": json.dumps(value, ensure_ascii=False) for name, value in label(bundle).items()},
        },
    )
    onnx.save(model, str(path))
