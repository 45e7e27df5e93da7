"""Whether probabilities mean what they say, and one temperature to make them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Floats = NDArray[np.float64]
NUM_BINS = 15


@dataclass(frozen=True)
class Bins:
    """Bins of equally many images: mean `confidence`, observed `frequency` and `size`, each (B,)."""

    confidence: Floats
    frequency: Floats
    size: NDArray[np.int64]


def reliability_bins(confidence: ArrayLike, outcomes: ArrayLike, num_bins: int = NUM_BINS) -> Bins:
    """Sort by confidence and cut into at most `num_bins` parts of equal number (equal mass); `outcomes` are 0 or 1."""
    values, observed = np.asarray(confidence, np.float64), np.asarray(outcomes, np.float64)
    parts = [part for part in np.array_split(np.argsort(values, kind="stable"), num_bins) if len(part)]
    return Bins(
        np.array([values[part].mean() for part in parts]),
        np.array([observed[part].mean() for part in parts]),
        np.array([len(part) for part in parts], np.int64),
    )


def calibration_error(confidence: ArrayLike, outcomes: ArrayLike, num_bins: int = NUM_BINS, *, resampled: bool = False) -> float:
    """Debiased expected calibration error, equal-mass bins, root of squares.

    Σ_b n_b/N · ((conf_b − freq_b)² − freq_b (1 − freq_b)/(n_b − 1)), its root where positive and 0 else: the plug-in estimate is
    too large by the sampling variance of each bin's frequency, which is subtracted (Kumar, Liang, Ma 2019, definition 5.1,
    "Verified Uncertainty Calibration"). A bootstrap resample varies about its sample as the sample does about the truth, so
    with `resampled` the variance is subtracted twice. NaN with fewer than two images a bin.
    """
    bins = reliability_bins(confidence, outcomes, num_bins)
    if len(bins.size) < num_bins or bins.size.min() < 2:
        return float("nan")
    variance = (2 if resampled else 1) * bins.frequency * (1 - bins.frequency) / (bins.size - 1)
    squared = np.sum(bins.size / bins.size.sum() * ((bins.confidence - bins.frequency) ** 2 - variance))
    return float(np.sqrt(max(0.0, squared)))


def equal_mass(confidence: ArrayLike, num_bins: int = NUM_BINS) -> NDArray[np.int64]:
    """The bin of each image, (N,): those of `reliability_bins`."""
    values = np.asarray(confidence, np.float64)
    index = np.zeros(len(values), np.int64)
    for place, part in enumerate(np.array_split(np.argsort(values, kind="stable"), num_bins)):
        index[part] = place
    return index


def equal_width(confidence: ArrayLike, num_bins: int = NUM_BINS) -> NDArray[np.int64]:
    """The bin of each image, (N,), of `num_bins` equal parts of 0 to 1; a bin holds its lower end, the last both."""
    edges = np.linspace(0, 1, num_bins + 1)[1:-1]
    return np.searchsorted(edges, np.asarray(confidence, np.float64), side="right").astype(np.int64)


BINNINGS: dict[str, Callable[[ArrayLike, int], NDArray[np.int64]]] = {"equal_mass": equal_mass, "equal_width": equal_width}
ESTIMATES = ("absolute", "root_mean_square", "debiased")


class Binned:
    """Claims in bins that are those of the images as they are, to be counted under image weights.

    Several figures ask for the same counts, so those of the last weights are kept.

    Parameters
    ----------
    confidence, outcomes
        What was claimed, and whether it came true, (N,).
    binning
        "equal_mass" or "equal_width".
    """

    def __init__(self, confidence: ArrayLike, outcomes: ArrayLike, binning: str, num_bins: int = NUM_BINS) -> None:
        values, observed = np.asarray(confidence, np.float64), np.asarray(outcomes, np.float64)
        member = np.eye(num_bins)[BINNINGS[binning](values, num_bins)]
        self._table = np.concatenate([member, member * values[:, None], member * observed[:, None]], axis=1)
        self.scarce = binning == "equal_mass" and len(values) < 2 * num_bins
        self._weights: Floats | None = None
        self._counts = (np.zeros(0), np.zeros(0), np.zeros(0))

    def counts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Weights (R, N) to each bin's number of images, sum of confidence and number of hits, (R, B) each."""
        if self._weights is not weights:
            size, claimed, found = np.split(weights @ self._table, 3, axis=1)
            self._weights, self._counts = weights, (size, claimed, found)
        return self._counts


def calibration_figure(binned: Binned, estimate: str) -> Callable[[Floats], Floats]:
    """A calibration error as a figure of image weights, (R, N) to (R,).

    `estimate` is "absolute": Σ_b n_b/N |conf_b − freq_b|, what most papers call ECE (Naeini et al. 2015); "root_mean_square": the
    gap's square in place of its size; or "debiased": that less the sampling variance, as in `calibration_error`. A bin of one
    image has no variance to subtract. Of bins of equal mass it is undefined with fewer than two images a bin.

    >>> figure = calibration_figure(Binned([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1], "equal_mass", num_bins=2), "absolute")
    >>> figure(np.ones((1, 4))).round(3)
    array([0.25])
    """

    def figure(weights: Floats) -> Floats:
        size, claimed, found = binned.counts(weights)
        some = np.maximum(size, 1)
        gap, share = (claimed - found) / some, size / size.sum(axis=1, keepdims=True)
        if estimate == "absolute":
            return np.asarray((share * np.abs(gap)).sum(axis=1))
        squared = (share * gap**2).sum(axis=1)
        if estimate == "debiased":
            frequency = found / some
            variance = (share * frequency * (1 - frequency) / np.maximum(size - 1, 1)).sum(axis=1)
            # A resample varies about its sample as the sample does about the truth.
            squared -= np.where((weights == 1).all(axis=1), 1, 2) * variance
            if binned.scarce:
                squared = np.full(len(weights), np.nan)
        return np.asarray(np.sqrt(np.maximum(squared, 0)))

    return figure


def brier_score(targets: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Each image's Σ_c (p_c − y_c)², (N, C) to (N,); with two classes half of it, so that it is (p − y)² of one probability."""
    table = np.asarray(probabilities, np.float64)
    hit = np.eye(table.shape[1])[np.asarray(targets, np.int64)]
    scores = np.square(table - hit).sum(axis=1)
    return np.asarray(scores / 2 if table.shape[1] == 2 else scores)


def log_loss(targets: ArrayLike, logits: ArrayLike, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of softmax(logits / temperature)."""
    table = log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(-table[np.arange(len(table)), np.asarray(targets, np.int64)].mean())


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """The temperature in [0.05, 20] with the smallest log-loss (Guo et al. 2017, section 4.2).

    >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    >>> round(fit_temperature(logits, [0, 0, 0, 0]), 2)  # right in 3 of 4, so the odds should be 3: 4 / T = log 3
    3.64
    """
    result = minimize_scalar(
        lambda log_t: log_loss(targets, logits, float(np.exp(log_t))), bounds=(np.log(0.05), np.log(20)), method="bounded"
    )
    return float(np.exp(result.x))
