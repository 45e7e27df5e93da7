"""Backbones against timm's own networks, and their taps against what Keras counts."""

import copy
import gc
import socket
from typing import Any

import pytest
import timm
import torch
from torch import nn

from nevus.errors import NotAvailableError, RecipeError
from nevus.networks.backbones import create_backbone
from nevus.networks.registry import BACKBONES
from nevus.networks.zoom_se import ZoomSE
from nevus.recipe import AttentionRecipe


def seeded(create: Any) -> Any:
    torch.manual_seed(0)
    return create().eval()


def spread(network: nn.Module) -> None:
    """Batch norms as after training; fresh ones would hide a missing one."""
    torch.manual_seed(1)
    # By name: a graph holds its layers in the order in which they run, not in that in which they were made.
    for _, module in sorted(network.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)


def keras_count(network: nn.Module) -> int:
    """Keras counts batch norm's running statistics as parameters."""
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)
    return sum(parameter.numel() for parameter in network.parameters()) + statistics


def reference(name: str) -> Any:
    entry = BACKBONES[name]
    return entry.create() if entry.create else timm.create_model(name, **entry.options)


SMALL = ("resnet10t", "mobilenetv3_small_100", "tf_mobilenetv3_large_100", "mobilenetv2_100", "tf_efficientnet_lite0")


def fast(*names: str) -> list[Any]:
    return [pytest.param(name, marks=[] if name in names else [pytest.mark.slow]) for name in BACKBONES]


@pytest.mark.slow
@pytest.mark.parametrize("name", fast(*SMALL))
def test_last_tap_is_the_networks_own_last_feature_map(name: str) -> None:
    ours, theirs = (seeded(create) for create in (lambda: create_backbone(name), lambda: reference(name)))
    spread(ours)
    spread(theirs)
    batch = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        feature_map = ours(batch)
        torch.testing.assert_close(feature_map, theirs.forward_features(batch), rtol=0, atol=0)
    assert (ours.name, ours.num_channels) == (name, feature_map.shape[1])
    assert ours.map_shape(96) == tuple(feature_map.shape[1:])
    assert feature_map.std() > 0


# AUDIT of the 2022 paper: the tensors that its soft attention sees, and where timm has them.
PUBLISHED = {
    "resnet50": ("layer4.2", (2048, 7, 7)),
    "resnet152": ("layer4.0", (2048, 7, 7)),
    "densenet201": ("features.denseblock4.denselayer29.norm2", (128, 7, 7)),
    "inception_resnet_v2": ("repeat_2.8.branch0.bn", (192, 8, 8)),
    "mobilenetv2_100": ("blocks.5.1.conv_dw", (960, 7, 7)),
    "mobilenetv3_small_100": ("blocks.4.2.bn2", (576, 7, 7)),
    "tf_mobilenetv3_large_100": ("blocks.5.2.bn1", (960, 7, 7)),
    "nasnetalarge": ("cell_17.comb_iter_4_left.act_2", (672, 11, 11)),
    "nasnetamobile": ("cell_15.comb_iter_4_left.act_2", (176, 7, 7)),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow]) for name in PUBLISHED])
def test_the_published_tap_is_what_that_layer_computes(name: str) -> None:
    layer, shape = PUBLISHED[name]
    ours, theirs = (seeded(create) for create in (lambda: create_backbone(name, "published"), lambda: reference(name)))
    if name == "inception_resnet_v2":
        theirs.get_submodule(layer).act = nn.Identity()  # what the paper sees is its batch norm, before the ReLU
    seen: list[torch.Tensor] = []
    theirs.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    batch = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        feature_map = ours(batch)
        theirs.forward_features(batch)
    torch.testing.assert_close(feature_map, seen[0], rtol=0, atol=0)
    assert ours.map_shape(BACKBONES[name].input_size) == shape


