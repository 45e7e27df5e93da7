"""Whether a network can take a photo at further input sizes."""

from nevus.errors import RecipeError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.soft_attention import SoftAttention, check_map
from nevus.recipe import Recipe


def check_resolutions(network: LesionClassifier, recipe: Recipe) -> None:
    """Raise where the network cannot take inputs of the recipe's `data.resolutions`: before it is trained, not after.

    Raises
    ------
    RecipeError
        It is flattened to the one size it was built for, or soft attention would meet a map of one pixel.
    """
    if recipe.data.resolutions and recipe.model.pooling == "flatten":
        raise RecipeError('data.resolutions: model.pooling = "flatten" fixes the input to one size. Choose "average".')
    for size in recipe.data.resolutions:
        if isinstance(network.attention, SoftAttention):
            _, height, width = network.backbone.map_shape(size)
            check_map(height, width)
