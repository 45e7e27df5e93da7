"""A rival in ZooME's Table I that no library has: the network of Kaur, GholamHosseini and Sinha (EMBC 2020), as far as is known.

Its four pages describe a convolutional network trained from scratch on dermoscopy images; no code was published, and no table of
layers that we could read. Assumed here, in the way of such networks: five blocks of two 3×3 convolutions, each with batch norm
and a leaky ReLU, 2×2 max pooling after each block, 32 to 512 channels. Its figures measure that reading, not the authors'.
"""

import torch
from torch import nn

_CHANNELS = (32, 64, 128, 256, 512)


class Kaur2020(nn.Module):
    """float32 (N, 3, H, W) to (N, 512, H/32, W/32).

    Examples
    --------
    >>> Kaur2020().forward_features(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 512, 2, 2])
    """

    num_features = _CHANNELS[-1]

    def __init__(self) -> None:
        super().__init__()
        blocks = []
        inputs = 3
        for channels in _CHANNELS:
            layers: list[nn.Module] = []
            for before in (inputs, channels):
                layers += [nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.LeakyReLU(0.1)]
            blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
            inputs = channels
        self.blocks = nn.Sequential(*blocks)

    def forward_features(self, batch: torch.Tensor) -> torch.Tensor:
        """The last feature map."""
        feature_map: torch.Tensor = self.blocks(batch)
        return feature_map
