"""Every attention and fusion leaves torch by the ONNX exporter and computes the same there, at any batch size."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nevus.networks.classifier import LesionClassifier
from nevus.networks.zoom_se import ZoomSE
from nevus.recipe import ModelRecipe

NAMES = ["images", "metadata", "present"]
ZOOME = {"backbone": "tf_efficientnet_lite0", "attention": {"kind": "zoom_se"}, "fusion": {"kind": "multiply"}}
SOFT = {"backbone": "resnet10t", "attention": {"kind": "soft"}, "fusion": {"kind": "concat"}}
PUBLISHED = {
    "backbone": "resnet10t",
    "attention": {"kind": "soft", "mode": "code"},
    "fusion": {"kind": "mlp"},
    "pooling": "flatten",
}


@pytest.mark.export
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter that is quick is the older one
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the feature map's size is meant to be a constant
@pytest.mark.filterwarnings("ignore:Constant folding:UserWarning")
@pytest.mark.parametrize(("settings", "size"), [(ZOOME, 64), (SOFT, 160), (PUBLISHED, 64)], ids=["zoome", "soft", "published"])
def test_onnx_gives_the_same_logits(settings: dict[str, Any], size: int, tmp_path: Path) -> None:
    network = LesionClassifier(ModelRecipe.model_validate(settings), num_classes=7, num_metadata=5, size=size).eval()
    for module in network.modules():
        if isinstance(module, ZoomSE):
            nn.init.normal_(module.excite.weight)  # fresh gates are constants, which would hide the pooling
    inputs = torch.randn(3, 3, size, size), torch.randn(3, 5), torch.tensor([True, False, True])
    path = tmp_path / "model.onnx"
    axes = {name: {0: "batch"} for name in [*NAMES, "logits"]}
    with torch.no_grad():
        torch.onnx.export(network, inputs, path, input_names=NAMES, output_names=["logits"], dynamic_axes=axes, dynamo=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for num in (1, 4):
            inputs = torch.randn(num, 3, size, size), torch.randn(num, 5), torch.arange(num) % 2 == 0
            (logits,) = session.run(None, {name: value.numpy() for name, value in zip(NAMES, inputs, strict=True)})
            np.testing.assert_allclose(np.asarray(logits), network(*inputs).numpy(), atol=1e-4)
