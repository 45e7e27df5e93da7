"""What is made of probabilities: a decision at an operating point, a referral with its reasons, another prevalence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.bundle import Bundle
from nevus.data.taxonomy import MALIGNANT
from nevus.errors import BundleError, DataError
from nevus.metrics.prior import shift_prior, shift_threshold, stated_prior

Probabilities = NDArray[np.float64]
# The shares of the classes that probabilities belong to, and those of where they are used.
Priors = tuple[Probabilities, Probabilities]


@dataclass(frozen=True)
class Answer:
    """What nevus says of one image. `decision` is at the operating point; `refer` means: have a doctor look.

    Where a prevalence was stated, `probabilities` are at it and `unshifted` as the bundle gives them; the decision is the same.
    `novelty` says by each score how unlike the training images it is. Where `unlike` is true the probabilities and the decision
    mean nothing, and the first of the reasons says why. `prediction_set` has the classes that cannot be ruled out, so that 90 of
    100 sets hold the true one; None where a bundle promises none. `metadata_from_file` is what was taken from a DICOM file
    because nothing else was said; None where nothing was.
    """

    image: str
    probabilities: dict[str, float]
    malignant_probability: float
    decision: str
    refer: bool
    reasons: list[str] = field(default_factory=list)
    unshifted: dict[str, float] | None = None
    novelty: dict[str, float] | None = None
    unlike: bool = False
    prediction_set: list[str] | None = None
    metadata_from_file: dict[str, float | str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as programs read it; what there is nothing to say of has no key."""
        return {key: value for key, value in vars(self).items() if value is not None}


def answer(
    image: str,
    row: Probabilities,
    classes: Sequence[str],
    point: Mapping[str, Any],
    priors: Priors | None,
    weights: Probabilities | None = None,
) -> Answer:
    """Decide on probabilities (C,) at an operating point; with `priors` they are shown where the classes have other shares.

    Below the operating point the class is decided whose probability times its weight, `decision_weights`, is largest.
    """
    probabilities = dict(zip(classes, row.tolist(), strict=True))
    weighed = probabilities if weights is None else dict(zip(classes, (row * weights).tolist(), strict=True))
    malignant = [name for name in classes if is_malignant(name)]
    malignant_probability = sum(probabilities[name] for name in malignant)
    positive, threshold = point["positive"], point["threshold"]
    decision = max((name for name in classes if name != positive), key=weighed.__getitem__)
    rule = "the most probable class" if weights is None else "the class most probable for its share of the images"
    reasons = []
    if positive is None or threshold is None:
        decision = max(classes, key=weighed.__getitem__)
        reasons.append(f"the bundle has no operating point; the decision is {rule}")
    elif probabilities[positive] >= threshold:
        decision = positive
        reasons.append(f"the probability of {positive}, {probabilities[positive]:.3f}, reaches the threshold {threshold:.3f}")
        if priors:
            reasons.append(_moved(row, classes.index(positive), threshold, *priors))
    if decision in malignant and decision != positive:
        reasons.append(f"{decision} is malignant")
    refer = decision in malignant
    if len(classes) > 2 and decision != positive == max(classes, key=weighed.__getitem__):
        # Named second, it would be sent home: no threshold is meant to hide the likeliest answer.
        reasons.append(f"{positive} is {rule}, though below its threshold of {threshold:.3f}")
        refer = True
    likeliest = max((name for name in classes if name != positive), key=probabilities.__getitem__)
    if weights is not None and decision not in (positive, likeliest):
        reasons.append(
            f"{decision} is decided for its probability of {probabilities[decision]:.3f}, high for so rare a class; "
            f"the most probable one is {likeliest}"
        )
    if priors is None:
        return Answer(image, probabilities, malignant_probability, decision, refer, reasons)
    # The likelihood ratio of the image decides, which no prevalence changes: decided before, shown after.
    shifted = dict(zip(classes, shift_prior(row[None], *priors)[0].tolist(), strict=True))
    return Answer(image, shifted, sum(shifted[name] for name in malignant), decision, refer, reasons, probabilities)


