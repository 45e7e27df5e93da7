"""A bundle's trained network, for torch: what is exported, and what an exported file is compared with."""

from safetensors.torch import load

from nevus.bundle import Bundle
from nevus.data.metadata import MetadataEncoder
from nevus.errors import BundleError
from nevus.exporters.served import Served
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe


def load_network(bundle: Bundle) -> LesionClassifier:
    """A bundle's network with its weights, for torch.

    Raises
    ------
    BundleError
        The bundle has no weights: it can predict, but nothing can be made of it.
    """
    document = bundle.document
    if "weights.safetensors" not in document["files"]:
        raise BundleError(f"{bundle.path}: has no weights.safetensors. Give the bundle as training wrote it.")
    # Every weight comes from the bundle: none is fetched.
    model = ModelRecipe.model_validate({**document["recipe"]["model"], "pretrained": "none"})
    num_metadata = MetadataEncoder.from_json(document["metadata"]).num_features
    network = LesionClassifier(model, len(bundle.classes), num_metadata, document["preprocessing"]["size"])
    network.load_state_dict(load(bundle.read("weights.safetensors")))
    return network


def serve(network: LesionClassifier, bundle: Bundle) -> Served:
    """A bundle's network with the bundle's preprocessing before it and its temperature behind it, ready to be exported."""
    document = bundle.document
    encoder = MetadataEncoder.from_json(document["metadata"])
    return Served(network, encoder, document["preprocessing"], float(document["temperature"])).cpu().eval()
