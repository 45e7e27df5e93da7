"""mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): pairs of images are learned, with answers in the same proportion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

# Top, left, bottom, right, pixels.
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mixture:
    """How a step mixes its batch: λ of each image and 1 − λ of its partner; without partners everything stays as it is.

    λ ~ Beta(α, α) is one number a step, as in the authors' code, and a function of (seed, step). With a `box` it is what is left
    of an image after its partner's part has been pasted over the rest; without one the pixels are averaged. Metadata is mixed as
    well: it is part of what the network sees, and the answer is mixed in that proportion; from one image's metadata beside the
    answers of two the network would learn to believe metadata less. Where one of a pair has metadata, the pair has: the mixed
    encoding says that a part is missing. Several processes share λ, and each pairs the images of its own part of the batch.
    """

    weight: float = 1.0
    partners: torch.Tensor | None = None
    box: Box | None = None

    @classmethod
    def draw(cls, mixup: float, cutmix: float, seed: int, step: int, shape: Sequence[int], device: torch.device) -> "Mixture":
        """The mixture of a step, for images of `shape` (N, H, W); none where both α are 0, one of the two kinds where none is.

        >>> mixture = Mixture.draw(0.2, 0.0, seed=0, step=7, shape=(4, 32, 32), device=torch.device("cpu"))
        >>> mixture.weight == Mixture.draw(0.2, 0.0, 0, 7, (2, 64, 64), torch.device("cpu")).weight
        True
        """
        if mixup == 0 == cutmix:
            return cls()
        rng = np.random.default_rng([seed, step, 2])
        pastes = cutmix > 0 and (mixup == 0 or bool(rng.random() < 0.5))
        alpha = cutmix if pastes else mixup
        weight, partners = float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(shape[0])).to(device)
        if not pastes:
            return cls(weight, partners)
        box = _box(weight, shape[1:], rng.random(2))
        # The box may end at the border: what counts is what was pasted.
        return cls(1 - _area(box) / (shape[1] * shape[2]), partners, box)

    def blend_images(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W) averaged with their partners', or with the box of them pasted in."""
        if self.partners is None or self.box is None:
            return self.blend(images)
        top, left, bottom, right = self.box
        pasted = images.clone()
        pasted[:, :, top:bottom, left:right] = images[self.partners, :, top:bottom, left:right]
        return pasted

    def blend(self, values: torch.Tensor) -> torch.Tensor:
        """λ x + (1 − λ) x of the partner, float32 (N, …)."""
        return values if self.partners is None else self.weight * values + (1 - self.weight) * values[self.partners]

    def either(self, present: torch.Tensor) -> torch.Tensor:
        """True where an image or its partner is, bool (N,)."""
        return present if self.partners is None else present | present[self.partners]

    def loss(self, loss: Callable[[torch.Tensor], torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
        """λ of the loss for the images' targets (N,) and 1 − λ of that for their partners'."""
        if self.partners is None:
            return loss(targets)
        return self.weight * loss(targets) + (1 - self.weight) * loss(targets[self.partners])


def _box(weight: float, shape: Sequence[int], centre: np.ndarray) -> Box:
    """A box of 1 − λ of the area and the image's proportions about a random place, cut at the borders (their equation 2)."""
    sides = [side * (1 - weight) ** 0.5 for side in shape]
    starts = [round(max(0.0, at * side - extent / 2)) for at, side, extent in zip(centre, shape, sides, strict=True)]
    ends = [round(min(side, at * side + extent / 2)) for at, side, extent in zip(centre, shape, sides, strict=True)]
    return starts[0], starts[1], ends[0], ends[1]


def _area(box: Box) -> int:
    top, left, bottom, right = box
    return (bottom - top) * (right - left)
