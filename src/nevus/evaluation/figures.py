"""Every figure of an evaluation as a function of image weights: at weight 1 its value, under resampled weights its interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nevus.metrics import classification as c
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.calibration import brier_score
from nevus.metrics.intervals import Auc, Share
from nevus.metrics.probabilities import log_losses, weighted_calibration_error
from nevus.metrics.ranking import Ranking

_CONFUSION = {
    "balanced_accuracy": c.balanced_accuracy,
    "ovr_balanced_accuracy": c.ovr_balanced_accuracy,
    "macro_f1": lambda matrix: c.f1(matrix).mean(axis=-1),
    "weighted_f1": lambda matrix: _by_share(c.f1(matrix), matrix.sum(axis=-1)),
    "macro_precision": lambda matrix: c.precision(matrix).mean(axis=-1),
    "weighted_precision": lambda matrix: _by_share(c.precision(matrix), matrix.sum(axis=-1)),
    "macro_specificity": lambda matrix: c.specificity(matrix).mean(axis=-1),
    "mcc": c.matthews,
    "f1_sd": lambda matrix: c.spread(c.f1(matrix)),
    "recall_sd": lambda matrix: c.spread(c.sensitivity(matrix)),
}
# Figures that take the probabilities at their word: rows that do not sum to 1 have none of them.
OF_PROBABILITIES = ("ece", "brier", "log_loss")


@dataclass(frozen=True)
class Judged:
    """Test rows ready to be counted; `decisions` (class indices) and `flags` (positive at the operating point) may be None.

    A decision of C is none: several classes are the most probable. `named` (N, C) says of each class alone whether an image is
    decided to be it, where that is not the same as `decisions`; `sum_to_one` whether the rows are probabilities.
    """

    targets: NDArray[np.int64]
    probabilities: Floats
    decisions: NDArray[np.int64] | None
    flags: NDArray[np.bool_] | None
    positive: int | None
    named: NDArray[np.bool_] | None = None
    sum_to_one: bool = True

    def rows(self, chosen: NDArray[np.bool_]) -> "Judged":
        """Some of the rows."""
        return replace(
            self,
            targets=self.targets[chosen],
            probabilities=self.probabilities[chosen],
            decisions=None if self.decisions is None else self.decisions[chosen],
            flags=None if self.flags is None else self.flags[chosen],
            named=None if self.named is None else self.named[chosen],
        )


def overall(judged: Judged) -> dict[str, WeightedFigure | None]:
    """The figures over all classes, None where there is no decision, no threshold or no probability to judge."""
    num_classes = judged.probabilities.shape[1]
    figures = _ranking(judged)
    matrix = _matrix(judged.targets, judged.decisions, num_classes)
    for name, figure in _CONFUSION.items():
        figures[name] = _composed(matrix, figure)
    everyone = np.ones(len(judged.targets), np.bool_)
    figures["accuracy"] = None if judged.decisions is None else Share(judged.decisions == judged.targets, everyone)
    for num_guesses in (2, 3):
        if num_guesses < num_classes:
            hits = c.in_top(judged.targets, judged.probabilities, num_guesses)
            figures[f"top_{num_guesses}_accuracy"] = Share(hits, everyone)
    if judged.positive is not None:
        figures |= _shares(judged.targets == judged.positive, judged.flags)
    figures["ece"] = _ece(judged)
    figures["brier"] = _mean(brier_score(judged.targets, judged.probabilities))
    figures["log_loss"] = _mean(log_losses(judged.targets, judged.probabilities))
    return figures if judged.sum_to_one else {**figures, **dict.fromkeys(OF_PROBABILITIES)}


def per_class(judged: Judged, index: int) -> dict[str, WeightedFigure | None]:
    """The figures of one class against the rest."""
    truth, scores = judged.targets == index, judged.probabilities[:, index]
    named = judged.named[:, index] if judged.named is not None else None
    if named is None and judged.decisions is not None:
        named = judged.decisions == index
    two = _matrix(truth.astype(np.int64), None if named is None else named.astype(np.int64), 2)
    ranking = Ranking.of(truth, scores)
    above = _once(ranking.above)
    everyone = np.ones(len(truth), np.bool_)
    return {
        **_shares(truth, named),
        "f1": _composed(two, _last(c.f1)),
        "auc": Auc(truth, scores),
        "average_precision": ranking.average_precision,
        "pauc_80": lambda weights: above(weights)[0],
        "auc_sens_80": lambda weights: above(weights)[1],
        "accuracy": None if named is None else Share(named == truth, everyone),
        "mcc": _composed(two, c.matthews),
        "brier": _mean(np.square(scores - truth)) if judged.sum_to_one else None,
        "log_loss": _mean(log_losses(truth, np.stack([1 - scores, scores], axis=1))) if judged.sum_to_one else None,
    }


def value(figure: WeightedFigure | None, num_images: int) -> float | None:
    """The figure of the images as they are, None where it is undefined."""
    number = math.nan if figure is None else float(figure(np.ones((1, num_images)))[0])
    return None if math.isnan(number) else number


def _ranking(judged: Judged) -> dict[str, WeightedFigure | None]:
    """What needs no decision: of the positive class between two, and of many macro (each class alike), weighted (by their
    shares of the images) and micro (every image's answer for every class in one ranking)."""
    num_images, num_classes = judged.probabilities.shape
    truth = judged.targets[:, None] == np.arange(num_classes)
    rankings = [Ranking.of(truth[:, index], judged.probabilities[:, index]) for index in range(num_classes)]
    of_positive: dict[str, WeightedFigure | None] = {}
    if judged.positive is not None:
        above = rankings[judged.positive].above
        of_positive["pauc_80"] = lambda weights: above(weights)[0]
    if num_classes == 2:
        auc = Auc(truth[:, 1], judged.probabilities[:, 1])
        return {"auc": auc, "average_precision": rankings[judged.positive or 0].average_precision, **of_positive}
    figures: dict[str, WeightedFigure | None] = {}
    every = Ranking.of(truth.ravel(), judged.probabilities.ravel(), np.repeat(np.arange(num_images), num_classes))
    counts = _once(lambda weights: weights @ truth)
    for name, kinds, micro in (
        ("auc", [ranking.auc for ranking in rankings], every.auc),
        ("average_precision", [ranking.average_precision for ranking in rankings], every.average_precision),
    ):
        each = _each(kinds)
        figures[f"macro_{name}"] = _macro(each)
        figures[f"weighted_{name}"] = _weighted(each, counts)
        figures[f"micro_{name}"] = micro
    return {**figures, **of_positive}


def _shares(truth: NDArray[np.bool_], named: NDArray[np.bool_] | None) -> dict[str, WeightedFigure | None]:
    """Sensitivity, specificity, PPV and NPV of a yes or no."""
    if named is None:
        return dict.fromkeys(("sensitivity", "specificity", "precision", "npv"))
    return {
        "sensitivity": Share(named, truth),
        "specificity": Share(~named, ~truth),
        "precision": Share(truth, named),
        "npv": Share(~truth, ~named),
    }


Matrix = Callable[[Floats], Floats]


def _once(figure: Matrix) -> Matrix:
    """The figure, computed once for each array of weights, since several others are made of it."""
    last: list[Floats] = []

    def values(weights: Floats) -> Floats:
        if not last or last[0] is not weights:
            last[:] = [weights, figure(weights)]
        return last[1]

    return values


def _each(figures: Sequence[WeightedFigure]) -> Matrix:
    """Several figures side by side, weights (R, N) to (R, C)."""
    return _once(lambda weights: np.stack([figure(weights) for figure in figures], axis=1))


def _macro(each: Matrix) -> WeightedFigure:
    return lambda weights: each(weights).mean(axis=1)


def _weighted(each: Matrix, counts: Matrix) -> WeightedFigure:
    return lambda weights: _by_share(each(weights), counts(weights))


def _by_share(values: Floats, counts: Floats) -> Floats:
    """Means over classes, weighted by their numbers of images; a class without images has no say."""
    return c.ratio((np.where(counts > 0, values, 0.0) * counts).sum(axis=-1), counts.sum(axis=-1))


def _matrix(targets: NDArray[np.int64], decisions: NDArray[np.int64] | None, num_classes: int) -> Matrix | None:
    """Confusion matrices (R, C, C), or (R, C, C + 1) where some are undecided, by one product with the images' cells."""
    if decisions is None:
        return None
    width = num_classes + int((decisions == num_classes).any())
    cells = np.zeros((len(targets), num_classes * width))
    cells[np.arange(len(targets)), targets * width + decisions] = 1
    return _once(lambda weights: (weights @ cells).reshape(-1, num_classes, width))


def _composed(matrix: Matrix | None, figure: Callable[[Floats], Floats]) -> WeightedFigure | None:
    return None if matrix is None else lambda weights: figure(matrix(weights))


def _last(figure: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    return lambda matrix: figure(matrix)[..., -1]


def _mean(values: Floats) -> WeightedFigure:
    return lambda weights: weights @ values / weights.sum(axis=1)


def _ece(judged: Judged) -> WeightedFigure:
    """Of the second class between two, else of the most probable class being the right one."""
    probabilities, targets = judged.probabilities, judged.targets
    two = probabilities.shape[1] == 2
    confidence = probabilities[:, 1] if two else probabilities.max(axis=1)
    right = targets == (1 if two else probabilities.argmax(axis=1))
    outcomes = right.astype(np.float64)
    return lambda weights: weighted_calibration_error(confidence, outcomes, weights)
