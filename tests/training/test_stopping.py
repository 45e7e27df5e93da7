"""Early stopping and the reduced learning rate, epoch by epoch, against Keras's callbacks written out anew."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nevus.recipe import Recipe, ScheduleRecipe, TrainingRecipe
from nevus.training.checkpoint import Progress
from nevus.training.optimiser import Schedule
from nevus.training.stopping import stands_still, watched

NAN = math.nan
RECIPES = Path(__file__).parents[2] / "recipes"
LOSSES: dict[str, list[float]] = {
    "falling": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3],
    "ties": [0.5, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4],
    # Each step is smaller than either callback's min_delta, their sum is not: the best must be kept, not the last.
    "creeping": [0.5 - 0.00006 * step for step in range(40)],
    "plateaus": [1.0, 0.5, 0.6, 0.7, 0.499, 0.6, 0.4, 0.7, 0.7, 0.7, 0.7, 0.7],
    "first is NaN": [NAN, 0.5, NAN, 0.6, 0.4, NAN, NAN, NAN, NAN],
    "all NaN": [NAN] * 6,
    "infinite": [math.inf, math.inf, 0.5, math.inf, math.inf, math.inf],
    "rising": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
    "noise": np.random.default_rng(0).normal(1, 0.05, 60).tolist(),
}


# Validation losses of the 2022 author's run of MobileNetV3-Large cut at layer 240, as Keras 2.8 printed them (his public notebook
# "MobileNetV3Large - SoftAtt - 10split - LRStrategy - Layer(-34)", MIT). Patience 35, least improvement 0.001: it stopped after
# epoch 61. Factor 0.2, patience 5, minimum 1e-7: the rate fell after epochs 10, 33, 38, 43, 48 and 53.
# fmt: off
PUBLISHED_LOSSES = [
    1.0618, 1.0207, 0.8324, 1.7371, 0.7956, 5.7397, 0.8402, 0.8146, 1.9607, 1.4244, 0.7570, 0.7344, 0.6367, 0.6073, 0.6355,
    0.5893, 0.6792, 0.6010, 0.5780, 0.5951, 0.5631, 0.5721, 0.5765, 0.5679, 0.5877, 0.5524, 0.5754, 0.5518, 0.5953, 0.5533,
    0.5828, 0.5776, 0.5714, 0.5763, 0.5767, 0.5672, 0.5671, 0.5650, 0.5650, 0.5644, 0.5645, 0.5633, 0.5696, 0.5670, 0.5660,
    0.5655, 0.5645, 0.5646, 0.5647, 0.5642, 0.5640, 0.5640, 0.5648, 0.5649, 0.5643, 0.5645, 0.5643, 0.5647, 0.5641, 0.5644,
    0.5644,
]
# fmt: on


def keras_early_stopping(values: list[float], patience: int, min_delta: float, *, more_is_better: bool = False) -> int | None:
    """The epoch, from 1, that tf.keras.callbacks.EarlyStopping (2.7) ends; None where it never stops."""
    better = np.greater if more_is_better else np.less
    delta = min_delta if more_is_better else -min_delta
    best, wait = (-np.inf if more_is_better else np.inf), 0
    for epoch, value in enumerate(values):
        wait += 1
        if better(value - delta, best):
            best, wait = value, 0
        if wait >= patience and epoch > 0:
            return epoch + 1
    return None


def keras_reduce_on_plateau(values: list[float], rate: float, factor: float, patience: int, minimum: float) -> list[float]:
    """The rate after each epoch by tf.keras.callbacks.ReduceLROnPlateau, whose min_delta is 1e-4 and cooldown 0."""
    best, wait, rates = np.inf, 0, []
    for value in values:
        if np.less(value, best - 1e-4):
            best, wait = value, 0
        else:
            wait += 1
            if wait >= patience and rate > minimum:
                rate, wait = max(rate * factor, minimum), 0
        rates.append(rate)
    return rates


def stopped_after(scores: list[dict[str, float]], training: TrainingRecipe) -> int | None:
    progress = Progress()
    for epoch, score in enumerate(scores, 1):
        progress = watched(replace(progress, epoch=epoch), score, training)
        if stands_still(progress, training):
            return epoch
    return None


@pytest.mark.parametrize("min_delta", [0.0, 0.001, 0.2])
@pytest.mark.parametrize("patience", [1, 2, 3, 5])
@pytest.mark.parametrize("name", LOSSES)
def test_training_stops_where_keras_stops(name: str, patience: int, min_delta: float) -> None:
    training = TrainingRecipe(monitor="accuracy", stop_monitor="loss", early_stopping=patience, stop_min_delta=min_delta)
    # The figure that chooses the epoch improves all the time, and is not asked.
    scores = [{"loss": -loss, "accuracy": float(epoch)} for epoch, loss in enumerate(LOSSES[name])]
    assert stopped_after(scores, training) == keras_early_stopping(LOSSES[name], patience, min_delta)


@pytest.mark.parametrize("name", LOSSES)
def test_without_a_figure_of_its_own_it_is_the_one_that_chooses_the_epoch(name: str) -> None:
    training = TrainingRecipe(monitor="auc", early_stopping=3)
    scores = [{"loss": 0.0, "auc": value} for value in LOSSES[name]]
    assert stopped_after(scores, training) == keras_early_stopping(LOSSES[name], 3, 0.0, more_is_better=True)


def test_zero_never_stops() -> None:
    assert stopped_after([{"auc": NAN}] * 100, TrainingRecipe()) is None


@pytest.mark.parametrize(("factor", "patience", "minimum"), [(0.2, 5, 1e-7), (0.2, 1, 1e-7), (0.5, 2, 2e-4)])
@pytest.mark.parametrize("name", LOSSES)
def test_the_rate_falls_where_keras_lowers_it(name: str, factor: float, patience: int, minimum: float) -> None:
    schedule = Schedule(ScheduleRecipe(kind="plateau", factor=factor, patience=patience, minimum=minimum), 1e-3, 100, 10)
    rates = []
    for loss in LOSSES[name]:
        schedule = schedule.after_epoch(loss)
        rates.append(schedule.rate(0))
    assert rates == pytest.approx(keras_reduce_on_plateau(LOSSES[name], 1e-3, factor, patience, minimum), rel=1e-9)


def test_the_references_tell_their_settings_apart() -> None:
    stops = {delta: keras_early_stopping(LOSSES["creeping"], 5, delta) for delta in (0.0, 0.001)}
    assert stops == {0.0: None, 0.001: 6}
    assert keras_reduce_on_plateau(LOSSES["plateaus"], 1.0, 0.2, 2, 0.0)[3] == pytest.approx(0.2)


def test_the_papers_own_run_is_stopped_and_slowed_where_keras_did_it() -> None:
    recipe = Recipe.read(RECIPES / "published" / "soft-attention-2022.toml").training
    scores = [{"loss": -loss, "accuracy": 0.0} for loss in PUBLISHED_LOSSES]
    assert stopped_after([*scores, *scores[-5:]], recipe) == len(PUBLISHED_LOSSES) == 61
    assert stopped_after([*scores, *scores[-5:]], recipe.model_copy(update={"stop_min_delta": 0.0})) == 63
    schedule = Schedule(recipe.schedule, recipe.optimiser.learning_rate, 100, 10)
    rates = [1e-3]
    for loss in PUBLISHED_LOSSES:
        schedule = schedule.after_epoch(loss)
        rates.append(schedule.rate(0))
    fell = {epoch: rates[epoch] for epoch in range(1, 62) if rates[epoch] != rates[epoch - 1]}
    assert fell == pytest.approx({10: 2e-4, 33: 4e-5, 38: 8e-6, 43: 1.6e-6, 48: 3.2e-7, 53: 1e-7})
