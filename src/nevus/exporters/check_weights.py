"""Whether a bundle's weights are those of the network that its recipe describes."""

from nevus.bundle import Bundle
from nevus.errors import BundleError
from nevus.exporters.trained import load_network


def check_weights(bundle: Bundle) -> str:
    """Build the recipe's network with the bundle's weights, and say how many parameters it has.

    Raises
    ------
    BundleError
        A parameter is missing, too many or of another shape, or the recipe is none.
    """
    try:
        network = load_network(bundle)
    except (RuntimeError, ValueError, KeyError) as error:
        remedy = "Train it again"
        raise BundleError(f"{bundle.path}: its weights are not those of its recipe's network ({error}). {remedy}.") from error
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"weights.safetensors has the {count:,} parameters of the recipe's network"
