"""Optimisers against hand-rolled NumPy updates, schedules against their definitions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nevus.recipe import OptimiserRecipe, ScheduleRecipe
from nevus.training.optimiser import SCHEDULES, KerasAdam, Schedule, create_optimiser


def steps(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, gradients: np.ndarray) -> list[float]:
    values = []
    for gradient in gradients:
        parameter.grad = torch.tensor([gradient], dtype=parameter.dtype)
        optimiser.step()
        values.append(parameter.item())
    return values


def reference(gradients: np.ndarray, rate: float, epsilon: float, *, keras: bool) -> list[float]:
    """Kingma and Ba, algorithm 1 (torch's place of epsilon) or section 2's reordering (Keras's)."""
    theta, m, v, values = 1.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        if keras:
            theta -= rate * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + epsilon)
        else:
            theta -= rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + epsilon)
        values.append(theta)
    return values


@pytest.mark.parametrize("keras", [False, True])
def test_adam_puts_epsilon_where_it_is_said_to(keras: bool) -> None:
    gradients = np.random.default_rng(0).normal(size=40)
    layer = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(layer.weight)
    recipe = OptimiserRecipe(kind="adam", learning_rate=0.01, epsilon=0.1, keras_epsilon=keras)
    layer.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    found = steps(create_optimiser(layer, recipe), layer.weight, gradients)
    assert np.allclose(found, reference(gradients, 0.01, 0.1, keras=keras), atol=1e-12)
    assert not np.allclose(found, reference(gradients, 0.01, 0.1, keras=not keras), atol=1e-4)


def test_keras_adam_passes_parameters_without_gradient_by() -> None:
    used, unused = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    used.grad = torch.ones(1)
    KerasAdam([used, unused], lr=0.1, betas=(0.9, 0.999), eps=0.1).step()
    assert used.item() != 1
    assert unused.item() == 1


def test_adamw_decays_matrices_and_spares_biases_and_norms() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    groups = create_optimiser(network, OptimiserRecipe(weight_decay=0.5)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert {parameter.ndim for parameter in groups[0]["params"]} == {2, 4}
    assert {parameter.ndim for parameter in groups[1]["params"]} == {1}
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))


def test_cosine_warms_up_then_falls_to_its_minimum() -> None:
    schedule = Schedule(ScheduleRecipe(kind="cosine", warmup_epochs=1, minimum=1e-5), 0.1, 100, 10)
    rates = [schedule.rate(step) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[10] == pytest.approx(0.1)
    assert rates[55] == pytest.approx((0.1 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)


def test_plateau_follows_a_hand_worked_table() -> None:
    # patience 2: two epochs without 1e-4 of progress bring the rate down by the factor, down to the minimum.
    schedule = Schedule(ScheduleRecipe(kind="plateau", factor=0.1, patience=2, minimum=2e-3), 0.1, 100, 10)
    rates = []
    for loss in (1.0, 0.9, 0.95, 0.89995, 0.8, 0.9, 0.9, 0.9, 0.9):
        schedule = schedule.after_epoch(loss)
        rates.append(schedule.rate(0))
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.002, 0.002, 0.002])


def test_a_schedule_goes_on_from_its_state() -> None:
    schedule = Schedule(ScheduleRecipe(kind="plateau", patience=1), 0.1, 100, 10).after_epoch(1.0).after_epoch(2.0)
    again = Schedule(schedule.recipe, 0.1, 100, 10, **schedule.state())
    assert again == schedule


def test_constant_stays() -> None:
    schedule = Schedule(ScheduleRecipe(kind="constant"), 0.1, 100, 10)
    assert {schedule.after_epoch(5.0).rate(step) for step in range(100)} == {0.1}


def test_the_recipe_offers_exactly_the_schedules_there_are() -> None:
    choices = ScheduleRecipe.model_json_schema()["properties"]["kind"]["enum"]
    assert set(choices) == set(SCHEDULES)


def test_the_first_step_of_the_papers_adam_is_29_times_smaller_in_keras() -> None:
    """By hand, ε = 0.1 and a gradient of 0.01: torch moves by lr·g/(g + ε), Keras by lr·g/(g + ε/√0.001)."""
    moved = {}
    for keras in (False, True):
        layer = nn.Linear(1, 1, bias=False).double()
        layer.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        recipe = OptimiserRecipe(kind="adam", learning_rate=1e-3, epsilon=0.1, keras_epsilon=keras)
        (moved[keras],) = steps(create_optimiser(layer, recipe), layer.weight, np.array([0.01]))
    assert moved[False] == pytest.approx(-1e-3 * 0.01 / (0.01 + 0.1))
    assert moved[True] == pytest.approx(-1e-3 * 0.01 / (0.01 + 0.1 / math.sqrt(0.001)))
    assert moved[False] / moved[True] == pytest.approx(28.84, abs=0.01)


def test_the_two_adams_meet_after_some_thousand_steps() -> None:
    gradients = np.full(8000, 0.01)
    keras, theirs = (np.diff(reference(gradients, 1e-3, 0.1, keras=keras)) for keras in (True, False))
    ratio = theirs / keras
    assert ratio[100] > 2.5
    assert ratio[1000] == pytest.approx((0.01 + 0.1 / math.sqrt(1 - 0.999**1002)) / 0.11, rel=1e-6)
    assert ratio[-1] == pytest.approx(1, abs=1e-3)
