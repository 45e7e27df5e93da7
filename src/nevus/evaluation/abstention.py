"""What referring the least sure images to a doctor would do: errors and misses among the answers that are left."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.evaluation.conformal import COVERAGES, conformal_sets
from nevus.evaluation.fitting_rows import FittingRows, fitting_rows
from nevus.evaluation.nested import measure_nested
from nevus.evaluation.tested import Document, Tested
from nevus.metrics.abstention import (
    distance_from_threshold,
    largest_probability,
    least_risk_area,
    margin,
    selective_risk_area,
    threshold_for_coverage,
)
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.classification import ratio
from nevus.metrics.intervals import Share

Mask = NDArray[np.bool_]
Figures = dict[tuple[str, ...], WeightedFigure | None]

CURVE = tuple(number / 10 for number in range(10, 0, -1))
REFERRAL = (1.0, 0.95, 0.90, 0.80, 0.70)
NOTES = (
    "A miss is an image of the positive class that is answered and not flagged. Whoever is referred is seen by a doctor.",
    "The curve orders the tested images themselves. The table's thresholds were chosen without them, so that it answers a little "
    "more or less than it set out to.",
    "Intervals are of the tested images, with the thresholds held fixed.",
)
_UNDEFINED = "no such image among these, or a class of which there is none"


@dataclass(frozen=True)
class Answers:
    """Whether each tested image is decided `wrong`, is `positive` (None without such a class) and is `caught`, bool (N,)."""

    targets: NDArray[np.int64]
    classes: tuple[str, ...]
    wrong: Mask
    positive: Mask | None
    caught: Mask


@dataclass(frozen=True)
class BalancedError:
    """1 − the mean recall over the classes of the images `among`, as a figure of weights; NaN where a class has none there."""

    answers: Answers
    among: Mask

    def __call__(self, weights: Floats) -> Floats:
        """Weights (R, N) to (R,)."""
        of_class = np.eye(len(self.answers.classes))[self.answers.targets] * self.among[:, None]
        right = of_class * ~self.answers.wrong[:, None]
        return np.asarray(1 - ratio(weights @ right, weights @ of_class).mean(axis=1))


def abstention(tested: Tested) -> Document:
    """The section: risk against coverage, its area by each confidence, and what thresholds from validation rows would do."""
    judged = tested.judged
    if judged.decisions is None:
        return {"reason": tested.point.reason}
    answers = _answers(tested, judged.decisions)
    rows = fitting_rows(tested.predictions)
    name = "distance_from_threshold" if len(answers.classes) == 2 else "largest_probability"
    surest = CONFIDENCES[name](tested, tested.test)
    masks = {("curve", index): surest >= threshold_for_coverage(surest, wanted) for index, wanted in enumerate(CURVE)}
    thresholds = _thresholds(tested, rows, CONFIDENCES[name])
    for index, chosen in enumerate(thresholds):
        masks["referral", index] = surest >= tested.test["fold"].map(chosen).to_numpy()
    figures = {
        (part, str(index), *path): f for (part, index), mask in masks.items() for path, f in _row(answers, mask, part).items()
    }
    for other, confidence in _confidences(tested, rows, name).items():
        figures |= {("areas", other, kind): area for kind, area in _areas(answers, confidence).items()}
    measured = measure_nested(tested, figures, _UNDEFINED)
    return {
        "reason": None,
        "confidence": name,
        "missed_by": None if answers.positive is None else "most probable class" if judged.flags is None else "operating point",
        "curve": [
            {"coverage": wanted, **_counts(answers, masks["curve", index]), **measured["curve"][str(index)]}
            for index, wanted in enumerate(CURVE)
        ],
        "areas": measured["areas"],
        "chosen_on": rows.part if thresholds else None,
        "referral": [
            {
                "coverage": wanted,
                "thresholds": {str(fold): value for fold, value in chosen.items()},
                **_counts(answers, masks["referral", index]),
                **measured["referral"][str(index)],
            }
            for index, (wanted, chosen) in enumerate(zip(REFERRAL, thresholds, strict=False))
        ]
        or None,
        "referral_reason": rows.reason or None,
        "notes": list(NOTES),
    }


def _distance(tested: Tested, rows: pd.DataFrame) -> Floats:
    thresholds = rows["fold"].map(tested.point.thresholds or {}).to_numpy(np.float64)
    return distance_from_threshold(tested.predictions.probabilities(rows)[:, tested.judged.positive or 0], thresholds)


Confidence = Callable[[Tested, pd.DataFrame], Floats]
# How sure each row's decision is, (N,), at least 0.
CONFIDENCES: dict[str, Confidence] = {
    "distance_from_threshold": _distance,
    "largest_probability": lambda tested, rows: largest_probability(tested.predictions.probabilities(rows)),
    "margin": lambda tested, rows: margin(tested.predictions.probabilities(rows)),
}


def _confidences(tested: Tested, rows: FittingRows, chosen: str) -> dict[str, Floats]:
    """The chosen confidence of the tested images and its rivals; small conformal sets first, and the chosen one where equal."""
    names = (chosen,) if chosen == "distance_from_threshold" else (chosen, "margin")
    found = {name: CONFIDENCES[name](tested, tested.test) for name in names}
    if not rows.reason:
        size = conformal_sets(tested, rows, "lac", COVERAGES[0]).members.sum(axis=1)
        size[size == 0] = tested.judged.probabilities.shape[1] + 1  # no class is probable enough: the least sure of all
        rank = np.unique(found[chosen], return_inverse=True)[1]
        found["set_size"] = rank / len(rank) - size
    return found


def _answers(tested: Tested, decisions: NDArray[np.int64]) -> Answers:
    judged = tested.judged
    positive = None if judged.positive is None else judged.targets == judged.positive
    caught = decisions == judged.positive if judged.flags is None else judged.flags
    return Answers(judged.targets, tested.predictions.classes, decisions != judged.targets, positive, caught)


def _thresholds(tested: Tested, rows: FittingRows, confidence: Confidence) -> list[dict[int, float]]:
    """For each coverage of the table each fold's threshold, from its own fitting rows; none where there are none."""
    if rows.reason:
        return []
    sure = {fold: confidence(tested, part) for fold, part in rows.by_fold.items()}
    return [
        {fold: 0.0 if wanted == 1 else threshold_for_coverage(values, wanted) for fold, values in sure.items()}
        for wanted in REFERRAL
    ]


