"""A network's size, parameters and depth, counted as the table of Keras's applications counts them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nevus.networks.backbones import create_backbone
from nevus.networks.registry import BACKBONES

_MIB = 2**20
# Keras's separable convolution is one layer, and so is timm's, which has these two in it. A cut network keeps only their names.
_SEPARABLE = {"depthwise_conv2d", "pointwise_conv2d"}


def sizes_of(network: nn.Module) -> dict[str, float]:
    """`parameters` with batch norm's running statistics, `size_mb` (MiB in float32), `depth` (layers with weights).

    The count of batches that torch's batch norm keeps is not a parameter of Keras's, and left out.

    Examples
    --------
    >>> sizes_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)))
    {'parameters': 274, 'size_mb': 0.00104522705078125, 'depth': 3}
    """
    tensors = [*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())]
    parameters = sum(tensor.numel() for tensor in tensors)
    return {"parameters": parameters, "size_mb": 4 * parameters / _MIB, "depth": sum(1 for _ in _weighted_layers(network))}


def backbone_sizes(name: str) -> dict[str, float]:
    """Those of a backbone with ImageNet's thousand classes on it, as the papers' tables of backbones have them.

    No memory is taken for the weights. Networks that timm does not have get a linear layer of their own.

    Raises
    ------
    RecipeError
        There is no such backbone.

    Examples
    --------
    >>> backbone_sizes("resnet50")["depth"]
    107
    """
    import timm  # after nevus.networks.backbones, which mends its import beside a CPU build of torch

    entry = BACKBONES.get(name)
    with torch.device("meta"):
        if entry and entry.create:
            network: Any = entry.create()
            return sizes_of(nn.Sequential(network, nn.Linear(network.num_features, 1000)))
        if timm.is_model(name):
            return sizes_of(timm.create_model(name))
    create_backbone(name)  # says what there is
    raise AssertionError(name)


def _weighted_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The layers that own a weight, from the outside in."""
    if {name for name, _ in module.named_children()} >= _SEPARABLE or next(module.parameters(recurse=False), None) is not None:
        yield module
        return
    for child in module.children():
        yield from _weighted_layers(child)
