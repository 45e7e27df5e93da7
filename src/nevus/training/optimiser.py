"""Optimisers and learning-rate schedules of both papers, by name."""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from nevus.recipe import OptimiserRecipe, ScheduleRecipe


class KerasAdam(torch.optim.Optimizer):
    """Adam with epsilon where Keras adds it: θ −= lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε).

    torch adds ε to √(v/(1−β₂ᵗ)) instead, so Keras's ε is in effect larger by 1/√(1−β₂ᵗ): 32 times at the first step with
    β₂ = 0.999. The 2022 paper's ε = 0.1 makes that matter for about a thousand steps (Kingma and Ba 2015, section 2, "ε̂").
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; a closure is not needed and not called."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_avg_sq"] = torch.zeros_like(parameter)
                state["step"] += 1
                step = state["step"].item()
                state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
                state["exp_avg_sq"].mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
                rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
                parameter.addcdiv_(state["exp_avg"], state["exp_avg_sq"].sqrt().add_(group["eps"]), value=-rate)


def create_optimiser(network: nn.Module, recipe: OptimiserRecipe) -> torch.optim.Optimizer:
    """Adam or AdamW over the network's trainable parameters; biases, norms and scalars are not decayed."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    betas = (recipe.beta1, recipe.beta2)
    if recipe.kind == "adam":
        if recipe.keras_epsilon:
            return KerasAdam(parameters, recipe.learning_rate, betas, recipe.epsilon)
        return torch.optim.Adam(parameters, lr=recipe.learning_rate, betas=betas, eps=recipe.epsilon, fused=True)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas, eps=recipe.epsilon, fused=True)


@dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of the step, and for `plateau` of the validation losses seen so far."""

    recipe: ScheduleRecipe
    peak: float
    num_steps: int
    steps_per_epoch: int
    reductions: int = 0
    best_loss: float = math.inf
    bad_epochs: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of the step with this number, from 0."""
        return SCHEDULES[self.recipe.kind](self, step)

    def after_epoch(self, validation_loss: float) -> "Schedule":
        """What is known after an epoch: Keras's ReduceLROnPlateau, with min_delta 1e-4, for `plateau`."""
        if self.recipe.kind != "plateau":
            return self
        if validation_loss < self.best_loss - 1e-4:
            return replace(self, best_loss=validation_loss, bad_epochs=0)
        if self.bad_epochs + 1 >= self.recipe.patience:
            return replace(self, reductions=self.reductions + 1, bad_epochs=0)
        return replace(self, bad_epochs=self.bad_epochs + 1)

    def state(self) -> dict[str, Any]:
        """What changes during training, for a checkpoint."""
        state = asdict(self)
        return {name: state[name] for name in ("reductions", "best_loss", "bad_epochs")}


def _constant(schedule: Schedule, step: int) -> float:
    return schedule.peak


def _cosine(schedule: Schedule, step: int) -> float:
    warmup = schedule.recipe.warmup_epochs * schedule.steps_per_epoch
    if step < warmup:
        return schedule.peak * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1.0, schedule.num_steps - warmup)
    floor = min(schedule.recipe.minimum, schedule.peak)
    return floor + (schedule.peak - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _plateau(schedule: Schedule, step: int) -> float:
    return max(schedule.recipe.minimum, schedule.peak * schedule.recipe.factor**schedule.reductions)


SCHEDULES: dict[str, Callable[[Schedule, int], float]] = {"constant": _constant, "cosine": _cosine, "plateau": _plateau}