def with_set(given: Answer, document: Mapping[str, Any]) -> Answer:
    """Add the set of classes that cannot be ruled out, and refer where it leaves open whether the lesion is malignant.

    It does where it holds a malignant class beside a decision for a benign one, and where it is empty. How many classes it holds
    does not matter: two kinds of benign lesions ask for no doctor. `document` is the bundle's `conformal`. A stated prevalence
    changes no set, since the promise is about patients like the validation images'.
    """
    if document["decides"] is None:
        return given
    probabilities = given.unshifted or given.probabilities
    limit = document["quantiles"][document["decides"]]
    members = [name for name in sorted(probabilities, key=lambda name: -probabilities[name]) if 1 - probabilities[name] <= limit]
    share = f"{float(document['decides']):.0%}"
    reasons, refer = list(given.reasons), given.refer
    if not members:
        reasons.append(f"no class is probable enough for the {share} set")
        refer = True
    elif len({is_malignant(name) for name in members}) == 2:
        reasons.append(f"the {share} set leaves open whether it is malignant: {', '.join(members)}")
        refer = True
    elif is_malignant(members[0]) and not is_malignant(given.decision):
        reasons.append(f"the {share} set holds nothing benign: {', '.join(members)}")
        refer = True
    return replace(given, prediction_set=members, refer=refer, reasons=reasons)


def with_novelty(given: Answer, scores: dict[str, float], document: Mapping[str, Any]) -> Answer:
    """Refer what is unlike the training images, whatever was decided of it; `document` is the bundle's `novelty`."""
    name, accepted = document["decides"], document["accepted"]
    if accepted is None or scores[name] <= (limit := document["thresholds"][name][accepted]):
        return replace(given, novelty=scores)
    reason = (
        "does not look like the dermoscopy images this model was trained on "
        f"({name} score {scores[name]:.4g}; {float(accepted):.0%} of images like them stay within {limit:.4g})"
    )
    return _unlike(replace(given, novelty=scores), reason)


def without_content(given: Answer) -> Answer:
    """Refer an image that is almost of one colour, whatever was decided of it."""
    return _unlike(given, "the image is almost of one colour: there is nothing to see")


def _unlike(given: Answer, reason: str) -> Answer:
    return replace(given, refer=True, unlike=True, reasons=[reason, *given.reasons])


def is_malignant(name: str) -> bool:
    """Whether a class, a diagnosis or "malignant", is cancer or its precursor."""
    return name in MALIGNANT or name == "malignant"


def chosen_point(bundle: Bundle, rule: str | None) -> Mapping[str, Any]:
    """The bundle's operating point, or the one of its others that a rule names."""
    main: Mapping[str, Any] = bundle.document["operating_point"]
    if rule is None or rule == main["rule"]:
        return main
    points = {point["rule"]: point for point in bundle.document.get("operating_points") or []}
    if rule not in points:
        known = ", ".join(dict.fromkeys([main["rule"], *points]))
        raise BundleError(f"{bundle.path}: has no operating point {rule!r}; there are {known}.")
    return {**main, **points[rule]}


def decision_weights(document: Mapping[str, Any]) -> Probabilities | None:
    """What each class's probability is multiplied with before one is decided, (C,); None where the most probable one is.

    Between two classes the operating point alone decides, and there are none.

    One over the share that it answers at, which `nevus.evaluation.decisions` takes from the images that a fold does not test.
    """
    if document.get("decisions", "likeliest") == "likeliest" or len(document["classes"]) == 2:
        return None
    return np.asarray([1 / document["prior"]["answered"][name] for name in document["classes"]])


def stated_priors(bundle: Bundle, prevalence: Mapping[str, float]) -> Priors:
    """The shares that the probabilities belong to, and those stated, the other classes in the proportions of validation."""
    known = bundle.document.get("prior")
    if known is None:
        remedy = "Train it again with this nevus, or use nevus recalibrate on its predictions"
        raise BundleError(f"{bundle.path}: does not say which shares of the classes its probabilities belong to. {remedy}.")
    prior, usual = (np.array([known[part][name] for name in bundle.classes]) for part in ("answered", "validation"))
    try:
        # A class that had no validation image keeps the share that the answers give it.
        return prior, stated_prior(bundle.classes, np.where(usual > 0, usual, prior), prevalence)
    except ValueError as error:
        raise DataError(f"--prevalence: {error}.") from error


def _moved(row: Probabilities, index: int, threshold: float, prior: Probabilities, stated: Probabilities) -> str:
    """A probability at the stated prevalence, and its threshold there where one threshold there is the same."""
    text = f"at the stated prevalence that probability is {shift_prior(row[None], prior, stated)[0, index]:.3f}"
    others = np.delete(stated / prior, index)
    if np.ptp(others) > 1e-9 * others.max():
        return text
    return f"{text} and that threshold {shift_threshold(threshold, prior[index], stated[index]):.3f}"
