"""A network that starts from a bundle's weights: its backbone's, trained on other images, or all of its teacher's."""

from pathlib import Path
from typing import Any

from safetensors.torch import load

from nevus.bundle import Bundle
from nevus.bundle.pack import SUFFIX
from nevus.data.manifest import Manifest
from nevus.errors import DataError, NotAvailableError, listed
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe
from nevus.training.checkpoint import State

_BACKBONE = "backbone.layers."
# What `model.pretrained` may say that is no path, even where a folder has that name.
_WORDS = ("none", "package", "hub")
# Data sets that have images in common under other names: ISIC 2018 is HAM10000, 2019 holds it, and the archive holds them all.
_SHARED = (
    frozenset({"ham10000", "isic2018", "isic2019", "isic-archive"}),
    frozenset({"isic2020", "isic-archive"}),
    frozenset({"isic2024", "isic-archive"}),
)


def starting_bundle(model: ModelRecipe) -> Bundle | None:
    """The bundle that `model.pretrained` is the path of; None where it says something else.

    Raises
    ------
    BundleError
        It is one, and cannot be loaded.
    NotAvailableError
        It has no weights.
    """
    path = Path(model.pretrained)
    if model.pretrained in _WORDS or path.suffix == ".safetensors" or not (path.is_dir() or path.suffix == SUFFIX):
        return None
    bundle = Bundle.load(path)
    if "weights.safetensors" not in bundle.names:
        raise NotAvailableError(f"{path}: has no weights.safetensors to start from. Give the bundle as training wrote it.")
    return bundle


def load_start(network: LesionClassifier, bundle: Bundle) -> None:
    """Put a bundle's backbone into a network of the same backbone; attention that the bundle has none of stays as it was made.

    Raises
    ------
    NotAvailableError
        Its weights do not fit.
    """
    weights = _weights(bundle, _BACKBONE)
    own = {name: tensor for name, tensor in network.state_dict().items() if name in weights}
    _refuse_misfits(bundle, misfits(weights, own) or ([] if weights else ["no layer"]))
    network.load_state_dict(weights, strict=False)


def load_all(network: LesionClassifier, bundle: Bundle) -> None:
    """Put all weights of a bundle into the same network.

    Raises
    ------
    NotAvailableError
        It is another network.
    """
    weights = _weights(bundle)
    _refuse_misfits(bundle, misfits(weights, network.state_dict()))
    network.load_state_dict(weights)


def misfits(weights: State, own: State) -> list[str]:
    """What keeps weights from taking the place of `own`, tensor by tensor."""
    problems = [f"{name}: not a layer of it" for name in weights if name not in own]
    problems += [f"{name}: not there" for name in own if name not in weights]
    return problems + [
        f"{name}: {tuple(tensor.shape)}, expected {tuple(own[name].shape)}"
        for name, tensor in weights.items()
        if name in own and tensor.shape != own[name].shape
    ]


def _weights(bundle: Bundle, prefix: str = "") -> State:
    return {name: tensor for name, tensor in load(bundle.read("weights.safetensors")).items() if name.startswith(prefix)}


def _refuse_misfits(bundle: Bundle, problems: list[str]) -> None:
    if problems:
        backbone = bundle.document["recipe"]["model"]["backbone"]
        remedy = "model.backbone, tap and transform must be the bundle's."
        raise NotAvailableError(listed(f"{bundle.path}: its {backbone} does not fit:", problems, remedy=remedy))


def start_record(bundle: Bundle) -> dict[str, Any]:
    """What bundle.json says of it: `name`, `weights_sha256`, and the `datasets` that it and its own start were trained on."""
    document = bundle.document
    earlier = document.get("started_from", {}).get("datasets", [])
    return {
        "name": document["name"],
        "weights_sha256": document["files"]["weights.safetensors"],
        "datasets": sorted({*document["training_data"]["datasets"], *earlier}),
    }


def refuse_trained_on(bundle: Bundle, manifest: Manifest) -> None:
    """Refuse a start whose network has seen images of this run's data sets: any of them may be tested.

    Data sets are known by their names in the manifests, and which of the public ones share images by a table.

    Raises
    ------
    DataError
        The bundle was trained on images of a data set that the manifest has rows of.
    """
    trained = set(start_record(bundle)["datasets"])
    # Of what was trained on alone, not of what shares images with it: the archive would join all.
    known = trained.union(*(shared for shared in _SHARED if trained & shared))
    seen = known & set(manifest.frame["dataset"])
    if seen:
        raise DataError(
            f"model.pretrained = {bundle.path}: was trained on images of {', '.join(sorted(seen))} or of a data set that shares "
            f"images with it, and {manifest.path} has rows of it too; what is tested could have been trained on. Start from a "
            "bundle of other data sets, and look for copies between the two with nevus audit."
        )
