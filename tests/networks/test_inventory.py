"""What is listed about networks, against counts by hand."""

import json

import pytest
from torch import nn

from command_line import nevus
from nevus.networks.backbones import create_backbone
from nevus.networks.inventory import draw, measure, taps_of, weights_of
from nevus.networks.registry import BACKBONES
from nevus.recipe import AttentionRecipe


def test_multiply_adds_are_those_of_the_convolutions() -> None:
    """AlexNet's: kernel × inputs × outputs × positions, layer by layer."""
    layers = [(11, 3, 64, 55), (5, 64, 192, 27), (3, 192, 384, 13), (3, 384, 256, 13), (3, 256, 256, 13)]
    cut = measure("alexnet")
    assert cut.multiply_adds == sum(k * k * inputs * outputs * side * side for k, inputs, outputs, side in layers)
    assert cut.parameters == sum(k * k * inputs * outputs + outputs for k, inputs, outputs, _ in layers)
    assert (cut.input_size, cut.map_shape) == (224, (256, 6, 6))


@pytest.mark.slow
def test_a_cut_network_is_smaller_and_cheaper() -> None:
    whole, cut = (measure("tf_mobilenetv3_large_100", tap) for tap in ("last", "block5.2.expand"))
    dropped = {"parameters": whole.parameters - cut.parameters, "multiply_adds": whole.multiply_adds - cut.multiply_adds}
    network = create_backbone("tf_mobilenetv3_large_100")
    behind = [
        *network.layers.get_submodule("blocks.6").modules(),
        *(
            m
            for name, m in network.layers.get_submodule("blocks.5.2").named_modules()
            if name.split(".")[0] not in ("", "conv_pw", "bn1")
        ),
    ]
    assert dropped["parameters"] == sum(p.numel() for m in behind for p in m.parameters(recurse=False))
    convolutions = [m for m in behind if isinstance(m, nn.Conv2d)]
    # Those of the squeeze and excitation see one pixel, the others a map of 7x7.
    expected = sum(m.weight.numel() * (1 if m.bias is not None else 49) for m in convolutions)
    assert dropped["multiply_adds"] == expected


@pytest.mark.slow
def test_a_drawing_holds_every_parameter() -> None:
    lines = draw("tf_mobilenetv3_large_100", AttentionRecipe(kind="zoom_se")).splitlines()
    counts = [int(line.split()[-1].replace(",", "")) for line in lines[1:]]
    network = create_backbone("tf_mobilenetv3_large_100", attention=AttentionRecipe(kind="zoom_se"))
    assert sum(counts) == sum(p.numel() for p in network.parameters())
    order = [line.split()[0] for line in lines]
    assert order.index("zoom_se.0") == order.index("blocks.0.0") + 1


def test_where_weights_can_be_had() -> None:
    assert weights_of("tf_efficientnet_lite0") == ("package", "hub", "file")
    assert weights_of("nasnetamobile") == ("file",)
    assert weights_of("mobilenetv2_100") == ("file",)


def test_a_refused_tap_says_why() -> None:
    assert "1x1" in taps_of("tf_mobilenetv3_large_100")["pooled"]
    assert taps_of("resnet18") == {"last": ""}


@pytest.mark.slow
def test_one_network_on_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = nevus(monkeypatch, capsys, "networks", "tf_mobilenetv3_large_100")
    assert code == 0
    assert "blocks.5.2" in out
    assert "refused" in out
    assert "960 x 7 x 7" in out
    code, _, err = nevus(monkeypatch, capsys, "networks", "resnet51")
    assert code == 2
    assert "'resnet51': no such backbone" in err


@pytest.mark.slow
def test_all_networks_on_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(nevus(monkeypatch, capsys, "networks", "--json")[1])
    assert [row["name"] for row in document] == list(BACKBONES)
    assert all(row["parameters"] > 0 and row["multiply_adds"] > 0 and row["input_size"] > 0 for row in document)
