"""From a trained network to ONNX, preprocessing and all, refused where the two do not give the same probabilities."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from nevus.data.images import Pixels
from nevus.data.metadata import coded
from nevus.errors import BundleError
from nevus.exporters.label import label_onnx
from nevus.exporters.padding import constant_padding
from nevus.exporters.parity import MAX_DIFFERENCE, Run, check_parity
from nevus.exporters.reference import reference_outputs
from nevus.exporters.served import Served
from nevus.exporters.source import Source

INPUTS = ("images", "age", "sex", "site")
OUTPUTS = ("probabilities", "logits", "features", "view_logits")
# Number, height and width of the photos that an export is tried on: smaller than most inputs, larger, and upright.
_SHAPES = ((1, 37, 53), (3, 150, 200), (2, 331, 257))
_COLUMNS: dict[str, list[Any]] = {
    "age_years": [61.0, float("nan"), float("nan")],
    "sex": ["female", "male", ""],
    "site": ["torso", "", ""],
}


def export_onnx(served: Served, path: Path) -> None:
    """Write `served` as ONNX, and compare it with the network it was made of on drawn photos of several sizes.

    The inputs are `images` uint8 (N, H, W, 3), N photos of one size, any H and W; `age` float32 (N,), years, NaN unknown; `sex`
    and `site` int64 (N,), places in `nevus.data.metadata.CATEGORIES`, -1 unknown. What the network has no use for is left out.
    The outputs are those of `Served`.

    Raises
    ------
    BundleError
        The largest difference of a probability, or of a feature in units of the largest one, passes 1e-4.
    """
    served = served.cpu().eval()
    write_onnx(served, path)
    if not (difference := _difference(served, path)) <= MAX_DIFFERENCE:
        raise BundleError(f"{path}: differs from the trained network by {difference:.2g}; at most {MAX_DIFFERENCE:g} is allowed.")


def write_onnx(served: Served, path: Path) -> None:
    """Write `served`, which is on the CPU and no longer trained, as ONNX. See `export_onnx`, which compares it too."""
    images, columns = _drawn(np.random.default_rng(0), *_SHAPES[1])
    given = {name: torch.from_numpy(values) for name, values in _inputs(images, columns).items()}
    axes = {"images": {0: "batch", 1: "height", 2: "width"}, **{name: {0: "batch"} for name in (*INPUTS[1:], *OUTPUTS[:3])}}
    axes["view_logits"] = {1: "batch"}
    photos = tuple(given[name] for name in INPUTS)
    with warnings.catch_warnings(), torch.no_grad(), constant_padding(served, *photos):
        # The TorchScript-based exporter writes the same graph in a tenth of the time of the newer one, which matters when every
        # fold ends in a bundle. torch will remove it: then `dynamo=True`, and the comparison below stays.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            photos,
            path,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            dynamo=False,
        )


def to_onnx(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as a float32 ONNX file that says what it is, and compare it with the trained model; see `check_parity`."""
    write_onnx(source.served, path)
    label_onnx(path, source.bundle)
    return {"parity": check_parity(open_onnx(path), source)}


def open_onnx(path: Path) -> Run:
    """An ONNX file's probabilities as a function of its inputs."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def run(images: Pixels, known: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        given = {"images": images, **known}
        return np.asarray(session.run(["probabilities"], {name: given[name] for name in names})[0])

    return run


def _difference(served: Served, path: Path) -> float:
    """The largest difference of a probability, or of a feature in units of the largest, between a file and the network."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng, largest = np.random.default_rng(1), 0.0
    for shape in _SHAPES:
        images, columns = _drawn(rng, *shape)
        trained = served.network, served.encoder, served.preprocessing, served.temperature
        expected, seen = reference_outputs(*trained, images, columns)
        given = _inputs(images, columns)
        probabilities, features = session.run(
            ["probabilities", "features"], {value.name: given[value.name] for value in session.get_inputs()}
        )
        apart = float(np.abs(np.asarray(features) - seen).max() / max(float(np.abs(seen).max()), 1e-12))
        largest = max(largest, float(np.abs(np.asarray(probabilities) - expected).max()), apart)
    return largest


def _drawn(rng: np.random.Generator, num: int, height: int, width: int) -> tuple[NDArray[np.uint8], dict[str, list[Any]]]:
    """Photos of noise, and metadata of which every field is known, then one, then none."""
    images = rng.integers(0, 256, (num, height, width, 3), np.uint8)
    return images, {name: values[:num] for name, values in _COLUMNS.items()}


def _inputs(images: NDArray[np.uint8], columns: dict[str, list[Any]]) -> dict[str, NDArray[Any]]:
    return {"images": images, **coded(columns, len(images))}
