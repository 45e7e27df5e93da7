"""One photo at several input sizes, its logits averaged, after Gessert et al. 2020, whose ensemble has a network for each."""

import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.soft_attention import SoftAttention, check_map
from nevus.recipe import Recipe


class AtResolutions(nn.Module):
    """A network on inputs of one size or several, with one set of weights: its logits, and the features that it saw."""

    def __init__(self, network: LesionClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, images: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor, *others: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, num_classes) and image features (N, C), means over `images` and `others`, each (N, 3, S, S) of its own S."""
        maps = [self.network.feature_map(batch) for batch in (images, *others)]
        logits = [self.network.classify(feature_map, metadata, present) for feature_map in maps]
        features = [feature_map.mean(dim=(2, 3)) for feature_map in maps]
        if not others:
            return logits[0], features[0]
        return torch.stack(logits).mean(dim=0), torch.stack(features).mean(dim=0)


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
