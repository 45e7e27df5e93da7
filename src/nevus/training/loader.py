"""Batches from the pack: warped by threads while the network trains, uint8 until they are on the device."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.data.augment import augment, centre_matrix, warp
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack
from nevus.recipe import Recipe

Rows = NDArray[np.int64]
_AHEAD = 3


@dataclass(frozen=True)
class Examples:
    """All images of a manifest with their targets and encoded metadata, row by row; `missing` is (N, fields)."""

    pack: Pack
    targets: NDArray[np.int64]
    encoder: MetadataEncoder
    metadata: NDArray[np.float32]
    missing: NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """`images` uint8 (N, size, size, 3), `metadata` float32 (N, M), `present` bool (N,), `targets` int64 (N,)."""

    images: torch.Tensor
    metadata: torch.Tensor
    present: torch.Tensor
    targets: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        moved = (tensor.to(device, non_blocking=True) for tensor in (self.images, self.metadata, self.present, self.targets))
        return Batch(*moved)


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W), (x / 255 - mean) / std; the memory stays channels-last."""
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


def num_steps(num_rows: int, batch_size: int) -> int:
    """Steps an epoch. The rest of a division is left out: another part of the rows at every epoch."""
    return max(1, num_rows // batch_size)


def training_batches(
    examples: Examples, rows: Rows, recipe: Recipe, epoch: int, first_step: int = 0, rank: int = 0, num_processes: int = 1
) -> Iterator[Batch]:
    """Batches of one epoch from `first_step` on; each is a function of (seed, epoch, rows) and of nothing else."""
    training, seed = recipe.training, recipe.training.seed
    order = np.random.default_rng([seed, epoch]).permutation(rows)

    def assemble(step: int) -> Batch:
        chosen = order[step * training.batch_size : (step + 1) * training.batch_size][rank::num_processes]
        generators = [np.random.default_rng([seed, epoch, int(row)]) for row in chosen]
        images = [
            augment(examples.pack.image(row), recipe.data.augment, rng, recipe.data.size)
            for row, rng in zip(chosen, generators, strict=True)
        ]
        hidden = np.stack([_hidden(rng, training.metadata_dropout, examples.missing.shape[1]) for rng in generators])
        missing = examples.missing[chosen] | hidden
        return _batch(examples, chosen, images, examples.encoder.drop(examples.metadata[chosen], missing), missing)

    return _ahead(assemble, range(first_step, num_steps(len(rows), training.batch_size)))


def evaluation_batches(examples: Examples, rows: Rows, size: int, batch_size: int) -> Iterator[Batch]:
    """Every row once, in order, whole images, all metadata there is."""

    def assemble(step: int) -> Batch:
        chosen = rows[step * batch_size : (step + 1) * batch_size]
        views = [examples.pack.image(row) for row in chosen]
        images = [warp(view, centre_matrix(view.shape[0], view.shape[1], size), size) for view in views]
        return _batch(examples, chosen, images, examples.metadata[chosen], examples.missing[chosen])

    return _ahead(assemble, range(-(-len(rows) // batch_size)))


def _hidden(rng: np.random.Generator, rate: float, num_fields: int) -> NDArray[np.bool_]:
    """Hide each field with probability `rate`, and all of them at once as often (DESIGN: metadata is optional)."""
    return np.logical_or(rng.random(num_fields) < rate, rng.random() < rate)


def _batch(
    examples: Examples,
    rows: Rows,
    images: list[NDArray[np.uint8]],
    metadata: NDArray[np.float32],
    missing: NDArray[np.bool_],
) -> Batch:
    return Batch(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(metadata),
        torch.from_numpy(~missing.all(axis=1)),
        torch.from_numpy(examples.targets[rows]),
    )


def _ahead(assemble: Callable[[int], Batch], steps: range) -> Iterator[Batch]:
    """Assemble the next batches in a thread while the caller works on this one (OpenCV releases the interpreter lock)."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(assemble, step) for step in steps[:_AHEAD]]
        for step in steps:
            batch = waiting.pop(0).result()
            if step + _AHEAD < steps.stop:
                waiting.append(pool.submit(assemble, step + _AHEAD))
            yield batch
