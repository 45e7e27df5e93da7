"""Several processes that train one network: who is the main one, who waits for whom, and what they must agree on.

Only the main process writes files and speaks. A process alone is the main one and waits for nobody.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list

from nevus.errors import NevusError, RecipeError
from nevus.recipe import Recipe

T = TypeVar("T")

# Others wait while the main process packs images or tests a fold; the backends' own limits are ten and thirty minutes.
_PATIENCE = timedelta(hours=24)
_COUNTS = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def create_accelerator() -> Accelerator:
    """Accelerate's view of this process among those that were launched; gloo where there is no CUDA device.

    Raises
    ------
    NevusError
        `accelerate launch --cpu` was asked for several processes and, without an MPI, has started one.
    """
    counts = [os.environ[name] for name in _COUNTS if name in os.environ]
    if not counts and os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_ADDR" in os.environ:
        raise NevusError(
            "accelerate launch --cpu starts several processes through an MPI alone, and has started this one by itself. "
            "Use: torchrun --nproc-per-node 2 -m nevus …"
        )
    several = any(count != "1" for count in counts)
    patience = InitProcessGroupKwargs(timeout=_PATIENCE)
    return Accelerator(cpu=several and not torch.cuda.is_available(), kwargs_handlers=[patience])


def is_main() -> bool:
    """Whether this process writes the files and speaks."""
    return bool(create_accelerator().is_main_process)


def wait_for_everyone() -> None:
    """Go on when every process has come here."""
    create_accelerator().wait_for_everyone()


@contextmanager
def main_first() -> Iterator[None]:
    """The body is run by the main process, and then by the others, which find what it left."""
    with create_accelerator().main_process_first():
        yield


def agreed(value: T) -> T:
    """The main process's value, in every process: what decides how training goes on must not differ between them.

    >>> agreed(3)
    3
    """
    if create_accelerator().num_processes == 1:
        return value
    values = [value]
    broadcast_object_list(values)
    return values[0]


def check_alone(recipe: Recipe) -> None:
    """Refuse distillation in several processes: each would remember the images of its own share of the batches alone.

    Raises
    ------
    RecipeError
        There is a teacher, and there are several processes.
    """
    if recipe.training.distillation.on and create_accelerator().num_processes > 1:
        raise RecipeError("training.distillation remembers every image in one process. Run the same command without a launcher.")


def check_batch(batch_size: int, num_rows: int, num_processes: int) -> None:
    """Refuse a batch that cannot be dealt out evenly: the mean of the processes' means would not be the mean of the batch.

    Raises
    ------
    RecipeError
        The batch, or the only batch where there are fewer rows than it holds, does not divide by the number of processes.

    Examples
    --------
    >>> check_batch(batch_size=32, num_rows=1000, num_processes=2)
    """
    if batch_size % num_processes:
        raise RecipeError(
            f"training.batch_size = {batch_size} is the batch of all processes together and does not divide by {num_processes}. "
            f"Use --set training.batch_size={batch_size + -batch_size % num_processes}, or another number of processes."
        )
    if num_rows < batch_size and num_rows % num_processes:
        raise RecipeError(
            f"{num_rows} training images are fewer than a batch of {batch_size} and do not divide by {num_processes} processes. "
            "Use one process, or a smaller training.batch_size."
        )
