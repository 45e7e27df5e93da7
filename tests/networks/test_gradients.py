"""Gradients of every layer that is ours against differences; fresh networks of all kinds answer and can learn everywhere."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from nevus.networks.classifier import LesionClassifier
from nevus.networks.fusion import FUSIONS, create_fusion
from nevus.networks.registry import BACKBONES
from nevus.networks.soft_attention import LOGITS, SoftAttention
from nevus.networks.zoom_se import GATES, ZoomSE
from nevus.recipe import FusionRecipe, ModelRecipe

LAYERS: dict[str, Callable[[], nn.Module]] = {
    **{f"zoom_se {gate}": lambda gate=gate: ZoomSE(6, zoom_size=2, reduction=2, gate=gate) for gate in GATES},  # type: ignore[misc]
    **{f"soft {mode}": lambda mode=mode: SoftAttention(6, num_heads=3, mode=mode) for mode in LOGITS},  # type: ignore[misc]
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_attention_are_the_differences(name: str) -> None:
    layer = LAYERS[name]().double().eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    names = [key for key, _ in layer.named_parameters()]
    u = torch.randn(2, 6, 4, 5, dtype=torch.float64, requires_grad=True)

    def run(u: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (u,))
        return result

    assert torch.autograd.gradcheck(run, (u, *layer.parameters()))


@pytest.mark.parametrize("kind", FUSIONS)
def test_gradients_of_fusions_are_the_differences(kind: str) -> None:
    fusion = create_fusion(FusionRecipe.model_validate({"kind": kind}), num_features=4, num_metadata=3).double().eval()
    features, metadata = (torch.randn(3, width, dtype=torch.float64, requires_grad=True) for width in (4, 3))
    present = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(lambda x, m: fusion(x, m, present), (features, metadata))


SYSTEMS: dict[str, dict[str, Any]] = {
    "zoome": {"attention": {"kind": "zoom_se"}, "fusion": {"kind": "multiply"}},
    "soft": {"attention": {"kind": "soft"}, "fusion": {"kind": "concat"}, "pooling": "flatten"},
    "published": {
        "attention": {"kind": "soft", "mode": "code"},
        "fusion": {"kind": "concat", "hidden": 4096},
        "pooling": "flatten",
    },
}
# The large ones are slow.
FAST = ("resnet10t", "mobilenetv3_small_100", "tf_efficientnet_lite0")


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "backbone", [pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in BACKBONES if name != "resnet18"]
)
def test_a_fresh_network_is_alive(backbone: str, system: str) -> None:
    """Its logits tell images apart, and every parameter has a finite gradient."""
    tap = "published" if system == "published" and "published" in BACKBONES[backbone].taps else "last"
    model = ModelRecipe.model_validate({"backbone": backbone, "tap": tap, **SYSTEMS[system]})
    network = LesionClassifier(model, num_classes=7, num_metadata=14, size=128)
    batch, metadata = torch.randn(4, 3, 128, 128), torch.randn(4, 14)
    logits = network(batch, metadata)
    assert logits.isfinite().all()
    assert logits.std(dim=0).max() > 1e-3
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
