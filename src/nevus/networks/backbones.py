"""Convolutional backbones, cut at a named tap, with their own preprocessing and, if asked, Zoom-SE after every block."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn

from nevus.errors import NotAvailableError, RecipeError
from nevus.networks.registry import BACKBONES, BackboneEntry, Tap
from nevus.networks.tracing import Traced, add_output, insert
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
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, EdgeResidual, InvertedResidual
from timm.models.resnet import BasicBlock, Bottleneck

# Large enough for the smallest map of every backbone: Inception-ResNet-v2 needs 75 pixels.
_PROBE_SIZE = 96
_LAST = Tap(None)
# The stage that ends at a sixteenth of the image's side: deep enough to know textures, not yet what tells the classes apart.
_MIDDLE_REDUCTION = 16


class Backbone(nn.Module):
    """A network's layers up to a tap: float32 (N, 3, H, W), normalised by `mean` and `std`, to (N, num_channels, h, w).

    `layers` gives two maps: that at the tap, and that of the middle stage (`nevus.metrics.novelty` is about it).
    """

    def __init__(self, name: str, layers: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.name = name
        self.layers = layers
        self.mean = mean
        self.std = std
        (_, self.num_channels, *_), (_, self.num_middle_channels, *_) = self._shapes(_PROBE_SIZE)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """The feature map at the tap."""
        return self.maps(batch)[0]

    def maps(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The feature maps at the tap and at the end of the middle stage."""
        feature_map, middle = self.layers(batch)
        return feature_map, middle

    def map_shape(self, size: int) -> tuple[int, int, int]:
        """(C, h, w) of the feature map for a square input of `size` pixels."""
        _, channels, height, width = self._shapes(size)[0]
        return channels, height, width

    def _shapes(self, size: int) -> tuple[torch.Size, torch.Size]:
        training = self.training
        with torch.no_grad():
            feature_map, middle = self.eval().maps(torch.zeros(1, 3, size, size))
        self.train(training)
        return feature_map.shape, middle.shape


def create_backbone(name: str, tap: str = "last", pretrained: str = "none", attention: AttentionRecipe | None = None) -> Backbone:
    """Create a backbone; only `pretrained="hub"` touches the network.

    Parameters
    ----------
    name
        One of `BACKBONES`, or any other convolutional network of timm.
    tap
        "last" is the last feature map before global pooling, of which MobileNetV3's head has one more convolution after the
        pooling. "published" is the 2022 paper's cut of that backbone; MobileNetV3-Large has the cuts of Table 9 by name. Any
        other layer by its name in timm. What lies after the tap is removed.
    pretrained
        "none", "package", "hub" or the path of a safetensors file.
    attention
        Where the kind is "zoom_se", Zoom-SE is put after every residual block up to the tap. Networks without residual blocks
        get it after each stage or cell, an extension of the paper.

    Raises
    ------
    RecipeError
        There is no such backbone, tap or placement, or the tap is refused; what there is is listed.
    NotAvailableError
        The weights asked for are not to be had.

    Examples
    --------
    >>> create_backbone("resnet10t").num_channels
    512
    """
    entry = BACKBONES.get(name) or _any_other(name)
    if pretrained == "hub" and (entry.options or entry.create):
        raise NotAvailableError(
            f'model.pretrained = "hub": {name} has another padding, normalisation or other names here than the hub\'s weights. '
            "Give the path of a .safetensors file, or choose another backbone."
        )
    network: Any = entry.create() if entry.create else timm.create_model(name, **entry.options)
    if tap in entry.refused:
        raise RecipeError(f"model.tap = {tap!r}: refused. {entry.refused[tap]}")
    point = _LAST if tap == "last" else entry.taps.get(tap, Tap(tap))
    if point.activation and point.module:
        network.get_submodule(point.module).act = point.activation()
    traced = Traced(network, "forward_features")
    if point.module is not None and point.module not in traced.outputs:
        choices = ", ".join(["last", *entry.taps, *entry.refused])
        raise RecipeError(f"model.tap = {tap!r}: {name} has no such tap. Choose one of {choices}, or a layer's name in timm.")
    layers = traced.cut(point.module)
    if pretrained != "none":
        load_weights(layers, network, name, pretrained)
    if attention and attention.kind == "zoom_se":
        places = list(PLACEMENTS[attention.placement](network, entry))
        kept = set(layers.graph.nodes)
        insert(
            layers,
            [traced.outputs[place] for place in places if traced.outputs.get(place) in kept],
            lambda channels: ZoomSE(channels, attention.zoom_size, attention.reduction, attention.gate),
            "zoom_se",
            _PROBE_SIZE,
        )
    add_output(layers, _middle(network, entry, traced, layers))
    try:
        backbone = Backbone(name, layers, *_normalisation(entry, network))
    except (RuntimeError, ValueError, AssertionError) as error:  # its own checks of its input are assertions
        raise RecipeError(
            f"model.backbone = {name!r}, model.tap = {tap!r}: no feature map (N, C, H, W) for {_PROBE_SIZE} pixels ({error})."
        ) from error
    if tap == "last" and backbone.num_channels != network.num_features:
        raise RecipeError(f"model.backbone = {name!r}: its last output is no feature map with its channels second.")
    return backbone


