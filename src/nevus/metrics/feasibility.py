"""Whether reported figures can come from any confusion matrix at all.

Accuracy = prevalence · sensitivity + (1 − prevalence) · specificity, so it lies between the two, and is fixed by them where the
prevalence is known. On n images the counts behind the figures are whole numbers besides. A published figure is rounded and
stands for an interval; all arithmetic is on exact fractions. A verdict of "possible" means no more than that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil, floor

from nevus.errors import DataError

ROUNDINGS = ("nearest", "down")


@dataclass(frozen=True)
class Reported:
    """A figure as it was printed, and the interval of values that are printed so; both ends count."""

    text: str
    low: Fraction
    high: Fraction

    @classmethod
    def read(cls, text: str, name: str = "figure", rounding: str = "nearest") -> "Reported":
        """Read "84.59%" or "0.8459", rounded to the nearest, or down, to as many digits as are printed.

        Raises
        ------
        DataError
            It is no number from 0 to 1 or from 0% to 100%.

        Examples
        --------
        >>> found = Reported.read("84.5%")
        >>> float(found.low), float(found.high)
        (0.8445, 0.8455)
        """
        digits = text.strip().removesuffix("%").strip()
        scale = 100 if text.strip().endswith("%") else 1
        try:
            number = Decimal(digits)
        except InvalidOperation:
            raise DataError(f"{name} {text!r}: not a number. Give it as it was printed, as in 84.59% or 0.8459.") from None
        if not number.is_finite() or not 0 <= number <= scale:
            raise DataError(f"{name} {text!r}: not a share from 0 to 1 or from 0% to 100%. Is a % missing?")
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)
        step = Fraction(10) ** exponent / scale
        value = Fraction(number) / scale
        low, high = (value, value + step) if rounding == "down" else (value - step / 2, value + step / 2)
        return cls(text.strip(), max(low, Fraction(0)), min(high, Fraction(1)))


@dataclass(frozen=True)
class Verdict:
    """`possible`, and why not; `example` is one confusion matrix (TP, FN, FP, TN) where there is one to show.

    `prevalence` is the interval of prevalences under which the figures agree, None where there is none.
    """

    possible: bool
    reason: str
    prevalence: tuple[float, float] | None = None
    example: tuple[int, int, int, int] | None = None


def check_binary(
    accuracy: Reported,
    sensitivity: Reported,
    specificity: Reported,
    *,
    num_images: int | None = None,
    num_positive: int | None = None,
    prevalence: Reported | None = None,
    num_folds: int = 1,
) -> Verdict:
    """Whether the three figures can be of one threshold on one set of images.

    Parameters
    ----------
    num_images, num_positive, prevalence
        What is known of the test set; the prevalence may be given as the number of positive images or as a share.
    num_folds
        Above 1, the figures are means over that many stratified folds of the images, whose prevalences differ by one image at
        most; the figures need then be no multiples of 1/n.

    Raises
    ------
    DataError
        The numbers of images contradict each other.

    Examples
    --------
    ZooME's AlexNet, Table I:

    >>> figures = [Reported.read(text) for text in ("78.50%", "78.28%", "76.81%")]
    >>> check_binary(*figures).possible
    False
    """
    if num_folds > 1 and num_images is None:
        raise DataError("means over folds need the number of images: it says how much the folds may differ.")
    low, high = _known_prevalence(num_images, num_positive, prevalence, num_folds)
    slack = _slack(num_images, low, high, num_folds)
    anywhere = _agreeing(accuracy, sensitivity, specificity, Fraction(0), Fraction(1), slack)
    agreeing = _agreeing(accuracy, sensitivity, specificity, low, high, slack)
    if agreeing is None:
        return Verdict(False, _why(accuracy, sensitivity, specificity, anywhere, (low, high), slack), _floats(anywhere))
    if num_images is None or num_folds > 1:
        return Verdict(True, f"they agree at {_prevalence(agreeing)}", _floats(agreeing))
    for matrix in _matrices(accuracy, sensitivity, specificity, num_images, agreeing):
        tp, fn, fp, tn = matrix
        reason = f"{tp} true and {fp} false positives, {tn} true and {fn} false negatives give them"
        return Verdict(True, reason, _floats(agreeing), matrix)
    reason = f"no whole numbers of {num_images:,} images give them, though shares of some would at {_prevalence(agreeing)}"
    return Verdict(False, reason, _floats(agreeing))


def _known_prevalence(
    num_images: int | None, num_positive: int | None, prevalence: Reported | None, num_folds: int
) -> tuple[Fraction, Fraction]:
    if num_images is not None and num_images < max(2, 2 * num_folds):
        raise DataError(f"{num_images} images in {num_folds} folds: each fold needs a positive and a negative image.")
    if num_positive is not None:
        if num_images is None:
            raise DataError("the number of positive images says nothing without the number of all images. Give both.")
        if not num_folds <= num_positive <= num_images - num_folds:
            raise DataError(f"{num_positive} positive of {num_images} images: each of {num_folds} folds needs both kinds.")
        share = Fraction(num_positive, num_images)
        if prevalence and not prevalence.low <= share <= prevalence.high:
            raise DataError(f"{num_positive} of {num_images} images are {float(share):.2%}, not {prevalence.text}. Give one.")
        return share, share
    return (prevalence.low, prevalence.high) if prevalence else (Fraction(0), Fraction(1))


def _slack(num_images: int | None, low: Fraction, high: Fraction, num_folds: int) -> Fraction:
    """How far a mean of fold accuracies may lie from the mean figures' own, by Cauchy and Schwarz.

    It is the covariance over folds of the prevalence and of sensitivity − specificity: at most half the range of the first times
    half the range of the second, which is 2.
    """
    if num_folds == 1 or num_images is None:
        return Fraction(0)

    smallest, largest = num_images // num_folds, -(-num_images // num_folds)
    fewest = floor(high * num_images / num_folds)
    # Where the number of positives is not known, some folds may have one more than others.
    most = ceil(high * num_images / num_folds) if low == high else fewest + 1
    return (Fraction(most, smallest) - Fraction(fewest, largest)) / 2


def _agreeing(
    accuracy: Reported, sensitivity: Reported, specificity: Reported, low: Fraction, high: Fraction, slack: Fraction
) -> tuple[Fraction, Fraction] | None:
    """The prevalences in [low, high] at which the accuracy can be as reported; an interval, since each bound is linear."""
    # Of the accuracy, the smallest value must not lie above what was reported, nor the largest below it.
    for at_0, at_1 in (
        (accuracy.high + slack - specificity.low, accuracy.high + slack - sensitivity.low),
        (specificity.high + slack - accuracy.low, sensitivity.high + slack - accuracy.low),
    ):
        # at_0 + prevalence (at_1 − at_0) ≥ 0
        if at_0 < 0 and at_1 < 0:
            return None
        if at_0 < 0:
            low = max(low, at_0 / (at_0 - at_1))
        elif at_1 < 0:
            high = min(high, at_0 / (at_0 - at_1))
    return (low, high) if low <= high else None


def _matrices(
    accuracy: Reported,
    sensitivity: Reported,
    specificity: Reported,
    num_images: int,
    prevalence: tuple[Fraction, Fraction],
) -> Iterator[tuple[int, int, int, int]]:
    """A confusion matrix for each number of positives that has one."""
    correct = _counts(accuracy, num_images)
    first, last = max(1, ceil(prevalence[0] * num_images)), min(num_images - 1, floor(prevalence[1] * num_images))
    for positives in range(first, last + 1):
        hits, rejections = _counts(sensitivity, positives), _counts(specificity, num_images - positives)
        # The sums of two runs of whole numbers are a run.
        low, high = max(hits[0] + rejections[0], correct[0]), min(hits[1] + rejections[1], correct[1])
        if hits[0] <= hits[1] and rejections[0] <= rejections[1] and low <= high:
            tp = max(hits[0], low - rejections[1])
            tn = low - tp if tp + rejections[0] <= low else rejections[0]
            yield tp, positives - tp, num_images - positives - tn, tn


def _counts(figure: Reported, total: int) -> tuple[int, int]:
    """The smallest and largest number of `total` that is printed as the figure; where there is none, the first is larger."""
    return ceil(figure.low * total), floor(figure.high * total)


def _why(
    accuracy: Reported,
    sensitivity: Reported,
    specificity: Reported,
    anywhere: tuple[Fraction, Fraction] | None,
    known: tuple[Fraction, Fraction],
    slack: Fraction,
) -> str:
    if anywhere is None:
        side = "above" if accuracy.low > max(sensitivity.high, specificity.high) else "below"
        return (
            "accuracy is a mean of sensitivity and specificity, weighted by how many are positive, and cannot lie "
            f"{side} both: {accuracy.text} beside {sensitivity.text} and {specificity.text}"
        )
    lowest = min(share * sensitivity.low + (1 - share) * specificity.low for share in known) - slack
    highest = max(share * sensitivity.high + (1 - share) * specificity.high for share in known) + slack
    return (
        f"at {_prevalence(known)} the accuracy would be {float(lowest):.2%} to {float(highest):.2%}, not {accuracy.text}; "
        f"that needs {_prevalence(anywhere)}"
    )


def _prevalence(interval: tuple[Fraction, Fraction]) -> str:
    low, high = (f"{float(share):.2%}" for share in interval)
    return f"a prevalence of {low}" if low == high else f"a prevalence of {low} to {high}"


def _floats(interval: tuple[Fraction, Fraction] | None) -> tuple[float, float] | None:
    return interval and (float(interval[0]), float(interval[1]))
