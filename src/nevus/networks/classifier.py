"""LesionClassifier: backbone, DropBlock, attention, pooling, fusion, transform, perhaps a dense layer, and one linear layer."""

from collections.abc import Callable

import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.networks.backbones import create_backbone
from nevus.networks.drop_block import DropBlock
from nevus.networks.fusion import create_fusion
from nevus.networks.soft_attention import SoftAttention, check_map
from nevus.networks.spectral import feature_transform, map_transform
from nevus.recipe import ModelRecipe


def _average(feature_map: torch.Tensor) -> torch.Tensor:
    return feature_map.mean(dim=(2, 3))


def _flatten(feature_map: torch.Tensor) -> torch.Tensor:
    return feature_map.flatten(1)


POOLINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"average": _average, "flatten": _flatten}


class LesionClassifier(nn.Module):
    """Logits for images with or without metadata.

    Two classes have two logits; softmax(logits)[:, 1] is the sigmoid of their difference, so losses and figures of a binary task
    are those of one logit.

    Parameters
    ----------
    recipe
        The network's parts.
    num_classes
        C of the logits.
    num_metadata
        M of the encoded metadata.
    size
        Side of the square input, pixels. Flattening and a transform of the map fix the network to it; elsewhere it may be None,
        and soft attention then refuses too small a map when it meets one.

    Raises
    ------
    RecipeError
        A part does not exist or does not fit, or the feature map is too small for soft attention.
    NotAvailableError
        The pretrained weights asked for are not to be had.

    Examples
    --------
    >>> network = LesionClassifier(ModelRecipe(backbone="resnet10t"), num_classes=7, num_metadata=14, size=64)
    >>> network(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 7])
    """

    def __init__(self, recipe: ModelRecipe, num_classes: int, num_metadata: int, size: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_metadata = num_metadata
        self.bgr = recipe.bgr
        self.backbone = create_backbone(recipe.backbone, recipe.tap, recipe.pretrained, recipe.attention)
        self.drop_block = DropBlock(recipe.drop_block, recipe.drop_block_side)
        self.attention: nn.Module = nn.Identity()
        num_features = self.backbone.num_channels
        side = None if size is None else self.backbone.map_shape(size)[1]
        if recipe.attention.kind == "soft":
            if side is not None:
                check_map(side, side)
                side = -(-side // 2)
            self.attention = SoftAttention(num_features, recipe.attention.num_heads, recipe.attention.mode)
            num_features *= 2
        self.map_transform = map_transform(recipe.map_transform, side)
        self.pool = POOLINGS[recipe.pooling]
        if recipe.pooling == "flatten":
            if side is None:
                raise RecipeError('model.pooling = "flatten" needs a fixed input size. Give it, or choose "average".')
            num_features *= side * side
        self.fusion = create_fusion(recipe.fusion, num_features, num_metadata)
        self.transform = feature_transform(recipe.transform, self.fusion.num_outputs)
        self.dense: nn.Module = nn.Identity()
        num_outputs = self.fusion.num_outputs
        if recipe.hidden:
            self.dense = nn.Sequential(nn.Linear(num_outputs, recipe.hidden), nn.ReLU())
            num_outputs = recipe.hidden
        self.dropout = nn.Dropout(recipe.dropout)
        self.head = nn.Linear(num_outputs, num_classes)

    @property
    def mean(self) -> tuple[float, ...]:
        """What is subtracted from each channel of RGB in [0, 1]: what the backbone expects, by place in the order it is shown."""
        return self.backbone.mean[::-1] if self.bgr else self.backbone.mean

    @property
    def std(self) -> tuple[float, ...]:
        """What each channel of RGB is divided by after that."""
        return self.backbone.std[::-1] if self.bgr else self.backbone.std

    @property
    def num_parameters(self) -> int:
        """Trained parameters; batch norm's running statistics are not among them, as they are in Keras's counts."""
        return sum(parameter.numel() for parameter in self.parameters())

    def feature_map(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to the map after attention (N, C, h, w); with `bgr` the channels are turned round here."""
        return self._attended(self.backbone(self._shown(batch)))

    def _shown(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.flip(1) if self.bgr else batch

    def _attended(self, feature_map: torch.Tensor) -> torch.Tensor:
        attended: torch.Tensor = self.attention(self.drop_block(feature_map))
        return attended

    def see(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 3, H, W) to the map after attention (N, C, h, w), and by what images are told apart (N, 2M + C).

        The latter are the means and the standard deviations of the middle stage's M channels over the map's places, by which
        unlike images are known (`nevus.metrics.novelty`), and then the means of the map after attention.
        """
        last, middle = self.backbone.maps(self._shown(batch))
        feature_map = self._attended(last)
        means = _average(middle)
        deviations = _average((middle - means[:, :, None, None]) ** 2).sqrt()
        return feature_map, torch.cat([means, deviations, _average(feature_map)], dim=1)

    def features(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to the image's features (N, F), before any metadata."""
        return self.pool(self.map_transform(self.feature_map(batch)))

    def image_features(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to what `see` tells images apart by (N, 2M + C), whatever the pooling."""
        return self.see(batch)[1]

    @property
    def num_texture_features(self) -> int:
        """How many of `image_features` are of the middle stage, 2M; they come first."""
        return 2 * self.backbone.num_middle_channels

    def forward(
        self, batch: torch.Tensor, metadata: torch.Tensor | None = None, present: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (N, num_classes).

        Parameters
        ----------
        batch
            float32 (N, 3, H, W), normalised by `mean` and `std`.
        metadata
            float32 (N, num_metadata), encoded; None is the image alone.
        present
            bool (N,), false where every field is missing; None means all true, or all false without `metadata`.
        """
        if metadata is None:
            metadata = batch.new_zeros(len(batch), self.num_metadata)
            present = torch.zeros(len(batch), dtype=torch.bool, device=batch.device)
        elif present is None:
            present = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
        return self.classify(self.feature_map(batch), metadata, present)

    def classify(self, feature_map: torch.Tensor, metadata: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of what `feature_map` gave."""
        fused = self.fusion(self.pool(self.map_transform(feature_map)), metadata, present)
        logits: torch.Tensor = self.head(self.dropout(self.dense(self.transform(fused))))
        return logits
