"""An exported network answers as the trained one does, at any batch size, and is refused where it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nevus.errors import BundleError
from nevus.exporters import onnx
from nevus.exporters.onnx import export_onnx
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe

pytestmark = pytest.mark.export

ZOOME = {"backbone": "tf_efficientnet_lite0", "attention": {"kind": "zoom_se"}, "fusion": {"kind": "multiply"}}
SOFT = {"attention": {"kind": "soft"}, "fusion": {"kind": "concat"}}
PUBLISHED = {"attention": {"kind": "soft", "mode": "code"}, "fusion": {"kind": "mlp"}, "pooling": "flatten"}
PLAIN: dict[str, Any] = {"attention": {"kind": "zoom_se", "placement": "pre", "gate": "literal"}}
TURNED: dict[str, Any] = {"bgr": True, "fusion": {"kind": "multiply", "activation": "one_plus_tanh"}}


def network_of(settings: dict[str, Any], size: int) -> LesionClassifier:
    """As after training: gates and embeddings that depend on their input."""
    torch.manual_seed(0)
    network = LesionClassifier(ModelRecipe.model_validate({"backbone": "resnet10t", **settings}), 7, num_metadata=5, size=size)
    for name, parameter in network.named_parameters():
        if "excite" in name or "second.weight" in name or "bn2.weight" in name:
            nn.init.normal_(parameter)
    return network.eval()


# 80 pixels make maps of 3×3 and 5×5, whose four windows overlap.
@pytest.mark.parametrize(
    ("settings", "size"),
    [(ZOOME, 64), (ZOOME, 80), (SOFT, 80), (PUBLISHED, 64), (PLAIN, 80), (TURNED, 64)],
    ids=["zoome-64", "zoome-80", "soft", "published", "plain", "bgr"],
)
def test_the_exported_network_gives_the_same_logits(settings: dict[str, Any], size: int, tmp_path: Path) -> None:
    network = network_of(settings, size)
    export_onnx(network, size, 5, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for num in (1, 4):
        images, metadata, present = torch.randn(num, 3, size, size), torch.randn(num, 5), torch.arange(num) % 2 == 0
        inputs = {"images": images.numpy(), "metadata": metadata.numpy(), "present": present.numpy()}
        # A fusion of kind "none" reads no metadata, and the exporter leaves out what is not read.
        given = {node.name: inputs[node.name] for node in session.get_inputs()}
        (found,) = session.run(["logits"], given)
        with torch.no_grad():
            expected = network(images, metadata, present).numpy()
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_a_photo_at_several_sizes_is_one_graph_with_one_set_of_weights(tmp_path: Path) -> None:
    network = network_of({"fusion": {"kind": "multiply"}}, 64)
    for name, resolutions in (("one", ()), ("two", (48,))):
        export_onnx(network, 64, 5, tmp_path / name, resolutions)
    assert not network.training
    session = onnxruntime.InferenceSession(str(tmp_path / "two"), providers=["CPUExecutionProvider"])
    inputs = {name: torch.randn(2, 3, size, size) for name, size in (("images", 64), ("images_48", 48))}
    metadata, present = torch.randn(2, 5), torch.tensor([True, False])
    given = {name: tensor.numpy() for name, tensor in {**inputs, "metadata": metadata, "present": present}.items()}
    (found,) = session.run(["logits"], given)
    with torch.no_grad():
        expected = sum(network(batch, metadata, present) for batch in inputs.values()) / 2
    np.testing.assert_allclose(np.asarray(found), expected.numpy(), rtol=1e-4, atol=1e-4)
    weights = sum(parameter.numel() for parameter in network.parameters()) * 4
    assert (tmp_path / "two").stat().st_size - (tmp_path / "one").stat().st_size < weights / 10


def test_a_mismatch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of({}, 64)
    monkeypatch.setattr(onnx, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(BundleError, match=r"model\.onnx: differs from the trained network by .*; at most -1 is allowed"):
        export_onnx(network, 64, 5, tmp_path / "model.onnx")
