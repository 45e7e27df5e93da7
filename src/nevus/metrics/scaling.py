"""Making probabilities mean what they say: temperature, vector and isotonic scaling, fitted on validation rows."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from nevus.metrics.calibration import fit_temperature

Floats = NDArray[np.float64]
# Probabilities (N, C) to better ones.
Scaling = Callable[[Floats], Floats]
_SMALLEST = np.finfo(np.float64).eps


def log_probabilities(probabilities: ArrayLike) -> Floats:
    """Logits up to a constant; a probability of 0 becomes the smallest that double precision tells from 0 beside 1."""
    return np.asarray(np.log(np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1)))


def temperature_scaling(probabilities: ArrayLike, targets: ArrayLike) -> Scaling:
    """softmax(log p / T), T with the smallest log-loss (Guo et al. 2017)."""
    temperature = fit_temperature(log_probabilities(probabilities), targets)
    return lambda table: np.asarray(softmax(log_probabilities(table) / temperature, axis=1))


def vector_scaling(probabilities: ArrayLike, targets: ArrayLike) -> Scaling:
    """softmax(w_c log p_c + b_c), the smallest log-loss over w and b (Guo et al. 2017, section 4.2, a diagonal matrix).

    It begins at the best temperature, so on the rows of the fit it is never worse.

    >>> spoilt = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    >>> vector_scaling(spoilt, [0, 0, 1, 1, 1, 0])(spoilt[[0, 3]]).round(2)
    array([[0.67, 0.33],
           [0.33, 0.67]])
    """
    logits, truth = log_probabilities(probabilities), np.asarray(targets, np.int64)
    num_images, num_classes = logits.shape
    hit = np.eye(num_classes)[truth]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scaled = log_softmax(logits * parameters[:num_classes] + parameters[num_classes:], axis=1)
        rest = (np.exp(scaled) - hit) / num_images
        value = -float(scaled[np.arange(num_images), truth].mean())
        return value, np.concatenate([(rest * logits).sum(axis=0), rest.sum(axis=0)])

    start = np.concatenate([np.full(num_classes, 1 / fit_temperature(logits, truth)), np.zeros(num_classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B").x
    weights, biases = found[:num_classes], found[num_classes:]
    return lambda table: np.asarray(softmax(log_probabilities(table) * weights + biases, axis=1))


def isotonic_scaling(probabilities: ArrayLike, targets: ArrayLike) -> Scaling:
    """Each class's probability by isotonic regression of it against the rest, then divided by their sum (Zadrozny, Elkan 2002).

    Between two classes the second is fitted and the first is what is left. No answer is surer than the n rows of the fit can
    tell: all are kept between 1 / (n + 2) and 1 − 1 / (n + 2), Laplace's share after n rows without an exception.
    """
    table, truth = np.asarray(probabilities, np.float64), np.asarray(targets, np.int64)
    least = 1 / (len(truth) + 2)
    fitted = range(1, 2) if table.shape[1] == 2 else range(table.shape[1])
    knots = [isotonic_regression(table[:, column], truth == column) for column in fitted]

    def scaling(given: Floats) -> Floats:
        columns = [
            np.interp(given[:, column], *curve).clip(least, 1 - least) for column, curve in zip(fitted, knots, strict=True)
        ]
        if len(columns) == 1:
            return np.stack([1 - columns[0], columns[0]], axis=1)
        stacked = np.stack(columns, axis=1)
        return np.asarray(stacked / stacked.sum(axis=1, keepdims=True))

    return scaling


def isotonic_regression(scores: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Floats]:
    """The rising curve nearest to the outcomes in squares, as knots (scores, values): neighbours that fall are pooled.

    Equal scores are one point. Between knots it is read by a straight line, beyond them it is level.

    >>> isotonic_regression([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])
    (array([0.1, 0.2, 0.3, 0.4]), array([0. , 0.5, 0.5, 1. ]))
    """
    places, index, counts = np.unique(np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    sums = np.bincount(index, weights=np.asarray(outcomes, np.float64))
    pooled: list[tuple[float, int, int]] = []  # sum, number of images, number of places
    for total, size in zip(sums.tolist(), counts.tolist(), strict=True):
        block = (total, size, 1)
        while pooled and pooled[-1][0] * block[1] >= block[0] * pooled[-1][1]:
            last = pooled.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        pooled.append(block)
    values = np.repeat([total / size for total, size, _ in pooled], [num_places for _, _, num_places in pooled])
    return places, np.asarray(values, np.float64)


SCALINGS: dict[str, Callable[[ArrayLike, ArrayLike], Scaling]] = {
    "temperature": temperature_scaling,
    "vector": vector_scaling,
    "isotonic": isotonic_scaling,
}
