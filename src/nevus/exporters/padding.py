"""Padding that depends on the input's size, written as numbers where the size is one.

TensorFlow's "same" padding is computed from the input's side by every strided convolution of timm's `tf_` networks. Traced, that
is dozens of small operations for each, and a padding that no runtime can merge into the convolution after it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import conv2d, pad


@contextmanager
def constant_padding(network: nn.Module, *inputs: torch.Tensor) -> Iterator[None]:
    """While it lasts, each of timm's `Conv2dSame` in `network` pads by numbers, as it does for `inputs`.

    The network is called once to see for which. A convolution that meets maps of several sizes is left alone.

    Parameters
    ----------
    network
        Its maps have the same height and width whatever its inputs are.
    inputs
        What it is called with.
    """
    from timm.layers import Conv2dSame  # not above: timm can be imported only after backbones has mended torchvision

    sides: dict[nn.Module, set[tuple[int, ...]]] = {layer: set() for layer in network.modules() if isinstance(layer, Conv2dSame)}
    hooks = [
        layer.register_forward_pre_hook(lambda layer, given: sides[layer].add(tuple(given[0].shape[-2:]))) for layer in sides
    ]
    with torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    alone = {layer: seen.pop() for layer, seen in sides.items() if len(seen) == 1}
    for layer, side in alone.items():
        layer.forward = _padded(layer, side)
    try:
        yield
    finally:
        for layer in alone:
            del layer.forward


def _padded(layer: Any, side: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    from timm.layers.padding import get_same_padding

    rows, columns = map(get_same_padding, side, layer.kernel_size, layer.stride, layer.dilation)
    around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)

    def forward(batch: torch.Tensor) -> torch.Tensor:
        # The value is written out: onnxruntime merges a padding by nothing said into no convolution.
        padded = pad(batch, around, value=0.0)
        return conv2d(padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)

    return forward
