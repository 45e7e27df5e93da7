"""When training stops early: Keras's EarlyStopping, on a figure of its own, apart from the one that chooses the epoch."""

from collections.abc import Mapping
from dataclasses import replace

from nevus.recipe import TrainingRecipe
from nevus.training.checkpoint import Progress


def watched(progress: Progress, scores: Mapping[str, float], training: TrainingRecipe) -> Progress:
    """The progress after an epoch's scores, of which more is better: is it an improvement, or one more epoch of waiting?

    An improvement is more than `stop_min_delta` above the best so far; a score that is not a number is none (TensorFlow 2.7's
    EarlyStopping, which the 2022 paper's notebooks ran).

    >>> watched(Progress(stop_best=0.5), {"auc": 0.6}, TrainingRecipe(monitor="auc", stop_min_delta=0.2)).stop_wait
    1
    """
    name = training.monitor if training.stop_monitor == "monitor" else training.stop_monitor
    if scores[name] - training.stop_min_delta > progress.stop_best:
        return replace(progress, stop_best=scores[name], stop_wait=0)
    return replace(progress, stop_wait=progress.stop_wait + 1)


def stands_still(progress: Progress, training: TrainingRecipe) -> bool:
    """Whether `early_stopping` epochs have passed without improvement; never before the second epoch, as in Keras."""
    return 0 < training.early_stopping <= progress.stop_wait and progress.epoch > 1
