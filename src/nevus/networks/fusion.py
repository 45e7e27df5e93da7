"""How metadata meets the image's features. With every field missing, each fusion leaves the image alone to speak.

That is: what comes out depends on the features alone, and is the features themselves in every fusion but MetaBlock.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.recipe import FusionRecipe


@dataclass(frozen=True)
class Activation:
    """A function on the factors of a multiplication, and the bias before it that makes fresh factors 1, or nearly."""

    function: Callable[[torch.Tensor], torch.Tensor]
    fresh_bias: float


def _unchanged(z: torch.Tensor) -> torch.Tensor:
    return z


def _one_plus_tanh(z: torch.Tensor) -> torch.Tensor:
    return 1 + torch.tanh(z)


# A sigmoid never reaches 1: its fresh factors are 0.982, as Zoom-SE's fresh gates are.
ACTIVATIONS: dict[str, Activation] = {
    "none": Activation(_unchanged, 1.0),
    "sigmoid": Activation(torch.sigmoid, 4.0),
    "one_plus_tanh": Activation(_one_plus_tanh, 0.0),
}


class NoFusion(nn.Module):
    """The features as they are."""

    def __init__(self, num_features: int, num_metadata: int, hidden: int | None) -> None:
        super().__init__()
        self.num_outputs = num_features

    def forward(self, features: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        return features


class MetadataEmbedding(nn.Module):
    """ZooME's multiplication: o = t · x with t = W₂ relu(W₁ m) (Xing et al. 2021, equation 4).

    The paper names no activation after W₂, and so there is none unless asked for: "sigmoid" bounds t to (0, 1), "one_plus_tanh"
    to (0, 2). The last weights start small and the last bias where t is 1 (0.982 for a sigmoid), so a fresh network begins as the
    image's alone; t is exactly 1 where no field is present. Multiplying after global average pooling is the same function as
    before it, and cheaper.
    """

    def __init__(self, num_features: int, num_metadata: int, hidden: int | None, activation: str = "none") -> None:
        super().__init__()
        self.num_outputs = num_features
        self.first = nn.Linear(num_metadata, hidden or 64)
        self.second = nn.Linear(hidden or 64, num_features)
        self.activation = ACTIVATIONS[activation].function
        nn.init.normal_(self.second.weight, std=1e-2)
        nn.init.constant_(self.second.bias, ACTIVATIONS[activation].fresh_bias)

    def factors(self, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """t, (N, C)."""
        t = self.activation(self.second(torch.relu(self.first(metadata))))
        return torch.where(present[:, None], t, torch.ones_like(t))

    def forward(self, features: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        return features * self.factors(metadata, present)


class FiLM(nn.Module):
    """Feature-wise linear modulation: γ · x + β with (γ − 1, β) = W₂ relu(W₁ m) (Perez et al. 2018, equation 2).

    The last layer starts small, so that a fresh network begins as the image's alone; γ is 1 and β is 0 where no field is present.
    """

    def __init__(self, num_features: int, num_metadata: int, hidden: int | None) -> None:
        super().__init__()
        self.num_outputs = num_features
        self.first = nn.Linear(num_metadata, hidden or 64)
        self.second = nn.Linear(hidden or 64, 2 * num_features)
        nn.init.normal_(self.second.weight, std=1e-2)
        nn.init.zeros_(self.second.bias)

    def forward(self, features: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        modulation = self.second(torch.relu(self.first(metadata)))
        scale, shift = torch.where(present[:, None], modulation, torch.zeros_like(modulation)).chunk(2, dim=1)
        return (1 + scale) * features + shift


class MetaBlock(nn.Module):
    """σ(tanh(f · x) + g), f and g each one dense layer of the metadata with batch norm (Pacheco and Krohling 2021, section III).

    On the pooled features, a factor and a shift each. Where no field is present f is 1 and g is 0: the paper has no such case.
    It has no hidden layer.
    """

    def __init__(self, num_features: int, num_metadata: int, hidden: int | None) -> None:
        super().__init__()
        if hidden is not None:
            raise RecipeError('model.fusion.hidden: the kind "metablock" has no hidden layer. Leave it out.')
        self.num_outputs = num_features
        self.factors = nn.Sequential(nn.Linear(num_metadata, num_features), nn.BatchNorm1d(num_features))
        self.shifts = nn.Sequential(nn.Linear(num_metadata, num_features), nn.BatchNorm1d(num_features))

    def forward(self, features: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C), each between 0 and 1."""
        f, g = self.factors(metadata), self.shifts(metadata)
        f = torch.where(present[:, None], f, torch.ones_like(f))
        g = torch.where(present[:, None], g, torch.zeros_like(g))
        return torch.sigmoid(torch.tanh(f * features) + g)


class Concatenation(nn.Module):
    """A branch of the metadata beside the features; exactly 0 where no field is present."""

    def __init__(self, num_features: int, branch: nn.Sequential, width: int) -> None:
        super().__init__()
        self.num_outputs = num_features + width
        self.branch = branch

    def forward(self, features: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C + width)."""
        beside = self.branch(metadata)
        return torch.cat([features, torch.where(present[:, None], beside, torch.zeros_like(beside))], dim=1)


def _concat(num_features: int, num_metadata: int, hidden: int | None) -> Concatenation:
    """The 2022 paper's branch: one dense layer with ReLU, 4096 wide there, 64 here (section 4.1)."""
    width = hidden or 64
    return Concatenation(num_features, nn.Sequential(nn.Linear(num_metadata, width), nn.ReLU()), width)


def _mlp(num_features: int, num_metadata: int, hidden: int | None) -> Concatenation:
    """Gessert et al. 2020: two dense layers of 256, each with batch norm, ReLU and drop-out 0.4."""
    width = hidden or 256
    layers: list[nn.Module] = []
    for inputs in (num_metadata, width):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.4)]
    return Concatenation(num_features, nn.Sequential(*layers), width)


Fusion = NoFusion | MetadataEmbedding | FiLM | MetaBlock | Concatenation
FUSIONS: dict[str, Callable[[int, int, int | None], Fusion]] = {
    "none": NoFusion,
    "multiply": MetadataEmbedding,
    "concat": _concat,
    "mlp": _mlp,
    "film": FiLM,
    "metablock": MetaBlock,
}


def create_fusion(recipe: FusionRecipe, num_features: int, num_metadata: int) -> Fusion:
    """The recipe's fusion of (N, num_features) with (N, num_metadata) and a mask (N,), false where every field is missing.

    Raises
    ------
    RecipeError
        There is no metadata to fuse, or an activation is asked for where the fusion has no place for it.

    Examples
    --------
    >>> fusion = create_fusion(FusionRecipe(kind="concat", hidden=8), num_features=512, num_metadata=14)
    >>> fusion(torch.ones(2, 512), torch.ones(2, 14), torch.tensor([True, False])).shape
    torch.Size([2, 520])
    """
    if recipe.kind != "none" and num_metadata == 0:
        raise RecipeError(f'model.fusion.kind = "{recipe.kind}", but data.metadata names no field. Name one, or choose "none".')
    if recipe.kind == "multiply":
        return MetadataEmbedding(num_features, num_metadata, recipe.hidden, recipe.activation)
    if recipe.activation != "none":
        raise RecipeError(f'model.fusion.activation: only the kind "multiply" has one, not "{recipe.kind}". Leave it out.')
    return FUSIONS[recipe.kind](num_features, num_metadata, recipe.hidden)
