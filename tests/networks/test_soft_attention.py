"""Soft attention against NumPy, and the published layer against a naive loop of Keras's Conv3D."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nevus.errors import RecipeError
from nevus.networks.soft_attention import LOGITS, Mode, SoftAttention, check_map

Array = NDArray[np.float64]


def same(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Keras's "SAME": the number of outputs, and the padding in front."""
    outputs = -(-length // stride)
    return outputs, max((outputs - 1) * stride + kernel - length, 0) // 2


def conv3d_same(volume: Array, kernel: Array, bias: Array, strides: tuple[int, int, int]) -> Array:
    """One Conv3D of Keras, element by element: (D0, D1, D2, 1) with a kernel (k0, k1, k2, 1, K) to (o0, o1, o2, K)."""
    (o0, p0), (o1, p1), (o2, p2) = (same(d, k, s) for d, k, s in zip(volume.shape[:3], kernel.shape[:3], strides, strict=True))
    out = np.tile(bias, (o0, o1, o2, 1))
    for x, y, z in np.ndindex(o0, o1, o2):
        for a, b, c in np.ndindex(*kernel.shape[:3]):
            i, j, k = x * strides[0] + a - p0, y * strides[1] + b - p1, z * strides[2] + c - p2
            if 0 <= i < volume.shape[0] and 0 <= j < volume.shape[1] and 0 <= k < volume.shape[2]:
                out[x, y, z] += volume[i, j, k, 0] * kernel[a, b, c, 0]
    return out


def convolution_reference(u: Array, weight: Array, bias: Array) -> Array:
    """A 3×3 convolution, zero-padded: (C, H, W) to (H, W, K)."""
    _, height, width = u.shape
    out = np.tile(bias, (height, width, 1))
    for y, x, a, b in np.ndindex(height, width, 3, 3):
        i, j = y + a - 1, x + b - 1
        if 0 <= i < height and 0 <= j < width:
            out[y, x] += weight[:, :, a, b] @ u[:, i, j]
    return out


def attention_reference(logits: Array) -> Array:
    """(H, W, K) to the sum over k of the softmax over H·W, (H, W)."""
    total = np.zeros(logits.shape[:2])
    for k in range(logits.shape[2]):
        e = np.exp(logits[:, :, k])
        total += e / e.sum()
    return total


def halved(x: Array) -> Array:
    """2×2 max pooling, a last odd row or column on its own."""
    channels, height, width = x.shape
    out = np.empty((channels, -(-height // 2), -(-width // 2)))
    for c, i, j in np.ndindex(*out.shape):
        out[c, i, j] = x[c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    return out


def module_of(channels: int, num_heads: int, mode: Mode) -> tuple[SoftAttention, Any]:
    """A module in double precision, its biases at random, and its convolution."""
    torch.manual_seed(0)
    module = SoftAttention(channels, num_heads, mode).double().eval()
    convolution: Any = module.logits
    nn.init.normal_(convolution.bias)
    if module.gamma is not None:
        nn.init.constant_(module.gamma, 0.7)
    return module, convolution


def logits_reference(u: Array, convolution: Any, mode: Mode) -> Array:
    bias = convolution.bias.detach().numpy()
    if mode == "intended":
        return convolution_reference(u, convolution.weight.detach().numpy(), bias)
    kernel = convolution.kernel.detach().numpy()[:, :, :, None]  # Keras's (C, 3, 3, 1, K)
    found = conv3d_same(u.transpose(1, 2, 0)[..., None], kernel, bias, (1, 1, len(u)))
    assert found.shape[2] == 1
    return np.maximum(found[:, :, 0], 0)


@pytest.mark.parametrize("mode", ["intended", "code"])
@pytest.mark.parametrize(("channels", "height", "width"), [(5, 7, 4), (8, 3, 5), (6, 2, 2)])
def test_both_modes_are_their_naive_loops(mode: Mode, channels: int, height: int, width: int) -> None:
    module, convolution = module_of(channels, 3, mode)
    batch = torch.randn(2, channels, height, width, dtype=torch.float64)
    with torch.no_grad():
        maps, features = module.attention_map(batch), module(batch)
    gamma = 0.7 if mode == "intended" else 1.0
    for u, alpha, feature in zip(batch.numpy(), maps.numpy(), features.numpy(), strict=True):
        expected = attention_reference(logits_reference(u, convolution, mode))
        np.testing.assert_allclose(alpha[0], expected, rtol=1e-10)
        np.testing.assert_allclose(feature, np.maximum(np.concatenate([halved(u), halved(gamma * u * expected)]), 0), rtol=1e-10)


def test_the_published_layer_reads_three_channels_and_the_intended_all() -> None:
    for mode, read in (("code", [0, 1, 2]), ("intended", list(range(12)))):
        module, _ = module_of(12, 4, mode)  # type: ignore[arg-type]
        u = torch.randn(1, 12, 5, 5, dtype=torch.float64, requires_grad=True)
        (module.attention_map(u) * torch.randn(5, 5, dtype=torch.float64)).sum().backward()
        assert u.grad is not None
        assert u.grad.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist() == read


def test_few_of_the_published_weights_meet_a_map_of_7x7() -> None:
    module, convolution = module_of(960, 16, "code")
    alphas = module.attention_map(torch.rand(1, 960, 7, 7, dtype=torch.float64))
    (alphas * torch.randn(7, 7, dtype=torch.float64)).sum().backward()
    assert torch.count_nonzero(convolution.kernel.grad.abs().sum(dim=(1, 2, 3))) == 13


@pytest.mark.parametrize("mode", ["intended", "code"])
def test_parameters_are_the_papers_and_gamma(mode: Mode) -> None:
    convolution = SoftAttention(960, mode=mode).logits
    assert sum(parameter.numel() for parameter in convolution.parameters()) == 9 * 960 * 16 + 16 == 138_256
    gamma = SoftAttention(4, mode=mode).gamma
    assert (gamma is not None and gamma.item() == 1) if mode == "intended" else gamma is None


def test_one_pixel_is_refused() -> None:
    module = SoftAttention(4)
    for height, width in ((1, 1), (1, 5), (5, 1)):
        with pytest.raises(RecipeError, match=f"{height}x{width} feature map"):
            module(torch.zeros(1, 4, height, width))
    check_map(2, 2)


def test_drop_out_only_trains() -> None:
    torch.manual_seed(0)
    module, u = SoftAttention(32), torch.rand(1, 32, 6, 6)
    assert 0.35 < (module.train()(u)[:, :32] == 0).float().mean() < 0.65
    assert (module.eval()(u)[:, :32] > 0).all()


def test_each_mode_bears_channels_last() -> None:
    for mode in LOGITS:
        module = SoftAttention(8, mode=mode).eval()  # type: ignore[arg-type]
        u = torch.randn(2, 8, 5, 5)
        expected = module(u)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.testing.assert_close(module(u.to(memory_format=torch.channels_last)), expected)
