"""One photo at several input sizes, its logits averaged, after Gessert et al. 2020, whose ensemble has a network for each."""

import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.soft_attention import SoftAttention, check_map
from nevus.recipe import Recipe


class AtResolutions(nn.Module):
    """A network on inputs of several sizes, with the weights of one."""

    def __init__(self, network: LesionClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The mean of the logits (N, num_classes) of `images` and `others`, each (N, 3, S, S) of its own S."""
        return torch.stack([self.network(batch, metadata, present) for batch in (images, *others)]).mean(dim=0)


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
