"""Soft attention as the 2022 paper means it, and as the code behind it computes it (Datta et al. 2021; Do 2022, section 4.2)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from nevus.errors import RecipeError

Mode = Literal["intended", "code"]


class PublishedConvolution(nn.Module):
    """What the published layer computes where a 3×3 convolution over all channels was meant: (N, C, H, W) to (N, K, H, W).

    Its Keras Conv3D kernel (C, 3, 3, 1, K) meets the map (H, W, C, 1) with strides (1, 1, C) and "SAME" padding. So the C rows
    lie along the height, ⌊(C − 1)/2⌋ of them above the pixel, and the window of 3 channels is taken once, unpadded, at channel 0:
    the result depends on channels 0, 1 and 2 alone. A ReLU follows.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        # In Keras's order, so that published weights can be copied as they are but for the axis of length 1, which torch's
        # channels_last would refuse; He's initialisation, as there.
        self.kernel = nn.Parameter(torch.empty(channels, 3, 3, num_heads))
        self.bias = nn.Parameter(torch.zeros(num_heads))
        nn.init.kaiming_uniform_(self.kernel.view(-1, num_heads).t())

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, K, H, W)."""
        rows = self.kernel.shape[0]
        above = (rows - 1) // 2
        padded = nn.functional.pad(u[:, :3], (1, 1, above, rows - 1 - above))
        weight = self.kernel.permute(3, 2, 0, 1)  # (C rows, 3 columns, 3 channels, K) to Conv2d's order
        return torch.relu(nn.functional.conv2d(padded, weight, self.bias))


def _intended(channels: int, num_heads: int) -> nn.Module:
    return nn.Conv2d(channels, num_heads, 3, padding=1)


LOGITS: dict[str, Callable[[int, int], nn.Module]] = {"intended": _intended, "code": PublishedConvolution}


class SoftAttention(nn.Module):
    """Weigh a feature map by where to look: (N, C, H, W) to (N, 2C, ⌈H/2⌉, ⌈W/2⌉).

    αₖ = softmax over H·W of the k-th map of logits, f = γ · u · Σₖ αₖ (equation 1); u and f are max-pooled 2×2, concatenated,
    and go through ReLU and drop-out.

    Parameters
    ----------
    channels
        C of the feature map.
    num_heads
        K attention maps.
    mode
        "intended": a 3×3 convolution over all channels and a learnable γ that starts at 1. "code": `PublishedConvolution` and no
        γ. Both convolutions have 9·C·K + K parameters.
    dropout
        Probability, 0.5 in the paper.

    Examples
    --------
    >>> SoftAttention(8)(torch.ones(2, 8, 7, 7)).shape
    torch.Size([2, 16, 4, 4])
    """

    def __init__(self, channels: int, num_heads: int = 16, mode: Mode = "intended", dropout: float = 0.5) -> None:
        super().__init__()
        self.logits = LOGITS[mode](channels, num_heads)
        self.gamma = nn.Parameter(torch.ones(())) if mode == "intended" else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, 2C, ⌈H/2⌉, ⌈W/2⌉)."""
        f = u * self.attention_map(u)
        if self.gamma is not None:
            f = self.gamma * f
        pooled = [nn.functional.max_pool2d(part, 2, ceil_mode=True) for part in (u, f)]
        features: torch.Tensor = self.dropout(torch.relu(torch.cat(pooled, dim=1)))
        return features

    def attention_map(self, u: torch.Tensor) -> torch.Tensor:
        """Σₖ αₖ as (N, 1, H, W); over the positions it sums to K.

        Raises
        ------
        RecipeError
            H or W is 1: a softmax over one pixel is a constant.
        """
        height, width = int(u.shape[2]), int(u.shape[3])
        check_map(height, width)
        alphas: torch.Tensor = self.logits(u).flatten(2).softmax(dim=2)
        return alphas.sum(dim=1).view(-1, 1, height, width)


def check_map(height: int, width: int) -> None:
    """Refuse a feature map that soft attention has nothing to choose from in."""
    if min(height, width) < 2:
        raise RecipeError(
            f"soft attention on a {height}x{width} feature map: a softmax over one pixel is a constant; it needs 2x2. "
            "Choose an earlier model.tap or a larger data.size."
        )
