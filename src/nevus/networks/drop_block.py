"""DropBlock: whole squares of a feature map are dropped in training, since a place's neighbours tell most of what it told."""

import torch
from torch import nn
from torch.nn.functional import max_pool2d, pad


class DropBlock(nn.Module):
    """Zero squares of a feature map in training, the rest scaled up (Ghiasi et al. 2018, algorithm 1); elsewhere nothing happens.

    A square lies wholly inside the map, and every channel has squares of its own, which the paper found better than shared ones.
    `share`, of training done, scales the rate: the paper's keep probability falls linearly from 1. A square is no larger than
    the map, where it drops whole channels. timm's layer is another function: it lets squares begin anywhere, with the probability
    meant for those wholly inside, and drops 0.31 of a 7×7 map where 0.1 was asked for (side 5).

    Parameters
    ----------
    rate
        Share of the map that is dropped at the end of training, but for what squares have in common.
    side
        Side of a square, places of the feature map.

    Examples
    --------
    >>> dropped = DropBlock(rate=0.2, side=3)(torch.ones(64, 8, 7, 7)) == 0
    >>> 0.1 < dropped.float().mean() < 0.2
    tensor(True)
    """

    def __init__(self, rate: float, side: int) -> None:
        super().__init__()
        self.rate = rate
        self.side = side
        self.share = 1.0

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        rate = self.rate * self.share
        if not self.training or rate == 0:
            return feature_map
        num, channels, height, width = feature_map.shape
        rows, columns = min(self.side, height), min(self.side, width)
        down, across = height - rows + 1, width - columns + 1
        chance = rate * height * width / (rows * columns * down * across)
        corners = torch.rand(num, channels, down, across, device=feature_map.device) < chance
        spread = pad(corners.to(feature_map.dtype), (columns - 1, columns - 1, rows - 1, rows - 1))
        kept = 1 - max_pool2d(spread, (rows, columns), stride=1)
        return feature_map * kept * (kept.numel() / kept.sum(dtype=torch.float32).clamp_min(1))