def _any_other(name: str) -> BackboneEntry:
    if not timm.is_model(name):
        listing = ", ".join(BACKBONES)
        raise RecipeError(
            f"model.backbone = {name!r}: no such backbone. Choose one of {listing}, or any other convolutional network of timm "
            "by its name there."
        )
    return BackboneEntry()


def _middle(network: Any, entry: BackboneEntry, traced: Traced, layers: fx.GraphModule) -> fx.Node:
    """The last stage's end that has a sixteenth of the image's side or more; the tap where that comes before any."""
    stages = (entry.middle,) if entry.middle else _stages(network)
    kept = set(layers.graph.nodes)
    ends = [traced.outputs[stage] for stage in stages if traced.outputs.get(stage) in kept]
    return ends[-1] if ends else next(node for node in kept if node.op == "output").args[0]


def _stages(network: Any) -> list[str]:
    """timm's own account of a network's stages."""
    return [stage["module"] for stage in getattr(network, "feature_info", ()) if stage["reduction"] <= _MIDDLE_REDUCTION]


def _normalisation(entry: BackboneEntry, network: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if entry.mean_and_std:
        return entry.mean_and_std
    config = network.pretrained_cfg
    return tuple(config["mean"]), tuple(config["std"])


_RESNET_BLOCKS = {BasicBlock: "bn2", Bottleneck: "bn3"}
_MOBILE_BLOCKS = (DepthwiseSeparableConv, InvertedResidual, EdgeResidual)


def _after(network: nn.Module, entry: BackboneEntry) -> Iterator[str]:
    """ZooME's text: on a block's output, after the residual addition and its final ReLU; 16 in ResNeXt-50.

    Those after inverted residual blocks, stages and cells are an extension of the paper.
    """
    if entry.stages:
        yield from entry.stages
        return
    blocks = [path for path, module in network.named_modules() if type(module) in (*_RESNET_BLOCKS, *_MOBILE_BLOCKS)]
    if not blocks:
        raise RecipeError(
            f'model.attention.kind = "zoom_se": {type(network).__name__} has no residual block that is known here. Choose one of '
            f"{', '.join(BACKBONES)}."
        )
    yield from blocks


def _inside(network: nn.Module, entry: BackboneEntry) -> Iterator[str]:
    """SE-ResNet's place, on the residual branch before the addition."""
    blocks = [(path, _RESNET_BLOCKS[type(module)]) for path, module in network.named_modules() if type(module) in _RESNET_BLOCKS]
    if not blocks:
        raise RecipeError('model.attention.placement = "pre": only ResNets have the place for it. Choose "post".')
    yield from (f"{path}.{norm}" for path, norm in blocks)


PLACEMENTS: dict[str, Callable[[nn.Module, BackboneEntry], Iterator[str]]] = {"post": _after, "pre": _inside}