def _row(answers: Answers, answered: Mask, part: str) -> Figures:
    """The figures at one threshold; those about who is referred in the table alone."""
    everything = np.ones(len(answered), np.bool_)
    figures: Figures = {
        ("figures", "error"): Share(answers.wrong, answered),
        ("figures", "balanced_error"): BalancedError(answers, answered),
        ("figures", "missed"): None,
    }
    if answers.positive is not None:
        figures["figures", "missed"] = Share(~answers.caught, answers.positive & answered)
    if part == "curve":
        return figures
    figures["figures", "coverage"] = Share(answered, everything)
    if answers.positive is not None:
        figures["figures", "positives_among_referred"] = Share(answers.positive, ~answered)
        figures["figures", "caught_or_referred"] = Share(answers.caught | ~answered, answers.positive)
    for index, name in enumerate(answers.classes):
        figures["referred_per_class", name] = Share(~answered, answers.targets == index)
    return figures


def _areas(answers: Answers, confidence: Floats) -> dict[str, WeightedFigure | None]:
    def aurc(weights: Floats) -> Floats:
        return selective_risk_area(confidence, answers.wrong, weights)

    return {"aurc": aurc, "excess": lambda weights: aurc(weights) - least_risk_area(answers.wrong, weights)}


def _counts(answers: Answers, answered: Mask) -> dict[str, int | None]:
    positive = answers.positive
    return {
        "num_answered": int(answered.sum()),
        "num_referred": int((~answered).sum()),
        "num_missed": None if positive is None else int((positive & answered & ~answers.caught).sum()),
        "num_positives_referred": None if positive is None else int((positive & ~answered).sum()),
    }
