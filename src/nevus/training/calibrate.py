"""What a bundle says that no weight decides, fitted on photos that trained nothing: temperature, thresholds and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.metrics.calibration import fit_temperature
from nevus.metrics.decision import USUAL_RULES, choose_threshold, operating_points
from nevus.predictor import softmax
from nevus.training.conformal import fit_conformal
from nevus.training.novelty import thresholds


@dataclass(frozen=True)
class HeldOut:
    """A network's answers for photos that it was not trained on.

    Parameters
    ----------
    logits
        (N, C), as the bundle will give them.
    targets
        (N,) class indices.
    groups
        (N,) any labels of which photos belong together.
    scores
        Each novelty score, (N,).
    what
        What they are called: "validation images".
    """

    logits: NDArray[np.float32]
    targets: NDArray[np.int64]
    groups: NDArray[Any]
    scores: Mapping[str, NDArray[np.float64]]
    what: str = "validation images"

    @property
    def chosen_on(self) -> str:
        """In words, with their number."""
        return f"{len(self.targets)} {self.what}"


def calibrate(held_out: HeldOut, classes: Sequence[str], rule: str) -> dict[str, Any]:
    """bundle.json's `temperature`, `operating_point`, `operating_points`, `conformal` and the limits of `novelty`.

    Parameters
    ----------
    held_out
        The answers.
    classes
        Their names, in the order of the logits.
    rule
        Of the main operating point, as a recipe has it.
    """
    targets = held_out.targets
    temperature = fit_temperature(held_out.logits, targets)
    probabilities = softmax(held_out.logits, temperature)
    return {
        "temperature": temperature,
        "operating_point": _operating_point(held_out, probabilities, classes, rule),
        "operating_points": _operating_points(probabilities, targets, classes, rule),
        "novelty": {**thresholds(held_out.scores, held_out.groups), "chosen_on": held_out.chosen_on},
        "conformal": fit_conformal(probabilities, targets, held_out.groups, held_out.what),
    }


def positive_class(classes: Sequence[str]) -> str | None:
    """The class an operating point is about: mel among the diagnoses, else malignant; None where there is neither."""
    return next((name for name in ("mel", "malignant") if name in classes), None)


def _operating_point(
    held_out: HeldOut, probabilities: NDArray[np.float64], classes: Sequence[str], rule: str
) -> dict[str, object]:
    positive = positive_class(classes)
    point: dict[str, object] = {"positive": positive, "rule": rule, "threshold": None}
    if positive is not None:
        index = classes.index(positive)
        point["threshold"] = choose_threshold(rule, probabilities[:, index], held_out.targets == index)
    return {**point, "chosen_on": held_out.chosen_on}


def _operating_points(
    probabilities: NDArray[np.float64], targets: NDArray[np.int64], classes: Sequence[str], rule: str
) -> list[dict[str, object]]:
    """The recipe's rule and the usual ones, each with what it does on the same rows."""
    positive = positive_class(classes)
    if positive is None:
        return []
    index = classes.index(positive)
    return operating_points((rule, *USUAL_RULES), probabilities[:, index], targets == index)
