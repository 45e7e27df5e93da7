"""Padding as numbers: the same answers, fewer operations, and nothing left behind."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from nevus.data.metadata import MetadataEncoder
from nevus.exporters.onnx import write_onnx
from nevus.exporters.padding import constant_padding
from nevus.exporters.served import Served
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe


@pytest.fixture
def network() -> LesionClassifier:
    torch.manual_seed(0)
    return LesionClassifier(ModelRecipe(backbone="tf_efficientnet_lite0"), 7, 0).eval()


@pytest.mark.parametrize("side", [63, 64, 65, 72])
def test_a_network_answers_alike_and_is_afterwards_as_it_was(network: LesionClassifier, side: int) -> None:
    batch, other = torch.rand(2, 3, side, side), torch.rand(1, 3, side + 9, side + 9)
    with torch.no_grad():
        expected, later = network(batch), network(other)
        with constant_padding(network, batch):
            torch.testing.assert_close(network(batch), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(network(other), later, rtol=0, atol=1e-5)


def test_a_layer_that_meets_two_sizes_is_left_alone(network: LesionClassifier) -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return self.network(one) + self.network(other)

    one, other = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 81, 81)
    twice = Twice().eval()
    with torch.no_grad():
        expected = twice(one, other)
        with constant_padding(twice, one, other):
            torch.testing.assert_close(twice(one, other), expected, rtol=0, atol=1e-5)


def test_layers_are_restored_after_an_error(network: LesionClassifier) -> None:
    with pytest.raises(ZeroDivisionError), constant_padding(network, torch.rand(1, 3, 64, 64)):
        raise ZeroDivisionError
    assert all("forward" not in vars(layer) for layer in network.modules())


@pytest.mark.parametrize(("resolutions", "constant"), [([], True), ([96], False)])
def test_the_file_pads_by_numbers_where_there_is_one_size(
    network: LesionClassifier, tmp_path: Path, resolutions: list[int], constant: bool
) -> None:
    preprocessing = {"size": 64, "resolutions": resolutions, "views": 1}
    write_onnx(Served(network, MetadataEncoder(()), preprocessing, 1.0), tmp_path / "a.onnx")
    graph = onnx.load(tmp_path / "a.onnx").graph
    pads = [node for node in graph.node if node.op_type == "Pad"]
    assert pads
    made = {name: node for node in graph.node for name in node.output}
    known = {initial.name for initial in graph.initializer}

    def computed(name: str) -> bool:
        """Whether a photo's size takes part in it."""
        if name in known or name not in made:
            return name not in known
        return made[name].op_type == "Shape" or any(computed(given) for given in made[name].input if given)

    assert [computed(node.input[1]) for node in pads] == [not constant] * len(pads)


def test_the_stride_decides_how_much() -> None:
    """Hand-worked: side 5, kernel 3, stride 2: three outputs need 7 pixels, one more before and one after."""
    from nevus.networks.backbones import create_backbone

    stem = next(layer for name, layer in create_backbone("tf_efficientnet_lite0").named_modules() if name.endswith("conv_stem"))
    with torch.no_grad():
        torch.nn.init.ones_(stem.weight)  # type: ignore[arg-type]
        for side, corner in ((5, 12), (6, 27)):
            batch = torch.ones(1, 3, side, side)
            with constant_padding(stem, batch):
                found = stem(batch)
            # At 5 the first window hangs over by a row and a column; at 6 three windows need 7 pixels: one after, none before.
            assert found.shape[-1] == 3
            assert np.allclose(found[0, 0, 0, 0], corner)