def test_the_cut_inside_the_last_hard_swish_is_its_factor() -> None:
    ours, theirs = (
        seeded(lambda: create_backbone("tf_mobilenetv3_large_100", "conv_1.gate")),
        seeded(lambda: reference("tf_mobilenetv3_large_100")),
    )
    batch = torch.randn(1, 3, 96, 96)
    seen: list[torch.Tensor] = []
    theirs.blocks[6][0].conv.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        factor = ours(batch)
        theirs(batch)
        norm = theirs.blocks[6][0].bn1
        x = nn.functional.batch_norm(seen[0], norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
    torch.testing.assert_close(factor, (x + 3).clamp(0, 6) / 6)


@pytest.mark.parametrize("tap", ["block5.1.se", "block5.2.se", "pooled", "dropout"])
def test_a_cut_that_leaves_one_pixel_is_refused(tap: str) -> None:
    with pytest.raises(RecipeError, match=rf"{tap}.*refused.*1x1 map.*a constant"):
        create_backbone("tf_mobilenetv3_large_100", tap)


# Backbone and tap, what Keras counts up to it, and what of that only Keras has: ResNets' convolutions have biases there, and
# Inception-ResNet's batch norms no scale.
COUNTS = [
    ("tf_mobilenetv3_large_100", "block5.2.expand", 2_194_832, 0),
    ("tf_mobilenetv3_large_100", "block5.2.dw", 2_222_672, 0),
    ("mobilenetv3_small_100", "published", 659_232, 0),
    ("mobilenetv2_100", "published", 882_624, 0),
    ("densenet201", "published", 17_430_336, 0),
    ("nasnetamobile", "last", 4_269_716, 0),
    ("nasnetamobile", "published", 3_772_516, 0),
    ("nasnetalarge", "last", 84_916_818, 0),
    ("nasnetalarge", "published", 78_018_738, 0),
    ("inception_resnet_v2", "published", 47_464_608, -27_200),
    ("resnet50", "published", 23_587_712, 26_560),
    ("resnet152", "published", 49_427_328, 69_568),
]


@pytest.mark.parametrize(
    ("name", "tap", "count", "only_keras"),
    [pytest.param(*row, marks=[] if row[2] < 1e6 else [pytest.mark.slow]) for row in COUNTS],
)
def test_nothing_is_left_after_a_tap(name: str, tap: str, count: int, only_keras: int) -> None:
    with torch.device("meta"):
        assert keras_count(create_backbone(name, tap)) == count - only_keras


@pytest.mark.parametrize("name", ["regnety_002", "ghostnet_100"])
def test_any_convolutional_network_of_timm_is_a_backbone(name: str) -> None:
    ours, theirs = seeded(lambda: create_backbone(name)), seeded(lambda: timm.create_model(name))
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(batch), theirs.forward_features(batch), rtol=0, atol=0)


def test_a_layer_of_timms_is_a_tap() -> None:
    ours, theirs = seeded(lambda: create_backbone("resnet18", "layer2.0")), seeded(lambda: timm.create_model("resnet18"))
    seen: list[torch.Tensor] = []
    theirs.layer2[0].register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    batch = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        feature_map = ours(batch)
        theirs(batch)
    torch.testing.assert_close(feature_map, seen[0], rtol=0, atol=0)
    assert not any("layer3" in key for key in ours.state_dict())


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mobilevit_xxs"])
def test_what_is_no_convolutional_network_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"not a convolutional network for any input size|no feature map"):
        create_backbone(name)


