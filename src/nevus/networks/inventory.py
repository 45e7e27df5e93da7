"""What networks there are, how large and how dear each is, and of what it is built."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils.flop_counter import FlopCounterMode

from nevus.networks.backbones import Backbone, create_backbone
from nevus.networks.registry import BACKBONES
from nevus.networks.tracing import Shape, shapes
from nevus.networks.weights import PACKAGES
from nevus.recipe import AttentionRecipe

# Lines that a drawing may have before blocks are drawn together.
_MAX_LINES = 60


@dataclass(frozen=True)
class Cut:
    """A backbone cut at a tap, for an input of its own size: (C, h, w) of the map, trained parameters and multiply-adds."""

    name: str
    tap: str
    input_size: int
    map_shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights: tuple[str, ...]


def measure(name: str, tap: str = "last") -> Cut:
    """Count a backbone without its ImageNet classifier; no memory is taken for its weights.

    Multiply-adds are those of convolutions and linear layers, half of what `torch.utils.flop_counter` calls operations.

    Raises
    ------
    RecipeError
        There is no such backbone or tap, or the tap is refused.

    Examples
    --------
    >>> measure("resnet18").parameters
    11176512
    """
    size = _input_size(name)
    with torch.device("meta"):
        backbone = create_backbone(name, tap).eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            backbone(torch.zeros(1, 3, size, size))
        return Cut(
            name,
            tap,
            size,
            backbone.map_shape(size),
            sum(parameter.numel() for parameter in backbone.parameters()),
            counter.get_total_flops() // 2,
            backbone.mean,
            backbone.std,
            weights_of(name),
        )


def _input_size(name: str) -> int:
    return BACKBONES[name].input_size if name in BACKBONES else 224


def weights_of(name: str) -> tuple[str, ...]:
    """Where ImageNet weights of a backbone can be had: a value of `model.pretrained` each."""
    entry = BACKBONES.get(name)
    ways = ["package"] if name in PACKAGES else []
    if entry is None or not (entry.options or entry.create):
        import timm

        ways += ["hub"] if timm.get_pretrained_cfg(name).has_weights else []
    return (*ways, "file")


def taps_of(name: str) -> dict[str, str]:
    """A backbone's taps by name, each with the reason why it is refused, or nothing."""
    entry = BACKBONES.get(name)
    return {"last": ""} if entry is None else {"last": "", **dict.fromkeys(entry.taps, ""), **entry.refused}


def draw(name: str, attention: AttentionRecipe | None = None) -> str:
    """A backbone's blocks in the order in which they run, each with its map (C, h, w) and its trained parameters, as text."""
    size = _input_size(name)
    with torch.device("meta"):
        backbone = create_backbone(name, attention=attention)
        blocks = _blocks(backbone, size, depth=3)
        if len(blocks) > _MAX_LINES:
            blocks = _blocks(backbone, size, depth=2)
    width = max(len(path) for path in blocks)
    lines = [f"{'image':{width}}  {f'3 x {size} x {size}':>18}"]
    for path, (shape, count) in blocks.items():
        lines.append(f"{path:{width}}  {' x '.join(map(str, shape[1:])):>18}  {count:>12,}")
    return "\n".join(lines)


def _blocks(backbone: Backbone, size: int, depth: int) -> dict[str, tuple[Shape, int]]:
    layers: Any = backbone.layers
    nodes = [node for node in layers.graph.nodes if node.op == "call_module"]
    blocks: dict[str, tuple[Shape, int]] = {}
    for node, shape in zip(nodes, shapes(layers, nodes, size), strict=True):
        path = _block(node, depth)
        count = sum(parameter.numel() for parameter in layers.get_submodule(node.target).parameters())
        blocks[path] = (shape, blocks.get(path, (shape, 0))[1] + count)
    return blocks


def _block(node: fx.Node, depth: int) -> str:
    """The block that a layer is part of: layer1.0 of layer1.0.conv1, blocks.3.1 of blocks.3.1.se.conv_reduce."""
    first, *rest = str(node.target).split(".")
    kept = [first]
    for part in rest[: depth - 1]:
        if not part[-1].isdigit():
            break
        kept.append(part)
    return ".".join(kept)
