"""From a trained network to ONNX, refused where the two do not give the same logits."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from nevus.errors import BundleError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.resolutions import AtResolutions
from nevus.predictor import input_sizes

MAX_DIFFERENCE = 1e-4


def export_onnx(network: LesionClassifier, size: int, num_metadata: int, path: Path, resolutions: Sequence[int] = ()) -> None:
    """Write `network` as ONNX, batch size left open, and compare it with torch on random input, metadata present and absent.

    The inputs are `images` float32 (N, 3, size, size) normalised, `metadata` float32 (N, num_metadata) and `present`
    bool (N,); the outputs are `logits` float32 (N, classes) and `features` float32 (N, C), what the network saw of the image
    alone, by which unlike images are known. Each of the further `resolutions` has an input of its own, `images_S`, the same photo
    at S pixels: one graph averages the outputs of all, with one set of weights.

    Raises
    ------
    BundleError
        The largest difference of a probability, or of a feature in units of the largest one, passes 1e-4.
    """
    network = network.cpu().eval()
    whole = AtResolutions(network).eval()
    names = ("images", "metadata", "present", *list(input_sizes(size, resolutions))[1:])
    generator = torch.Generator().manual_seed(0)
    inputs = (
        torch.randn(3, 3, size, size, generator=generator),
        torch.randn(3, num_metadata, generator=generator),
        torch.tensor([True, False, True]),
        *(torch.randn(3, 3, side, side, generator=generator) for side in resolutions),
    )
    with warnings.catch_warnings(), torch.no_grad():
        # The TorchScript-based exporter writes the same graph in a tenth of the time of the newer one, which matters when every
        # fold ends in a bundle. torch will remove it: then `dynamo=True`, and the comparison below stays.
        warnings.simplefilter("ignore")
        outputs = ["logits", "features"]
        axes = {name: {0: "batch"} for name in (*names, *outputs)}
        torch.onnx.export(whole, inputs, path, input_names=list(names), output_names=outputs, dynamic_axes=axes, dynamo=False)
        expected, seen = whole(*inputs)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    # A network without metadata has no use for two of the inputs, and ONNX keeps only what is used.
    logits, features = session.run(outputs, {value.name: given[value.name] for value in session.get_inputs()})
    found = torch.softmax(torch.from_numpy(np.asarray(logits)).double(), dim=1)
    difference = float((found - torch.softmax(expected.double(), dim=1)).abs().max())
    apart = (torch.from_numpy(np.asarray(features)) - seen).abs().max() / seen.abs().max().clamp(min=1e-12)
    difference = max(difference, float(apart))
    if not difference <= MAX_DIFFERENCE:
        raise BundleError(f"{path}: differs from the trained network by {difference:.2g}; at most {MAX_DIFFERENCE:g} is allowed.")