def test_a_copy_computes_the_same_and_follows_its_own_mode() -> None:
    backbone = create_backbone("resnet10t", attention=AttentionRecipe(kind="zoom_se"))
    twin = copy.deepcopy(backbone).eval()
    batch = torch.randn(2, 3, 64, 64)
    assert backbone.training
    assert not any(module.training for module in twin.modules())
    torch.testing.assert_close(backbone.eval()(batch), twin(batch), rtol=0, atol=0)
    assert not torch.equal(backbone.train()(batch), twin(batch)), "batch norm has two modes"


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tap", "count"),
    [
        ("resnet10t", "last", 4),
        pytest.param("resnext50_32x4d", "last", 16, marks=pytest.mark.slow),
        pytest.param("resnet152", "published", 48, marks=pytest.mark.slow),
        ("mobilenetv2_100", "last", 17),
        ("tf_mobilenetv3_large_100", "last", 15),
        ("tf_mobilenetv3_large_100", "block5.2.dw", 14),
        ("tf_efficientnet_lite0", "last", 16),
        pytest.param("alexnet", "last", 5, marks=pytest.mark.slow),
        pytest.param("vgg16", "last", 5, marks=pytest.mark.slow),
        pytest.param("kaur2020", "last", 5, marks=pytest.mark.slow),
        pytest.param("densenet201", "last", 4, marks=pytest.mark.slow),
        pytest.param("inception_resnet_v2", "last", 4, marks=pytest.mark.slow),
        pytest.param("nasnetamobile", "last", 16, marks=pytest.mark.slow),
        pytest.param("nasnetalarge", "last", 22, marks=pytest.mark.slow),
    ],
)
def test_one_zoom_se_after_every_whole_block(name: str, tap: str, count: int) -> None:
    backbone = create_backbone(name, tap, attention=AttentionRecipe(kind="zoom_se"))
    assert sum(isinstance(module, ZoomSE) for module in backbone.modules()) == count
    # In double precision a network of hundreds of layers is not lost in rounding; two pixels a side give batch norm a variance.
    backbone = backbone.double()
    batch = torch.randn(2, 3, 96, 96, dtype=torch.float64)
    feature_map = backbone(batch)
    assert feature_map.shape[1] == backbone.num_channels
    feature_map.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("zoom_size", [1, 2, 4, 7])
def test_zoom_se_sits_on_the_output_of_each_block(zoom_size: int) -> None:
    """Block by block by hand: what the next block takes is the output of Zoom-SE."""
    backbone = seeded(lambda: create_backbone("resnet10t", attention=AttentionRecipe(kind="zoom_se", zoom_size=zoom_size)))
    layers = backbone.layers
    for zoom_se in layers.zoom_se:
        nn.init.normal_(zoom_se.excite.weight)
    plain = seeded(lambda: timm.create_model("resnet10t"))
    spread(backbone)
    spread(plain)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = backbone(x)
        x = plain.maxpool(plain.act1(plain.bn1(plain.conv1(x))))
        for zoom_se, stage in zip(layers.zoom_se, (plain.layer1, plain.layer2, plain.layer3, plain.layer4), strict=True):
            x = zoom_se(stage(x))  # one block a stage
    torch.testing.assert_close(found, x)


@pytest.mark.parametrize("name", ["resnet10t", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_the_other_placement_is_on_the_residual_branch_before_the_addition(name: str) -> None:
    recipe = AttentionRecipe(kind="zoom_se", placement="pre")
    backbone, plain = seeded(lambda: create_backbone(name, attention=recipe)), seeded(lambda: timm.create_model(name))
    spread(backbone)  # timm starts the last norm of each residual branch at 0, which would hide the branch
    spread(plain)
    blocks = [block for stage in (plain.layer1, plain.layer2, plain.layer3, plain.layer4) for block in stage]
    for zoom_se, block in zip(backbone.layers.zoom_se, blocks, strict=True):
        nn.init.normal_(zoom_se.excite.weight)
        block.se = zoom_se  # timm's own place for squeeze and excitation
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(x), plain.forward_features(x), rtol=1e-4, atol=1e-4)


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
    with pytest.raises(RecipeError, match=r"'block9'.*last, published, block5\.2\.expand, block5\.2\.dw"):
        create_backbone("mobilenetv3_large_100", "block9")
    with pytest.raises(RecipeError, match=r"resnet18 has no such tap. Choose one of last, or a layer's name"):
        create_backbone("resnet18", "block5.2.dw")
    with pytest.raises(RecipeError, match=r'placement = "pre".*Choose "post"'):
        create_backbone("tf_efficientnet_lite0", attention=AttentionRecipe(kind="zoom_se", placement="pre"))


def test_hub_weights_that_expect_another_network_are_refused() -> None:
    with pytest.raises(NotAvailableError, match=r"mobilenetv2_100.*padding"):
        create_backbone("mobilenetv2_100", pretrained="hub")


def test_torchvisions_operators_outlive_the_import() -> None:
    gc.collect()
    assert "iou_threshold" in str(torch.ops.torchvision.nms.default._schema)
