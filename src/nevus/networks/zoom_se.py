"""Zoom-SE, ZooME's channel attention (Xing et al. 2021, section III.A)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

Gate = Literal["sigmoid", "literal"]

# Both gates are 0.982 there: sixteen fresh ones in a row keep three quarters of the signal, where gates of 0.5 would keep 2⁻¹⁶.
# It is positive, so the literal gate's ReLU is not dead at the start.
_FRESH_LOGIT = 4.0


def _literal(q: torch.Tensor) -> torch.Tensor:
    """Equation 2 read to the letter: a ReLU before the sigmoid, so the gate lies in [0.5, 1)."""
    return torch.sigmoid(torch.relu(q))


GATES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"sigmoid": torch.sigmoid, "literal": _literal}


class ZoomSE(nn.Module):
    """Squeeze by a k×k adaptive max pool and its mean, excite by two layers, multiply channel by channel (equations 1 to 3).

    s = mean(adaptive_max_pool(u, zoom_size)), q = W₂ relu(W₁ s), x = u · g(q). Equation 3 multiplies by s, which would leave
    W₁ and W₂ without effect; q is meant.

    Parameters
    ----------
    channels
        C of the feature map.
    zoom_size
        Side of the pooled map; the paper's search chose 4. A smaller feature map repeats its pixels.
    reduction
        W₁ has channels // reduction rows, at least 1. The paper gives none; 16 is that of squeeze and excitation.
    gate
        "sigmoid", or "literal" for sigmoid(relu(q)). A fresh gate is 0.982 whatever its input: W₂ starts at 0, its bias at 4.

    Examples
    --------
    >>> ZoomSE(8)(torch.ones(2, 8, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(self, channels: int, zoom_size: int = 4, reduction: int = 16, gate: Gate = "sigmoid") -> None:
        super().__init__()
        self.zoom_size = zoom_size
        self.squeeze = nn.Linear(channels, max(1, channels // reduction))
        self.excite = nn.Linear(self.squeeze.out_features, channels)
        self.gate = GATES[gate]
        nn.init.zeros_(self.excite.weight)
        nn.init.constant_(self.excite.bias, _FRESH_LOGIT)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        s = zoom(u, self.zoom_size).mean(dim=(2, 3))
        q = self.excite(torch.relu(self.squeeze(s)))
        return u * self.gate(q)[:, :, None, None]


def zoom(u: torch.Tensor, size: int) -> torch.Tensor:
    """Adaptive max pool of (N, C, H, W) to (N, C, size, size); in an export as slices, ONNX having only windows of equal size."""
    if not torch.onnx.is_in_onnx_export():
        return nn.functional.adaptive_max_pool2d(u, size)
    return sliced_zoom(u, size)


def sliced_zoom(u: torch.Tensor, size: int) -> torch.Tensor:
    """The same by slices and maxima; slower, and H and W become constants of the graph."""
    height, width = int(u.shape[2]), int(u.shape[3])  # in a trace they are tensors, and ONNX divides those towards zero
    rows = torch.stack([u[:, :, start:stop].amax(dim=2) for start, stop in windows(height, size)], dim=2)
    return torch.stack([rows[:, :, :, start:stop].amax(dim=3) for start, stop in windows(width, size)], dim=3)


def windows(length: int, size: int) -> list[tuple[int, int]]:
    """Where adaptive pooling's windows start and stop: ⌊i·L/k⌋ and ⌈(i+1)·L/k⌉.

    >>> windows(5, 4)
    [(0, 2), (1, 3), (2, 4), (3, 5)]
    """
    return [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
