"""Table 2's counts: by hand, and the papers' own."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.reproduce.published import number, published
from nevus.reproduce.sizes import backbone_sizes, sizes_of
from nevus.reproduce.systems import budget, recipe_of, systems
from nevus.training.run import create_network


def test_statistics_count_as_parameters_and_only_layers_with_weights_as_depth() -> None:
    """3·8·9 + 8 of the convolution, 2·8 + 2·8 of the batch norm, 8·2 + 2 of the linear layer."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Linear(8, 2))
    assert sizes_of(network) == {"parameters": 224 + 32 + 18, "size_mb": 4 * 274 / 2**20, "depth": 3}


def test_a_separable_convolution_is_one_layer() -> None:
    parts = {"depthwise_conv2d": nn.Conv2d(8, 8, 3, groups=8), "pointwise_conv2d": nn.Conv2d(8, 4, 1)}
    separable = nn.Sequential(OrderedDict(parts))
    assert sizes_of(nn.Sequential(separable, nn.BatchNorm2d(4)))["depth"] == 2
    assert sizes_of(nn.Sequential(*separable, nn.BatchNorm2d(4)))["depth"] == 3


def test_a_parameter_of_a_modules_own_is_a_layer_once() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))
            self.inner = nn.Linear(4, 4)

    assert sizes_of(Scaled()) == {"parameters": 24, "size_mb": 96 / 2**20, "depth": 1}


# Layers with weights, ours less those printed, where they are not equal: findings, each with its note.
DEPTHS = {"MobileNetV3Large": -8, "NasnetMobile": 81}

# Parameters of the author's notebooks (running statistics and the three that normalise age among them), and how many fewer ours
# have for a reason: Keras's ResNets have biases before batch norm, its Inception-ResNet-v2 batch norms without scale, and the
# notebook of Dense(512) a second dense layer of 4096 for the metadata.
NOTEBOOKS = {
    "inception-resnet-v2": (47_654_074, -27_200),
    "inception-resnet-v2-augmented": (47_535_287, -27_200),
    "densenet201": (17_596_250, 0),
    "densenet201-augmented": (17_477_463, 0),
    "resnet50": (24_460_186, 26_560),
    "resnet152": (50_299_802, 69_568),
    "mobilenetv2": (1_354_714, 0),
    "mobilenetv3small": (990_010, 0),
    "mobilenetv3large-240": (2_666_922, 0),
    "mobilenetv3large-246": (2_694_762, 0),
    "mobilenetv3large-246-dense512": (37_062_250, 4096 * 4097),
    "nasnetlarge": (78_573_004, 0),
    "nasnetmobile": (3_956_094, 0),
}
# Their metadata are 21 numbers with a dense layer of 4096 behind, ours 12; and three of theirs normalise age.
METADATA = (21 - 12) * 4096 + 3


@pytest.mark.slow
def test_table_2_is_counted_as_it_was() -> None:
    table = next(table for table in published("soft-attention") if table.name == "Table 2")
    for row, system in table.systems.items():
        sizes = backbone_sizes(system.removeprefix("backbone:"))
        figures = {column: number(printed) for column, (printed, _) in table.rows[row].items()}
        assert sizes["parameters"] == pytest.approx(figures["parameters"], abs=0.065e6), row
        if figures["size_mb"]:
            # A file of weights has its layers' names besides, which tell in a small network of many layers.
            assert 0.88 * figures["size_mb"] < sizes["size_mb"] < figures["size_mb"] + 0.5, row
        assert sizes["depth"] - figures["depth"] == DEPTHS.get(row, 0), row


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_networks_have_the_notebooks_parameters(name: str) -> None:
    system = systems("soft-attention")[name]
    recipe = recipe_of(system, system.protocol, budget("full"), Path("manifest.csv"), ("model.pretrained=none",))
    with torch.device("meta"):
        sizes = sizes_of(create_network(recipe, list("abcdefg")))
    printed, fewer = NOTEBOOKS[name]
    assert sizes["parameters"] == printed - fewer - METADATA * (recipe.model.fusion.kind == "concat")


def test_an_unknown_backbone_is_said() -> None:
    with pytest.raises(RecipeError, match="no such backbone"):
        backbone_sizes("resnet51")
