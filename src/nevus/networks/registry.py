"""The backbones of both papers: where timm's networks are cut, and where they depart from its defaults."""

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import nn

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]

# Means and standard deviations of RGB in [0, 1]: ImageNet's own, and what brings an image into [-1, 1].
IMAGENET: Normalisation = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SYMMETRIC: Normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Tap:
    """The output of a layer, None for the last feature map; with `activation` in the place of the one inside that layer."""

    module: str | None
    activation: type[nn.Module] | None = None


@dataclass(frozen=True)
class BackboneEntry:
    """One backbone.

    Parameters
    ----------
    taps
        Its cuts beside "last", "published" being the 2022 paper's.
    refused
        Cuts that are not made, with the reason.
    stages
        Where Zoom-SE goes in a network without residual blocks, or None.
    middle
        The last layer whose map has a sixteenth of the image's side, where timm does not say which that is.
    input_size
        Side of the square input that its publication uses, pixels.
    options
        Of `timm.create_model`, where they are not timm's defaults.
    mean_and_std
        Its preprocessing, where that is not in timm's configuration.
    create
        Makes a network that is not in timm, with a method `forward_features`.
    """

    taps: dict[str, Tap] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    middle: str = ""
    input_size: int = 224
    options: dict[str, str] = field(default_factory=dict)
    mean_and_std: Normalisation | None = None
    create: Callable[[], nn.Module] | None = None


def _alexnet() -> nn.Module:
    """torchvision's, timm having none."""
    from torchvision.models import alexnet

    return _Features(alexnet().features, num_features=256)


class _Features(nn.Module):
    """A stack of layers as a backbone; a file of weights may hold a classifier as well, which is dropped."""

    dropped = ("classifier.",)

    def __init__(self, features: nn.Sequential, num_features: int) -> None:
        super().__init__()
        self.features = features
        self.num_features = num_features

    def forward_features(self, batch: object) -> object:
        """The last feature map."""
        return self.features(batch)


def _nasnetamobile() -> nn.Module:
    from nevus.networks.nasnet import NASNetAMobile

    return NASNetAMobile()


def _kaur2020() -> nn.Module:
    from nevus.networks.kaur import Kaur2020

    return Kaur2020()


def _one_pixel(index: int, what: str) -> str:
    return (
        f"The 2022 paper's Layer[:{index}] is {what}: a 1x1 map. Attention over one pixel is a constant, the softmax of "
        'one number: there is nothing to attend to. Choose "block5.2.expand", "block5.2.dw" or "last".'
    )


# Table 9's cuts as tensors (the indices count the layers of Keras 2.8's network): Layer[:240] is behind the expansion of the last
# inverted residual block, Layer[:246] behind that block's depthwise convolution, before its squeeze and excitation; Layer[:260]
# is the factor inside the last hard swish, not its product.
_MOBILENET_V3_LARGE = BackboneEntry(
    taps={
        "published": Tap("blocks.5.2.bn1"),
        "block5.2.expand": Tap("blocks.5.2.bn1"),
        "block5.2.dw": Tap("blocks.5.2.bn2"),
        "conv_1.gate": Tap("blocks.6.0.bn1", nn.Hardsigmoid),
    },
    refused={
        "block5.1.se": _one_pixel(230, "the gate of a squeeze and excitation"),
        "block5.2.se": _one_pixel(251, "the gate of a squeeze and excitation"),
        "pooled": _one_pixel(266, "part of the hard swish behind the global pooling"),
        "dropout": _one_pixel(270, "the drop-out before the classifier"),
    },
)

_NASNET_CELLS = (
    "cell_stem_0",
    "cell_stem_1",
    *(f"cell_{number}" for number in range(18)),
    "reduction_cell_0",
    "reduction_cell_1",
)

BACKBONES: dict[str, BackboneEntry] = {
    "resnet10t": BackboneEntry(),
    "resnet18": BackboneEntry(),
    "resnet50": BackboneEntry(taps={"published": Tap("layer4.2")}),
    "resnet152": BackboneEntry(taps={"published": Tap("layer4.0")}),
    "resnext50_32x4d": BackboneEntry(),
    "densenet201": BackboneEntry(
        taps={"published": Tap("features.denseblock4.denselayer29.norm2")},
        stages=tuple(f"features.denseblock{number}" for number in range(1, 5)),
    ),
    "inception_resnet_v2": BackboneEntry(
        taps={"published": Tap("repeat_2.8.branch0.bn", nn.Identity)},
        stages=("repeat", "repeat_1", "repeat_2", "block8"),
        input_size=299,
    ),
    "mobilenetv1_100": BackboneEntry(),
    # As TensorFlow trains it: the Apache-licensed weights that are to be had expect this padding and this normalisation.
    "mobilenetv2_100": BackboneEntry(
        taps={"published": Tap("blocks.5.1.conv_dw")}, options={"pad_type": "same"}, mean_and_std=_SYMMETRIC
    ),
    "mobilenetv3_small_100": BackboneEntry(taps={"published": Tap("blocks.4.2.bn2")}),
    "mobilenetv3_large_100": _MOBILENET_V3_LARGE,
    "tf_mobilenetv3_small_100": BackboneEntry(taps={"published": Tap("blocks.4.2.bn2")}),
    "tf_mobilenetv3_large_100": _MOBILENET_V3_LARGE,
    "nasnetalarge": BackboneEntry(
        taps={"published": Tap("cell_17.comb_iter_4_left.act_2")}, stages=_NASNET_CELLS, input_size=331
    ),
    "nasnetamobile": BackboneEntry(
        taps={"published": Tap("cell_15.comb_iter_4_left.act_2")},
        stages=_NASNET_CELLS,
        middle="cell_9",
        mean_and_std=_SYMMETRIC,
        create=_nasnetamobile,
    ),
    "vgg16": BackboneEntry(stages=tuple(f"features.{number}" for number in (3, 8, 15, 22, 29))),
    "alexnet": BackboneEntry(
        stages=tuple(f"features.{number}" for number in (1, 4, 7, 9, 11)),
        middle="features.11",
        mean_and_std=IMAGENET,
        create=_alexnet,
    ),
    "kaur2020": BackboneEntry(
        stages=tuple(f"blocks.{number}" for number in range(5)),
        middle="blocks.3",
        mean_and_std=IMAGENET,
        create=_kaur2020,
    ),
    "tf_efficientnet_lite0": BackboneEntry(),
    "tf_efficientnet_lite1": BackboneEntry(input_size=240),
    "tf_efficientnet_lite2": BackboneEntry(input_size=260),
}
