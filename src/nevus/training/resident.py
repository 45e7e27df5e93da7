"""The whole pack on the accelerator, and a batch of augmented views by one sampler there: no loader, no copy a step.

The same warps as `nevus.data.augment.apply`, from the same random numbers. Views differ from the CPU's by rounding alone: OpenCV
interpolates in fixed point, this in float32; a test holds the difference at `TOLERANCE` grey levels.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.data.augment import Plan
from nevus.data.pack import Pack
from nevus.recipe import AugmentRecipe

# Largest difference from the CPU's pixels, grey levels of 255.
TOLERANCE = 2
# Of the free memory: the network, its gradients and its activations need the rest.
_SHARE = 0.4


class ResidentPack:
    """A pack in the memory of `device`, as one row of RGB pixels after another, whatever the images' shapes."""

    def __init__(self, pack: Pack, device: torch.device) -> None:
        sizes = pack.shapes.prod(axis=1)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._pixels = torch.empty((int(sizes.sum()), 3), dtype=torch.uint8, device=device)
        for index, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            self._pixels[start : start + size] = torch.from_numpy(pack.image(index).reshape(-1, 3)).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self._shapes = torch.from_numpy(pack.shapes).to(device)
        self._device = device

    @classmethod
    def where_it_fits(cls, pack: Pack, device: torch.device, recipe: AugmentRecipe) -> "ResidentPack | None":
        """The pack on an accelerator with room for it; None on a CPU, without room, or with hair, rulers or RandAugment."""
        if device.type != "cuda" or recipe.hair or recipe.ruler or recipe.randaugment.kind != "none":
            return None
        free, _ = torch.cuda.mem_get_info(device)
        return cls(pack, device) if 3 * int(pack.shapes.prod(axis=1).sum()) <= _SHARE * free else None

    @torch.no_grad()
    def views(self, rows: NDArray[np.int64], steps: Plan, size: int) -> torch.Tensor:
        """The views that `steps` plans of the images at `rows`: uint8 (N, size, size, 3) on the device."""
        chosen = torch.from_numpy(rows).to(self._device)
        warps = torch.from_numpy(steps.warps).to(self._device, torch.float32)[:, :, :, None, None]
        grid = torch.arange(size, device=self._device, dtype=torch.float32)
        across, down = grid[None, None, :], grid[None, :, None]
        heights, widths = self._shapes[chosen].unbind(dim=1)
        x = warps[:, 0, 0] * across + warps[:, 0, 1] * down + warps[:, 0, 2]
        y = warps[:, 1, 0] * across + warps[:, 1, 1] * down + warps[:, 1, 2]
        left, right, share_x = _neighbours(x, widths)
        top, bottom, share_y = _neighbours(y, heights)
        start, width = self._starts[chosen][:, None, None], widths[:, None, None]

        def row(line: torch.Tensor) -> torch.Tensor:
            first, second = (self._pixels[start + line * width + column].float() for column in (left, right))
            return first.lerp_(second, share_x)

        views = row(top).lerp_(row(bottom), share_y)
        if steps.colours is not None:
            colours = torch.from_numpy(steps.colours).to(self._device, torch.float32)
            views = views.round_()
            views = torch.einsum("nhwc,ndc->nhwd", views, colours[:, :, :3]) + colours[:, None, None, :, 3]
        views = views.round_().clamp_(0, 255)
        if steps.boxes is not None:
            top, left, bottom, right = (edge[:, None, None] for edge in torch.from_numpy(steps.boxes).to(self._device).unbind(1))
            inside = (down >= top) & (down < bottom) & (across >= left) & (across < right)
            views = torch.where(inside[..., None], views.mean(dim=(1, 2), keepdim=True).round_(), views)
        return views.to(torch.uint8)


def _neighbours(position: torch.Tensor, extent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The pixels before and after each position, mirrored about the border pixels (OpenCV's BORDER_REFLECT_101), and the share
    of the one after, with a last axis for the channels."""
    last = (extent - 1)[:, None, None]
    folded = torch.remainder(position, 2 * last)
    folded = torch.where(folded > last, 2 * last - folded, folded)
    before = folded.floor()
    after = torch.minimum(before + 1, last)
    return before.long(), after.long(), (folded - before)[..., None]
