"""Zoom-SE against a NumPy transcription of the paper's equations, and where it stands in a residual network."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nevus.networks.backbones import Backbone, create_backbone
from nevus.networks.zoom_se import GATES, Gate, ZoomSE, sliced_zoom, windows, zoom
from nevus.recipe import AttentionRecipe

GATE_NAMES: tuple[Gate, ...] = get_args(Gate)


def zoom_se_reference(u: NDArray[np.float64], module: ZoomSE, size: int, gate: str) -> NDArray[np.float64]:
    """Equations 1 to 3 pixel by pixel, q in the place of s."""
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in (*module.squeeze.parameters(), *module.excite.parameters()))
    out = np.empty_like(u)
    height, width = u.shape[2:]
    for n, image in enumerate(u):
        s = np.zeros(len(image))
        for c, plane in enumerate(image):
            for i in range(size):
                for j in range(size):
                    rows = range(math.floor(i * height / size), math.ceil((i + 1) * height / size))
                    columns = range(math.floor(j * width / size), math.ceil((j + 1) * width / size))
                    s[c] += max(plane[y, x] for y in rows for x in columns) / size**2
        q = w2 @ np.maximum(w1 @ s + b1, 0) + b2
        if gate == "literal":
            q = np.maximum(q, 0)
        out[n] = image / (1 + np.exp(-q))[:, None, None]
    return out


def trained(module: ZoomSE) -> ZoomSE:
    """As after training: gates that differ by channel and image, q of both signs."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("gate", GATE_NAMES)
@pytest.mark.parametrize(("height", "width", "size"), [(5, 7, 4), (2, 2, 4), (6, 3, 2)])
def test_zoom_se_is_the_papers_equations(gate: Gate, height: int, width: int, size: int) -> None:
    torch.manual_seed(0)
    module = trained(ZoomSE(6, size, reduction=2, gate=gate)).double()
    u = torch.randn(3, 6, height, width, dtype=torch.float64)
    np.testing.assert_allclose(module(u).detach().numpy(), zoom_se_reference(u.numpy(), module, size, gate), rtol=1e-12)


def test_the_gates_differ_where_q_is_negative() -> None:
    q = torch.tensor([-2.0, 0.0, 3.0])
    assert GATES["sigmoid"](q).tolist() == pytest.approx([0.11920, 0.5, 0.95257], abs=1e-5)
    assert GATES["literal"](q).tolist() == pytest.approx([0.5, 0.5, 0.95257], abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_slices_are_adaptive_max_pooling(size: int) -> None:
    for height in range(1, 10):
        for width in range(1, 10):
            u = torch.randn(2, 3, height, width)
            expected = nn.functional.adaptive_max_pool2d(u, size)
            assert torch.equal(sliced_zoom(u, size), expected), (height, width)
            assert torch.equal(zoom(u, size), expected), (height, width)


def test_windows_cover_every_pixel() -> None:
    assert windows(7, 4) == [(0, 2), (1, 4), (3, 6), (5, 7)]
    assert windows(2, 4) == [(0, 1), (0, 1), (1, 2), (1, 2)]


def test_reduction_leaves_at_least_one_unit() -> None:
    assert ZoomSE(8, reduction=16).squeeze.out_features == 1
    assert ZoomSE(2048, reduction=16).squeeze.out_features == 128


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_a_fresh_gate_passes_both_signal_and_gradient(gate: Gate) -> None:
    torch.manual_seed(0)
    module = ZoomSE(512, gate=gate)
    u = torch.randn(4, 512, 5, 5)
    torch.testing.assert_close(module(u), u * 0.98201, rtol=1e-4, atol=0)
    module(u).sum().backward()
    assert module.excite.bias.grad is not None
    assert module.excite.bias.grad.abs().min() > 0
    assert module.excite.weight.grad is not None
    assert module.excite.weight.grad.abs().max() > 0


def twin(name: str, **attention: Any) -> tuple[Backbone, Backbone]:
    """A plain backbone and one with Zoom-SE and otherwise the same weights, both in evaluation mode."""
    plain = create_backbone(name).eval()
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # timm starts the last one of each residual branch at 0, which would hide the branch
    zoomed = create_backbone(name, attention=AttentionRecipe(kind="zoom_se", **attention)).eval()
    names = [key for key in zoomed.state_dict() if ".zoom_se." not in key and ".se." not in key]
    zoomed.load_state_dict(dict(zip(names, plain.state_dict().values(), strict=True)), strict=False)
    return plain, zoomed


def ratio_of_spread(plain: Backbone, zoomed: Backbone) -> float:
    batch = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(zoomed(batch).std() / plain(batch).std())


@pytest.mark.slow
# On a residual branch a gate is outweighed by the shortcut, so there even halving tells less.
@pytest.mark.parametrize(("placement", "least", "most"), [("post", 0.5, 1.5), ("pre", 0.9, 1.1)])
def test_sixteen_fresh_modules_leave_the_features_their_spread(placement: str, least: float, most: float) -> None:
    torch.manual_seed(0)
    plain, zoomed = twin("resnext50_32x4d", placement=placement)
    modules = [module for module in zoomed.modules() if isinstance(module, ZoomSE)]
    assert len(modules) == 16
    for gate in GATE_NAMES:
        for module in modules:
            module.gate = GATES[gate]
        assert least < ratio_of_spread(plain, zoomed) < most, gate
    for module in modules:
        nn.init.zeros_(module.excite.bias)  # what SE has: gates of 0.5
    assert ratio_of_spread(plain, zoomed) < least
