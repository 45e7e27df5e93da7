"""The whole network: its sizes, what it makes of missing metadata, and what it refuses."""

from typing import Any

import numpy as np
import pytest
import timm
import torch

from nevus.errors import RecipeError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.fusion import FUSIONS
from nevus.networks.soft_attention import SoftAttention
from nevus.recipe import ModelRecipe
from nevus.training.loader import normalise


def recipe(**settings: Any) -> ModelRecipe:
    return ModelRecipe.model_validate({"backbone": "resnet10t", **settings})


def classifier(num_classes: int = 7, size: int | None = 64, **settings: Any) -> LesionClassifier:
    return LesionClassifier(recipe(**settings), num_classes, num_metadata=5, size=size)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FUSIONS))
@pytest.mark.parametrize("attention", ["none", "zoom_se", "soft"])
def test_image_alone_is_all_metadata_missing(kind: str, attention: str) -> None:
    network = classifier(fusion={"kind": kind}, attention={"kind": attention}).eval()
    batch, metadata = torch.randn(3, 3, 64, 64), torch.randn(3, 5)
    alone = network(batch)
    assert alone.shape == (3, 7)
    assert torch.equal(network(batch, metadata, torch.zeros(3, dtype=torch.bool)), alone)
    known = network(batch, metadata)
    assert torch.equal(network(batch, metadata, torch.ones(3, dtype=torch.bool)), known)
    assert torch.equal(known, alone) == (kind == "none")
    mixed = network(batch, metadata, torch.tensor([True, False, True]))
    torch.testing.assert_close(mixed, torch.stack([known[0], alone[1], known[2]]))


@pytest.mark.parametrize("attention", ["none", "zoom_se", "soft"])
def test_every_parameter_learns(attention: str) -> None:
    network = classifier(fusion={"kind": "mlp"}, attention={"kind": attention}, pooling="flatten")
    network(torch.randn(4, 3, 64, 64), torch.randn(4, 5)).logsumexp(dim=1).sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


# The notebooks behind the 2022 paper: backbone, tap, side of the input, what Keras counts with metadata (without the 3 numbers
# that normalise age), and what of that only Keras has: ResNets' convolutions have biases, Inception-ResNet's norms no scale.
NOTEBOOKS = [
    ("tf_mobilenetv3_large_100", "block5.2.expand", 224, 2_666_922 - 3, 0),
    ("tf_mobilenetv3_large_100", "block5.2.dw", 224, 2_694_762 - 3, 0),
    ("mobilenetv3_small_100", "published", 224, 990_010 - 3, 0),
    ("mobilenetv2_100", "published", 224, 1_354_714 - 3, 0),
    ("nasnetamobile", "published", 224, 3_956_094 - 3, 0),
    ("densenet201", "published", 224, 17_596_250 - 3, 0),
    ("resnet50", "published", 224, 24_460_186 - 3, 26_560),
    ("inception_resnet_v2", "published", 299, 47_654_074 - 3, -27_200),
    ("resnet152", "published", 224, 50_299_802 - 3, 69_568),
    ("nasnetalarge", "published", 331, 78_573_004 - 3, 0),
]


def published(backbone: str, tap: str, size: int, num_metadata: int = 21) -> LesionClassifier:
    model = {
        "backbone": backbone,
        "tap": tap,
        "attention": {"kind": "soft", "mode": "code"},
        "fusion": {"kind": "concat", "hidden": 4096} if num_metadata else {},
        "pooling": "flatten",
    }
    with torch.device("meta"):
        return LesionClassifier(ModelRecipe.model_validate(model), num_classes=7, num_metadata=num_metadata, size=size)


def keras_count(network: LesionClassifier) -> int:
    """Keras counts batch norm's running statistics as parameters."""
    return network.num_parameters + sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "tap", "size", "count", "only_keras"),
    [pytest.param(*row, marks=[] if row[3] < 3e6 else [pytest.mark.slow]) for row in NOTEBOOKS],
)
def test_the_published_networks_have_their_numbers_of_parameters(
    backbone: str, tap: str, size: int, count: int, only_keras: int
) -> None:
    assert keras_count(published(backbone, tap, size)) == count - only_keras


@pytest.mark.slow
def test_the_published_network_has_its_number_of_parameters_without_metadata() -> None:
    assert keras_count(published("tf_mobilenetv3_large_100", "block5.2.expand", 224, num_metadata=0)) == 2_548_135
    assert keras_count(published("tf_mobilenetv3_large_100", "block5.2.dw", 224, num_metadata=0)) == 2_575_975


def test_the_trimmed_networks_parts_have_their_numbers_of_parameters() -> None:
    network = published("tf_mobilenetv3_large_100", "block5.2.expand", 224)
    parts = (network.attention, network.fusion, network.head)
    assert [sum(parameter.numel() for parameter in part.parameters()) for part in parts] == [138_256, 90_112, 243_719]
    assert network.head.in_features == 4 * 4 * 1920 + 4096


def test_parts_come_in_the_papers_order() -> None:
    network = classifier(attention={"kind": "soft", "num_heads": 3}, fusion={"kind": "concat", "hidden": 8}, dropout=0.3).eval()
    batch, metadata, present = torch.randn(2, 3, 64, 64), torch.randn(2, 5), torch.tensor([True, False])
    attention = network.attention
    assert isinstance(attention, SoftAttention)
    features = attention(network.backbone(batch)).mean(dim=(2, 3))
    torch.testing.assert_close(network.features(batch), features)
    expected = network.head(network.fusion(features, metadata, present))
    torch.testing.assert_close(network(batch, metadata, present), expected)
    network.dropout.train()
    assert not torch.equal(network(batch, metadata, present), expected)


