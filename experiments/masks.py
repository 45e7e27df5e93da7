"""Do lesion masks help the small model? Its first stage with what masks can add to the loss, told from the same without them.

    python experiments/masks.py data/ham10000.csv HAM10000/masks --task map --out runs/masks

trains one run, on the rows of the ledger (experiments/ledger.py), by experiments/masks.toml; `--set` changes its recipe as it
does in nevus. `--task` is one of

- none: no mask is looked at;
- map: beside its answer the network says where the lesion is, from its middle stage (1/16 of the image's side): half the binary
  cross-entropy of a 1×1 convolution against the share of lesion under each place is added to the loss;
- share: CutMix gives the answers of a pair in the proportion of the lesions' pixels that are left of either, not of the areas: a
  pasted corner of bare skin then does not count.

Nothing is asked of a mask when the network answers. A run is gone on with as any other.
"""

import argparse
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits, cross_entropy

from ledger import screening_rows
from nevus.data.augment import draw, plan, warp
from nevus.data.images import read_image
from nevus.data.manifest import Manifest
from nevus.evaluation.cross_validate import cross_validate
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import Recipe
from nevus.training import fit, loop
from nevus.training.loader import Batch, Examples, Rows, num_steps
from nevus.training.mixup import Mixture

RECIPE = Path(__file__).with_name("masks.toml")
WEIGHT = 0.5


class MaskTask(nn.Module):
    """What masks add to the loss of a step, in the place where a distiller stands.

    Parameters
    ----------
    task
        "map" or "share".
    student
        Its middle stage's map is taken as it goes by.
    examples, rows
        All images, and int64 (M,) those that train.
    masks
        Of each of these rows: uint8 (H, W) as large as its image, 255 where the lesion is.
    recipe
        From which a step's views and mixture are drawn again.
    """

    def __init__(
        self,
        task: str,
        student: LesionClassifier,
        examples: Examples,
        rows: Rows,
        masks: Mapping[int, NDArray[np.uint8]],
        recipe: Recipe,
    ) -> None:
        super().__init__()
        self._examples, self._masks, self._recipe = examples, masks, recipe
        self._num_steps = recipe.training.epochs * num_steps(len(rows), recipe.training.batch_size)
        counts = np.bincount(examples.targets[rows], minlength=student.num_classes)
        self._log_prior = torch.from_numpy(np.log(counts / counts.sum())).float()
        self._draws = cache(lambda epoch: draw(recipe.training.seed, epoch, len(examples.pack)))
        self.head = nn.Conv2d(student.backbone.num_middle_channels, 1, 1) if task == "map" else None
        self._taken: list[torch.Tensor] = []
        self._hook = student.backbone.layers.register_forward_hook(self._take)

    def to_device(self, device: torch.device) -> "MaskTask":
        """As a distiller's."""
        return self.to(device)

    def forward(self, batch: Batch, logits: torch.Tensor, done: float) -> torch.Tensor:
        """What is added to the loss, as a distiller's `forward`."""
        training = self._recipe.training
        step = round(done * self._num_steps)
        lesions = self.lesions(batch, 1 + step * training.epochs // self._num_steps)
        mixture = Mixture.draw(training.mixup, training.cutmix, training.seed, step, batch.images.shape[:3], batch.images.device)
        middle = self._taken.pop()
        if self.head is not None:
            said = self.head(middle.float())
            shares = adaptive_avg_pool2d(mixture.blend_images(lesions), said.shape[2:])
            return WEIGHT * binary_cross_entropy_with_logits(said, shares)
        assert mixture.partners is not None
        targets = batch.targets, batch.targets[mixture.partners]
        own, other = (cross_entropy(logits + self._log_prior, these, reduction="none") for these in targets)
        # The loop adds the loss in proportion of the areas; this takes it away again.
        return ((lesion_share(lesions, mixture) - mixture.weight) * (own - other)).mean()

    def lesions(self, batch: Batch, epoch: int) -> torch.Tensor:
        """The masks of a batch, turned and cropped as its images were: float32 (N, 1, size, size) in [0, 1]."""
        rows, size = batch.rows.numpy(), batch.images.shape[1]
        views = plan(self._recipe.data.augment, self._draws(epoch)[rows], self._examples.pack.shapes[rows], size)
        warped = [warp(self._masks[int(row)], matrix, size) for row, matrix in zip(rows, views.warps, strict=True)]
        return torch.from_numpy(np.stack(warped)[:, None].astype(np.float32) / 255)

    def _take(self, layers: nn.Module, inputs: tuple[torch.Tensor, ...], maps: tuple[torch.Tensor, torch.Tensor]) -> None:
        if layers.training:
            self._taken[:] = [maps[1]]

    def detach(self) -> None:
        """Let go of the network."""
        self._hook.remove()


def read_mask(path: Path, shape: NDArray[np.int64]) -> NDArray[np.uint8]:
    """A mask as large as its image in the pack, uint8 (H, W)."""
    height, width = map(int, shape)
    return cv2.resize(read_image(path).max(axis=2), (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def lesion_share(lesions: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Which part of the lesion pixels of each pasted image are its own, float32 (N,); the area's where there are none."""
    assert mixture.partners is not None
    assert mixture.box is not None
    top, left, bottom, right = mixture.box
    inside = lesions[:, :, top:bottom, left:right].sum(dim=(1, 2, 3))
    kept, pasted = lesions.sum(dim=(1, 2, 3)) - inside, inside[mixture.partners]
    return torch.where(kept + pasted > 0, kept / (kept + pasted), mixture.weight)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("masks", type=Path, help="folder of ID.png")
    parser.add_argument("--task", choices=["none", "map", "share"], required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="a setting of the recipe; repeatable")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the runs")
    parser.add_argument("--name", help="the run's; the task's unless given")
    words = parser.parse_args()
    recipe = Recipe.read(RECIPE).with_settings(words.settings)
    manifest = screening_rows(recipe, Manifest.read(words.manifest), words.out)
    image_ids = manifest.frame["image_id"].to_numpy()

    def train(network: LesionClassifier, examples: Examples, training_rows: Rows, *rest: Any, **named: Any) -> loop.State:
        masks = {int(row): read_mask(words.masks / f"{image_ids[row]}.png", examples.pack.shapes[row]) for row in training_rows}
        task = MaskTask(words.task, network, examples, training_rows, masks, recipe)
        try:
            return loop.train(network, examples, training_rows, *rest, **{**named, "distiller": task})
        finally:
            task.detach()

    if words.task != "none":
        fit.train = train
    cv2.setNumThreads(1)
    cross_validate(recipe, manifest, words.out / (words.name or words.task), only=[0])


if __name__ == "__main__":
    main()
