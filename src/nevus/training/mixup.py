"""mixup (Zhang et al. 2018): a network learns pairs of images, and of their answers, mixed in the same proportion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Mixture:
    """How a step mixes its batch: λ of each image and 1 − λ of its partner; without partners everything stays as it is.

    λ ~ Beta(α, α) is one number a step, as in the authors' code, and a function of (seed, step). Metadata is mixed as well: it is
    part of what the network sees, and the answer is mixed in that proportion; from one image's metadata beside the answers of two
    the network would learn to believe metadata less. Where one of a pair has metadata, the pair has: the mixed encoding says that
    a part is missing. Several processes share λ, and each pairs the images of its own part of the batch.
    """

    weight: float = 1.0
    partners: torch.Tensor | None = None

    @classmethod
    def draw(cls, alpha: float, seed: int, step: int, num_images: int, device: torch.device) -> "Mixture":
        """The mixture of a step; none at an `alpha` of 0.

        >>> mixture = Mixture.draw(0.2, seed=0, step=7, num_images=4, device=torch.device("cpu"))
        >>> mixture.weight == Mixture.draw(0.2, 0, 7, 2, torch.device("cpu")).weight
        True
        """
        if alpha == 0:
            return cls()
        rng = np.random.default_rng([seed, step, 2])
        return cls(float(rng.beta(alpha, alpha)), torch.from_numpy(rng.permutation(num_images)).to(device))

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