def test_two_logits_are_one_sigmoid() -> None:
    logits = classifier(num_classes=2).eval()(torch.randn(4, 3, 64, 64))
    torch.testing.assert_close(logits.softmax(dim=1)[:, 1], torch.sigmoid(logits[:, 1] - logits[:, 0]))


def test_average_pooling_takes_any_size() -> None:
    network = classifier(size=None, attention={"kind": "soft"}).eval()
    assert network(torch.randn(1, 3, 64, 64)).shape == network(torch.randn(1, 3, 96, 80)).shape == (1, 7)


def test_flattening_needs_a_size() -> None:
    with pytest.raises(RecipeError, match='"flatten" needs a fixed input size'):
        classifier(size=None, pooling="flatten")
    assert classifier(size=96, pooling="flatten").head.in_features == 512 * 3 * 3


def test_small_maps_are_refused_when_built() -> None:
    with pytest.raises(RecipeError, match="1x1 feature map"):
        classifier(size=32, attention={"kind": "soft"})
    assert classifier(size=32).eval()(torch.randn(1, 3, 32, 32)).shape == (1, 7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FUSIONS))
def test_works_in_bfloat16_and_channels_last(kind: str) -> None:
    """As training runs it, the published convolution's odd kernel included."""
    network = classifier(fusion={"kind": kind}, attention={"kind": "soft", "mode": "code"}).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(batch, torch.randn(2, 5), torch.tensor([True, False]))
    logits.float().sum().backward()
    assert torch.isfinite(logits).all()


def test_preprocessing_is_the_backbones() -> None:
    network = classifier()
    assert (network.mean, network.std) == (network.backbone.mean, network.backbone.std)


def test_bgr_shows_the_network_what_the_notebooks_showed_theirs() -> None:
    """There cv2.imread's BGR went where RGB was expected, so the mean and deviation of red were applied to blue, by place."""
    red = np.zeros((1, 64, 64, 3), np.uint8)
    red[..., 0] = 255  # RGB
    seen: dict[bool, torch.Tensor] = {}
    networks = {}
    for bgr in (False, True):
        torch.manual_seed(0)
        networks[bgr] = network = classifier(bgr=bgr).eval()
        assert len(set(network.mean)) == 3, "ImageNet's channels differ, so their order shows"
        mean, std = np.array(network.mean), np.array(network.std)
        batch = torch.from_numpy(((red / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2))
        hook = network.backbone.register_forward_pre_hook(lambda _, inputs, bgr=bgr: seen.update({bgr: inputs[0][0, :, 5, 9]}))
        network(batch)
        hook.remove()
    mean, std = (torch.tensor(values) for values in (networks[False].mean, networks[False].std))
    torch.testing.assert_close(seen[False], (torch.tensor([1.0, 0.0, 0.0]) - mean) / std)
    torch.testing.assert_close(seen[True], (torch.tensor([0.0, 0.0, 1.0]) - mean) / std)


def test_bgr_is_the_plain_network_on_the_photo_read_the_wrong_way_round() -> None:
    torch.manual_seed(0)
    plain = classifier().eval()
    torch.manual_seed(0)
    turned = classifier(bgr=True).eval()
    photo = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)

    def logits(network: LesionClassifier, pixels: torch.Tensor) -> torch.Tensor:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (network.mean, network.std))
        return network(normalise(pixels, mean, std))

    torch.testing.assert_close(logits(turned, photo), logits(plain, photo.flip(3)))
    assert (logits(turned, photo) - logits(plain, photo)).abs().max() > 1e-3


def test_a_dense_layer_stands_before_the_last_one_where_it_is_asked_for() -> None:
    plain, deep = classifier(fusion={"kind": "concat"}), classifier(fusion={"kind": "concat"}, hidden=16)
    width = plain.head.in_features
    assert (deep.head.in_features, deep.dense[0].in_features) == (16, width)
    assert deep.num_parameters - plain.num_parameters == (16 * width + 16 + 7 * 16 + 7) - (7 * width + 7)
    features = torch.randn(2, width)
    expected = (features @ deep.dense[0].weight.T + deep.dense[0].bias).clamp(min=0)
    torch.testing.assert_close(deep.dense(features), expected)
    batch = torch.randn(2, 3, 64, 64)
    before = deep.eval()(batch)
    with torch.no_grad():
        deep.dense[0].bias += 1
    assert not torch.equal(deep(batch), before)


@pytest.mark.parametrize("attention", ["none", "soft", "zoom_se"])
def test_images_are_told_apart_by_the_middle_stage_first(attention: str) -> None:
    torch.manual_seed(0)
    network = classifier(attention={"kind": attention}).eval()
    plain = timm.create_model("resnet10t").eval()
    plain.load_state_dict(network.backbone.layers.state_dict(), strict=False)
    batch = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        feature_map, found = network.see(batch)
        torch.testing.assert_close(feature_map, network.feature_map(batch))
        middle, last = found[:, : network.num_texture_features], found[:, network.num_texture_features :]
        torch.testing.assert_close(last, feature_map.mean(dim=(2, 3)))
        if attention != "zoom_se":  # its gates change what the next block is given
            stem = plain.maxpool(plain.act1(plain.bn1(plain.conv1(batch))))
            stage = plain.layer3(plain.layer2(plain.layer1(stem)))
            expected = torch.cat([stage.mean(dim=(2, 3)), stage.std(dim=(2, 3), unbiased=False)], dim=1)
            torch.testing.assert_close(middle, expected, rtol=1e-4, atol=1e-5)
    assert middle.shape[1] == 512
