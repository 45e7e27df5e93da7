"""A network's size, parameters and depth, counted as the table of Keras's applications counts them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nevus.networks.backbones import create_backbone

_MIB = 2**20
# Keras's separable convolution is one layer, and so is timm's, which has two convolutions in it.
_SEPARABLE = "SeparableConv2d"


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

    Where timm has the network it is timm's, without its weights' memory; else the backbone with a linear layer on its pooled map.

    Raises
    ------
    RecipeError
        There is no such backbone.
    """
    import timm  # after nevus.networks.backbones, which mends its import beside a CPU build of torch

    if not timm.is_model(name):
        backbone = create_backbone(name)
        return sizes_of(nn.Sequential(backbone, nn.Linear(backbone.num_channels, 1000)))
    with torch.device("meta"):
        network: Any = timm.create_model(name)
    return sizes_of(network)


def _weighted_layers(module: nn.Module) -> Iterator[nn.Module]:
    """The layers that own a weight, from the outside in."""
    if type(module).__name__ == _SEPARABLE or next(module.parameters(recurse=False), None) is not None:
        yield module
        return
    for child in module.children():
        yield from _weighted_layers(child)
