"""What training asks of this machine: memory that is kept between steps, and the faster of two precisions, measured."""

import copy
import ctypes
import sys
import time

import torch

from nevus.networks.classifier import LesionClassifier
from nevus.recipe import Recipe

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_KEPT_BYTES = 1 << 30
# bfloat16 loses digits: it has to earn them back.
_WORTH = 0.85


def keep_memory() -> None:
    """Tell glibc to keep freed memory. By default it returns a step's large buffers to the kernel and faults them in again,

    which cost a third of the time of a training step in our measurements. Elsewhere than on glibc this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TOP_PAD, 64 << 20)


def lay_out(network: LesionClassifier, recipe: Recipe) -> None:
    """Lay the weights out in memory as the recipe says; channels-last is what vectorised convolutions read fastest."""
    if recipe.training.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def choose_precision(recipe: Recipe, network: LesionClassifier) -> str:
    """The recipe's precision; for "auto", whichever of float32 and bfloat16 makes a step of this network faster here.

    bfloat16 speeds dense networks up and slows depthwise ones down on CPUs, so it is measured: once a run, not once a fold.
    """
    if recipe.training.precision != "auto":
        return recipe.training.precision
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    seconds = {precision: _time_steps(recipe, copy.deepcopy(network), precision) for precision in ("float32", "bfloat16")}
    return "bfloat16" if seconds["bfloat16"] < _WORTH * seconds["float32"] else "float32"


def _time_steps(recipe: Recipe, network: LesionClassifier, precision: str) -> float:
    """Seconds of the fastest of two steps after one that warms up."""
    shape = (recipe.training.batch_size, 3, recipe.data.size, recipe.data.size)
    batch = torch.zeros(shape).to(memory_format=torch.channels_last)
    lay_out(network, recipe)
    network.train()
    best = float("inf")
    for step in range(3):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(batch, None, None)
        logits.float().sum().backward()
        if step:
            best = min(best, time.perf_counter() - started)
    return best
