"""Backbones against timm's own networks, and their taps against what Keras counts."""

import gc
import socket
from typing import Any

import pytest
import timm
import torch
from torch import nn

from nevus.errors import NotAvailableError, RecipeError
from nevus.networks.backbones import BACKBONES, create_backbone
from nevus.networks.zoom_se import ZoomSE
from nevus.recipe import AttentionRecipe


def seeded(create: Any) -> Any:
    torch.manual_seed(0)
    return create().eval()


def spread(network: nn.Module) -> None:
    """Batch norms as after training; fresh ones would hide a missing one."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)


# The large ones are slow.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "50" in name else []) for name in sorted(BACKBONES)]
)
def test_last_tap_is_timms_last_feature_map(name: str) -> None:
    ours = seeded(lambda: create_backbone(name))
    theirs = seeded(lambda: timm.create_model(name, **BACKBONES[name].options))
    spread(ours)
    spread(theirs)
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        feature_map = ours(batch)
        torch.testing.assert_close(feature_map, theirs.forward_features(batch), rtol=0, atol=0)
    assert (ours.name, ours.num_channels) == (name, feature_map.shape[1])
    assert ours.map_shape(64) == tuple(feature_map.shape[1:])
    assert feature_map.std() > 0


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "tf_mobilenetv3_large_100"])
@pytest.mark.parametrize(("tap", "layer"), [("block5.2.expand", "bn1"), ("block5.2.dw", "bn2")])
def test_tap_is_the_2022_papers(name: str, tap: str, layer: str) -> None:
    ours, theirs = seeded(lambda: create_backbone(name, tap)), seeded(lambda: timm.create_model(name))
    seen: list[torch.Tensor] = []
    theirs.blocks[5][2].get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    batch = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        feature_map = ours(batch)
        theirs(batch)
    torch.testing.assert_close(feature_map, seen[0], rtol=0, atol=0)


@pytest.mark.parametrize(("tap", "count"), [("block5.2.expand", 2_194_832), ("block5.2.dw", 2_222_672)])
def test_nothing_is_left_after_a_tap(tap: str, count: int) -> None:
    """Keras counts batch norm's running statistics as parameters; these are its counts of the paper's cut networks."""
    backbone = create_backbone("tf_mobilenetv3_large_100", tap)
    statistics = sum(buffer.numel() for name, buffer in backbone.named_buffers() if "running" in name)
    assert sum(parameter.numel() for parameter in backbone.parameters()) + statistics == count
    assert backbone.map_shape(224) == (960, 7, 7)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet50", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("mobilenetv3_large_100", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("tf_efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("mobilenetv2_100", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_preprocessing_is_the_weights_own(name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    backbone = create_backbone(name)
    assert (backbone.mean, backbone.std) == (mean, std)


@pytest.mark.parametrize(
    ("name", "tap", "count"),
    [
        ("resnet10t", "last", 4),
        pytest.param("resnet50", "last", 16, marks=pytest.mark.slow),
        ("mobilenetv2_100", "last", 17),
        ("tf_mobilenetv3_large_100", "last", 15),
        ("tf_mobilenetv3_large_100", "block5.2.dw", 14),
        ("tf_efficientnet_lite0", "last", 16),
    ],
)
def test_one_zoom_se_after_every_whole_residual_block(name: str, tap: str, count: int) -> None:
    backbone = create_backbone(name, tap, attention=AttentionRecipe(kind="zoom_se"))
    assert sum(isinstance(module, ZoomSE) for module in backbone.modules()) == count
    assert backbone(torch.randn(2, 3, 64, 64)).shape[1] == backbone.num_channels


@pytest.mark.parametrize("kind", ["none", "soft"])
def test_other_attention_leaves_the_blocks_alone(kind: str) -> None:
    backbone = create_backbone("resnet10t", attention=AttentionRecipe(kind=kind))  # type: ignore[arg-type]
    assert not any(isinstance(module, ZoomSE) for module in backbone.modules())


def test_measuring_a_map_changes_nothing() -> None:
    backbone = create_backbone("resnet10t")
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    backbone.map_shape(96)
    assert backbone.training
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())


def test_constructors_stay_off_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    create_backbone("tf_efficientnet_lite0")


def test_what_does_not_exist_is_answered_with_what_does() -> None:
    with pytest.raises(RecipeError, match=r"'resnet51'.*resnet50.*tf_efficientnet_lite2"):
        create_backbone("resnet51")
    with pytest.raises(RecipeError, match=r"'block9'.*last, block5\.2\.expand, block5\.2\.dw"):
        create_backbone("mobilenetv3_large_100", "block9")
    with pytest.raises(RecipeError, match=r"resnet18 has no such tap. Choose one of last\."):
        create_backbone("resnet18", "block5.2.dw")
    with pytest.raises(RecipeError, match=r'placement = "pre".*Choose "post"'):
        create_backbone("tf_efficientnet_lite0", attention=AttentionRecipe(kind="zoom_se", placement="pre"))


def test_hub_weights_that_expect_another_network_are_refused() -> None:
    with pytest.raises(NotAvailableError, match=r"mobilenetv2_100.*other padding"):
        create_backbone("mobilenetv2_100", pretrained="hub")


def test_torchvisions_operators_outlive_the_import() -> None:
    gc.collect()
    assert "iou_threshold" in str(torch.ops.torchvision.nms.default._schema)
