"""Batches from the pack: warped by threads while the network trains, uint8 until they are on the device."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.data.augment import Plan, apply, centre_matrix, draw, hidden, plan, warp
from nevus.data.looks import Look
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack
from nevus.processors import num_processors
from nevus.recipe import Recipe
from nevus.training.resident import ResidentPack
from nevus.training.sampler import epoch_rows

Rows = NDArray[np.int64]
# Batches assembled side by side, and how many are ready or under way beyond them.
_THREADS = min(4, num_processors())
_AHEAD = _THREADS + 2


@dataclass(frozen=True)
class Examples:
    """All images of a manifest with their targets and encoded metadata, row by row; `missing` is (N, fields).

    `classes` are the names that the targets are indices of, where these are known.
    """

    pack: Pack
    targets: NDArray[np.int64]
    encoder: MetadataEncoder
    metadata: NDArray[np.float32]
    missing: NDArray[np.bool_]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """`images` uint8 (N, size, size, 3), `metadata` float32 (N, M), `present` bool (N,), `targets` and `rows` int64 (N,)."""

    images: torch.Tensor
    metadata: torch.Tensor
    present: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`."""
        tensors = (self.images, self.metadata, self.present, self.targets, self.rows)
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors))


def normalise(images: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W), (x / 255 - mean) / std; the memory stays channels-last."""
    return images.permute(0, 3, 1, 2).float().mul_(1 / (255 * std)).sub_(mean / std)


def num_steps(num_rows: int, batch_size: int, at_most: int = 0) -> int:
    """Steps an epoch, `at_most` so many unless that is 0. What is left out is another part of the rows at every epoch."""
    whole = max(1, num_rows // batch_size)
    return min(whole, at_most) if at_most else whole


def training_batches(
    examples: Examples,
    rows: Rows,
    recipe: Recipe,
    epoch: int,
    first_step: int = 0,
    rank: int = 0,
    num_processes: int = 1,
    resident: ResidentPack | None = None,
) -> Iterator[Batch]:
    """Batches of one epoch from `first_step` on; each is a function of (seed, epoch, rows) and of nothing else.

    With a `resident` pack the images are made on its device, else by threads.
    """
    training, seed = recipe.training, recipe.training.seed
    size = training.growth.size(epoch, training.epochs, recipe.data.size)
    shown, numbers = epoch_rows(training.sampler, rows, examples.targets, seed, epoch)
    order = np.random.default_rng([seed, epoch]).permutation(np.arange(len(shown)))
    draws = draw(seed, epoch, max(len(examples.pack), int(numbers.max()) + 1))
    steps = range(first_step, num_steps(len(shown), training.batch_size, training.epoch_steps))

    def assemble(step: int) -> Batch:
        places = order[step * training.batch_size : (step + 1) * training.batch_size][rank::num_processes]
        chosen, drawn = shown[places], draws[numbers[places]]
        views = plan(recipe.data.augment, drawn, examples.pack.shapes[chosen], size)
        images = resident.views(chosen, views, size) if resident else _views(examples.pack, chosen, views, recipe, size)
        missing = examples.missing[chosen] | hidden(drawn, training.metadata_dropout, examples.missing.shape[1])
        return _batch(examples, chosen, images, examples.encoder.drop(examples.metadata[chosen], missing), missing)

    return map(assemble, steps) if resident else _ahead(assemble, steps)


class Timed:
    """Batches, and in `seconds` how long whoever uses them has waited for them."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Batch]:
        started = time.perf_counter()
        for batch in self._batches:
            self.seconds += time.perf_counter() - started
            yield batch
            started = time.perf_counter()


def evaluation_batches(examples: Examples, rows: Rows, look: Look, batch_size: int) -> Iterator[Batch]:
    """Every row once, in order, one look at each image, all metadata there is."""

    def assemble(step: int) -> Batch:
        chosen = rows[step * batch_size : (step + 1) * batch_size]
        views = [examples.pack.image(row) for row in chosen]
        matrices = [centre_matrix(view.shape[0], view.shape[1], *look) for view in views]
        images = np.stack([warp(view, matrix, look.size) for view, matrix in zip(views, matrices, strict=True)])
        return _batch(examples, chosen, torch.from_numpy(images), examples.metadata[chosen], examples.missing[chosen])

    return _ahead(assemble, range(-(-len(rows) // batch_size)))


def _views(pack: Pack, rows: Rows, steps: Plan, recipe: Recipe, size: int) -> torch.Tensor:
    images = np.empty((len(rows), size, size, 3), np.uint8)
    for index, row in enumerate(rows):
        apply(steps, index, pack.image(row), recipe.data.augment, images[index])
    return torch.from_numpy(images)


def _batch(
    examples: Examples,
    rows: Rows,
    images: torch.Tensor,
    metadata: NDArray[np.float32],
    missing: NDArray[np.bool_],
) -> Batch:
    return Batch(
        images,
        torch.from_numpy(metadata),
        torch.from_numpy(~missing.all(axis=1)),
        torch.from_numpy(examples.targets[rows]),
        torch.from_numpy(rows),
    )


def _ahead(assemble: Callable[[int], Batch], steps: range) -> Iterator[Batch]:
    """Assemble the next batches in threads while the caller works on this one (OpenCV releases the interpreter lock)."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = [pool.submit(assemble, step) for step in steps[:_AHEAD]]
        for step in steps:
            batch = waiting.pop(0).result()
            if step + _AHEAD < steps.stop:
                waiting.append(pool.submit(assemble, step + _AHEAD))
            yield batch
