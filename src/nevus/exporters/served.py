"""The whole way from a photo's pixels and what is known of the patient to probabilities, as one network that can be exported."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nevus.data.looks import looks_of
from nevus.data.metadata import CATEGORIES, MetadataEncoder
from nevus.data.views import VIEWS
from nevus.networks.classifier import LesionClassifier


class Served(nn.Module):
    """A trained network with its preprocessing before it and its temperature behind it.

    Parameters
    ----------
    network
        With its final weights.
    encoder
        Of the metadata, as it was fitted.
    preprocessing
        A bundle's: `size`, `resolutions`, `central`, `views`.
    temperature
        That the logits are divided by.

    Examples
    --------
    >>> from nevus.recipe import ModelRecipe
    >>> network = LesionClassifier(ModelRecipe(backbone="resnet10t"), 7, 0)
    >>> served = Served(network.eval(), MetadataEncoder(()), {"size": 64, "resolutions": [], "views": 1}, 1.0)
    >>> unknown = torch.tensor([-1])
    >>> served(torch.zeros(1, 45, 60, 3, dtype=torch.uint8), torch.tensor([torch.nan]), unknown, unknown)[0].shape
    torch.Size([1, 7])
    """

    def __init__(
        self, network: LesionClassifier, encoder: MetadataEncoder, preprocessing: Mapping[str, Any], temperature: float
    ) -> None:
        super().__init__()
        self.network = network
        self.encoder = encoder
        self.preprocessing = preprocessing
        self.looks = looks_of(preprocessing)
        self.views = VIEWS[: preprocessing["views"]]
        self.temperature = temperature
        # Of pixels from 0 to 255; constants of the graph.
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in (network.mean, network.std))

    def forward(
        self, images: torch.Tensor, age: torch.Tensor, sex: torch.Tensor, site: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Answer for N photos of one size.

        Parameters
        ----------
        images
            uint8 (N, H, W, 3), RGB, upright.
        age
            float32 (N,), years, NaN where unknown.
        sex, site
            int64 (N,), places in `CATEGORIES`, -1 where unknown.

        Returns
        -------
        probabilities
            float32 (N, classes), calibrated.
        logits
            float32 (N, classes), means over views and looks, before the temperature.
        features
            float32 (N, F), what the network saw of the photos as they are held; means over looks.
        view_logits
            float32 (views, N, classes), means over looks.
        """
        return self.answer([stretch(images, *look) for look in self.looks], age, sex, site)

    def answer(
        self, stretched: Sequence[torch.Tensor], age: torch.Tensor, sex: torch.Tensor, site: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """`forward` of photos that are stretched already: for each of `looks` float32 (N, 3, S, S), from 0 to 255."""
        metadata, present = self._encoded({"age": age, "sex": sex, "site": site})
        repeated = metadata.repeat(len(self.views), 1), present.repeat(len(self.views))
        logits, features = [], []
        for pixels in stretched:
            batch = (pixels - self.mean) / self.std
            feature_map, seen = self.network.see(torch.cat([_seen(batch, *view) for view in self.views]))
            logits.append(self.network.classify(feature_map, *repeated))
            features.append(seen[: pixels.shape[0]])
        view_logits = _mean(logits).reshape(len(self.views), -1, self.network.num_classes)
        mean_logits = view_logits.mean(dim=0)
        return torch.softmax(mean_logits / self.temperature, dim=1), mean_logits, _mean(features), view_logits

    def _encoded(self, columns: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """What `MetadataEncoder.encode` makes of known values, and whether a row has any, bool (N,)."""
        parts, known = [columns["age"][:, None][:, :0]], []
        for name in self.encoder.fields:
            if name == "age":
                missing = torch.isnan(columns["age"])
                scaled = (columns["age"] - self.encoder.age_mean) / self.encoder.age_sd
                parts.append(torch.stack([torch.where(missing, torch.zeros_like(scaled), scaled), missing.float()], dim=1))
            else:
                num_categories = len(CATEGORIES[name])
                codes = columns[name]
                missing = torch.logical_or(codes < 0, codes >= num_categories)
                places = torch.where(missing, torch.full_like(codes, num_categories), codes)
                parts.append((places[:, None] == torch.arange(num_categories + 1, device=codes.device)).float())
            known.append(~missing)
        present = torch.stack(known).any(dim=0) if known else torch.zeros_like(columns["age"], dtype=torch.bool)
        return torch.cat(parts, dim=1), present


def stretch(images: torch.Tensor, size: int, share: float = 1.0) -> torch.Tensor:
    """`nevus.data.resample.stretch` of uint8 (N, H, W, 3) to float32 (N, 3, size, size), by two products of matrices."""
    num, height, width = images.shape[0], images.shape[1], images.shape[2]
    rows = _weights(height, size, share) @ images.float().reshape(num, height, width * 3)
    turned = rows.reshape(num, size, width, 3).permute(0, 3, 1, 2)
    return turned @ _weights(width, size, share).T


def _weights(length: int, size: int, share: float) -> torch.Tensor:
    """`nevus.data.resample.weights`. Traced, `length` is a number that only a photo brings: all of this goes into the graph."""
    places = torch.arange(length).float()
    scale = torch.ones_like(places).sum() / (size / share)
    centres = (torch.arange(size).float() + (0.5 + (1 - share) / 2 * size / share)) * scale - 0.5
    triangle = (1 - (places - centres[:, None]).abs() / scale.clamp(min=1)).clamp(min=0)
    return triangle / triangle.sum(dim=1, keepdim=True)


def _seen(batch: torch.Tensor, transposed: bool, axes: tuple[int, ...]) -> torch.Tensor:
    """(N, 3, S, S) in one of `VIEWS`, whose axes are those of (N, H, W, 3)."""
    turned = batch.transpose(2, 3) if transposed else batch
    return turned.flip([axis + 1 for axis in axes]) if axes else turned


def _mean(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)
