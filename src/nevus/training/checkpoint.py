"""A checkpoint is one safetensors file: network, average, optimiser, and in its header where training stood. No pickle."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from nevus.errors import DataError
from nevus.files import write

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Progress:
    """Where training stands: `step` counts from the first, `epoch` from 1 and is the one under way."""

    epoch: int = 1
    step: int = 0
    epoch_step: int = 0
    loss_sum: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    finished: bool = False


def save_checkpoint(
    path: Path,
    network: nn.Module,
    average: State,
    optimiser: torch.optim.Optimizer,
    header: dict[str, Any],
    distiller: nn.Module | None = None,
) -> None:
    """Write everything that the next step depends on, wholly or not at all."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    tensors |= {f"distiller.{name}": tensor for name, tensor in (distiller.state_dict() if distiller else {}).items()}
    for index, parameter in enumerate(_parameters(optimiser)):
        for name, value in optimiser.state.get(parameter, {}).items():
            tensors[f"optimiser.{index}.{name}"] = value
    # Plain JSON cannot say infinity, and a schedule's best loss starts there: Python's own reader and writer both can.
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write(path, save(content, metadata={"state": json.dumps(header)}))


def save_weights(path: Path, weights: State) -> None:
    """Write weights alone, wholly or not at all. (safetensors' own writer has an error of its own for a full disk.)"""
    write(path, save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))


def load_checkpoint(
    path: Path, network: nn.Module, average: State, optimiser: torch.optim.Optimizer, distiller: nn.Module | None = None
) -> dict[str, Any]:
    """Put a checkpoint's tensors in place and return its header.

    Raises
    ------
    DataError
        The file is damaged, or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, Any] = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: the checkpoint is damaged ({error}). Delete it to begin this fold again.") from error
    try:
        network.load_state_dict(_under("network.", tensors))
        if distiller:
            distiller.load_state_dict(_under("distiller.", tensors))
    except RuntimeError as error:
        raise DataError(f"{path}: the checkpoint is of another network ({error}). Choose another folder.") from error
    for name, tensor in _under("average.", tensors).items():
        average[name].copy_(tensor)
    for index, parameter in enumerate(_parameters(optimiser)):
        saved = _under(f"optimiser.{index}.", tensors)
        # Adam's fused kernel walks raw memory: its averages must lie in memory as the parameter does.
        optimiser.state[parameter] = {
            name: torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape and name != "step" else value
            for name, value in saved.items()
        }
    return header


def progress_of(header: dict[str, Any]) -> Progress:
    """The progress a header holds."""
    return Progress(**header["progress"])


def header_of(progress: Progress, schedule: dict[str, Any], identity: str) -> dict[str, Any]:
    """A header: where training stands, and of which data and recipe it is."""
    return {"progress": asdict(progress), "schedule": schedule, "identity": identity}


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _under(prefix: str, tensors: State) -> State:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
