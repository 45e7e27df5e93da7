"""Convolutional backbones from timm, cut at a named tap, with their own preprocessing and, if asked, Zoom-SE in every block."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from nevus.errors import NotAvailableError, RecipeError
from nevus.networks.weights import load_weights
from nevus.networks.zoom_se import ZoomSE
from nevus.recipe import AttentionRecipe

try:
    import torchvision  # noqa: F401
except (RuntimeError, OSError):
    # torchvision's wheel registers these two operators from a compiled library that cannot load beside a CPU build of torch, and
    # timm imports torchvision. Their schemas are enough to import it; the operators themselves are not used. The library object
    # must live as long as the process.
    _OPERATORS = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _name in ("nms", "qnms"):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]

import timm
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from timm.models.resnet import BasicBlock, Bottleneck

_RESNET = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4")
_MOBILENET_V3 = ("conv_stem", "bn1", "blocks")
_EFFICIENTNET = ("conv_stem", "bn1", "blocks", "conv_head", "bn2")

# The 2022 paper's Layer[:240], after the expansion of the last inverted residual block, and its Layer[:246], after that block's
# depthwise convolution and before its squeeze and excitation; with what is kept of the block.
_MOBILENET_V3_TAPS = {"block5.2.expand": ("conv_pw", "bn1"), "block5.2.dw": ("conv_pw", "bn1", "conv_dw", "bn2")}

# The convolution that gives a residual block its number of channels.
_LAST_CONVOLUTION = {BasicBlock: "conv2", Bottleneck: "conv3", DepthwiseSeparableConv: "conv_pw", InvertedResidual: "conv_pwl"}


@dataclass(frozen=True)
class BackboneEntry:
    """A timm network: its layers up to the last feature map, its other taps, and where it departs from timm's defaults."""

    layers: tuple[str, ...]
    taps: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    mean_and_std: float | None = None


BACKBONES: dict[str, BackboneEntry] = {
    "resnet10t": BackboneEntry(_RESNET),
    "resnet18": BackboneEntry(_RESNET),
    "resnet50": BackboneEntry(_RESNET),
    "resnext50_32x4d": BackboneEntry(_RESNET),
    # As TensorFlow trains it: the Apache-licensed weights that are to be had expect this padding and this normalisation.
    "mobilenetv2_100": BackboneEntry(_EFFICIENTNET, options={"pad_type": "same"}, mean_and_std=0.5),
    "mobilenetv3_large_100": BackboneEntry(_MOBILENET_V3, _MOBILENET_V3_TAPS),
    "tf_mobilenetv3_large_100": BackboneEntry(_MOBILENET_V3, _MOBILENET_V3_TAPS),
    "tf_efficientnet_lite0": BackboneEntry(_EFFICIENTNET),
    "tf_efficientnet_lite2": BackboneEntry(_EFFICIENTNET),
}


class Backbone(nn.Module):
    """A network's layers up to a tap: float32 (N, 3, H, W), normalised by `mean` and `std`, to (N, num_channels, h, w)."""

    def __init__(self, name: str, layers: nn.Sequential, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.name = name
        self.layers = layers
        self.mean = mean
        self.std = std
        self.num_channels = self.map_shape(64)[0]

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """The feature map at the tap."""
        feature_map: torch.Tensor = self.layers(batch)
        return feature_map

    def map_shape(self, size: int) -> tuple[int, int, int]:
        """(C, h, w) of the feature map for a square input of `size` pixels."""
        training = self.training
        with torch.no_grad():
            _, channels, height, width = self.eval()(torch.zeros(1, 3, size, size)).shape
        self.train(training)
        return channels, height, width


def create_backbone(name: str, tap: str = "last", pretrained: str = "none", attention: AttentionRecipe | None = None) -> Backbone:
    """Create a backbone; only `pretrained="hub"` touches the network.

    Parameters
    ----------
    name
        One of `BACKBONES`, named as in timm.
    tap
        "last" is timm's `forward_features`: the last feature map before global pooling, of which MobileNetV3's head has one
        more convolution after the pooling. MobileNetV3-Large also has the 2022 paper's two cuts, "block5.2.expand" and
        "block5.2.dw". What lies after the tap is removed.
    pretrained
        "none", "package", "hub" or the path of a safetensors file.
    attention
        Zoom-SE is put into every residual block that the tap leaves whole, where the kind is "zoom_se".

    Raises
    ------
    RecipeError
        There is no such backbone, tap or placement; what there is is listed.
    NotAvailableError
        The weights asked for are not to be had.

    Examples
    --------
    >>> create_backbone("resnet10t").num_channels
    512
    """
    if name not in BACKBONES:
        raise RecipeError(f"model.backbone = {name!r}: no such backbone. Choose one of {', '.join(BACKBONES)}.")
    entry = BACKBONES[name]
    if tap != "last" and tap not in entry.taps:
        raise RecipeError(f"model.tap = {tap!r}: {name} has no such tap. Choose one of {', '.join(['last', *entry.taps])}.")
    if pretrained == "hub" and entry.options:
        raise NotAvailableError(
            f'model.pretrained = "hub": the hub\'s weights of {name} were trained with other padding and normalisation than this '
            "backbone has. Give the path of a .safetensors file, or choose another backbone."
        )
    network: Any = timm.create_model(name, **entry.options)
    layers = nn.Sequential(OrderedDict((layer, getattr(network, layer)) for layer in entry.layers))
    if pretrained != "none":
        load_weights(layers, network, name, pretrained)
    if tap != "last":
        _cut(layers, entry.taps[tap])
    if attention and attention.kind == "zoom_se":
        _add_zoom_se(layers, attention)
    config = network.pretrained_cfg
    mean, std = ((entry.mean_and_std,) * 3 if entry.mean_and_std else tuple(config[key]) for key in ("mean", "std"))
    return Backbone(name, layers, mean, std)


def _cut(layers: Any, kept: tuple[str, ...]) -> None:
    stages = layers.blocks
    block = stages[5][2]
    stages[5][2] = nn.Sequential(OrderedDict((name, getattr(block, name)) for name in kept))
    del stages[6:]


def _after(parent: nn.Module, name: str, block: nn.Module, zoom_se: ZoomSE) -> None:
    """ZooME's text: on the block's output, after the residual addition and its final ReLU."""
    setattr(parent, name, nn.Sequential(OrderedDict(block=block, zoom_se=zoom_se)))


def _inside(parent: nn.Module, name: str, block: nn.Module, zoom_se: ZoomSE) -> None:
    """SE-ResNet's place, on the residual branch before the addition."""
    if not isinstance(block, (BasicBlock, Bottleneck)):
        raise RecipeError('model.attention.placement = "pre": only ResNets have the place for it. Choose "post".')
    block.se = zoom_se


PLACEMENTS: dict[str, Callable[[nn.Module, str, nn.Module, ZoomSE], None]] = {"post": _after, "pre": _inside}


def _add_zoom_se(layers: nn.Module, recipe: AttentionRecipe) -> None:
    """One module a residual block, 16 in ResNeXt-50. Those after inverted residual blocks are an extension of the paper."""
    blocks = [
        (parent, name, block)
        for parent in layers.modules()
        for name, block in parent.named_children()
        if type(block) in _LAST_CONVOLUTION
    ]
    for parent, name, block in blocks:
        channels = getattr(block, _LAST_CONVOLUTION[type(block)]).out_channels
        zoom_se = ZoomSE(channels, recipe.zoom_size, recipe.reduction, recipe.gate)
        PLACEMENTS[recipe.placement](parent, name, block, zoom_se)
