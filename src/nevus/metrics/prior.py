"""Probabilities of one population for another, in which the classes have other shares but look the same (prior shift)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def shift_prior(probabilities: ArrayLike, prior: ArrayLike, new_prior: ArrayLike) -> Floats:
    """p'_c ∝ p_c · π'_c / π_c (Saerens, Latinne, Decaestecker 2002, equation 2.4), (N, C) to (N, C).

    `prior` are the shares (C,) that the probabilities belong to, `new_prior` those of the other population.

    >>> shift_prior([[0.5, 0.5]], [0.5, 0.5], [0.98, 0.02])
    array([[0.98, 0.02]])
    """
    table = np.asarray(probabilities, np.float64) * (np.asarray(new_prior, np.float64) / np.asarray(prior, np.float64))
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def shift_threshold(threshold: float, prior: float, new_prior: float) -> float:
    """Where a threshold on the probability of a class of share `prior` lies once the share is `new_prior`.

    Its odds are multiplied as those of the probabilities are, so the likelihood ratio, the sensitivity and the specificity stay.

    >>> round(shift_threshold(0.5, 0.5, 0.02), 6)
    0.02
    """
    up, down = threshold * new_prior / prior, (1 - threshold) * (1 - new_prior) / (1 - prior)
    return up / (up + down)


def stated_prior(classes: Sequence[str], prior: ArrayLike, stated: Mapping[str, float]) -> Floats:
    """The prior with stated shares of some classes; the others keep their proportions in what is left, (C,).

    Raises
    ------
    ValueError
        A class is unknown, a share is not between 0 and 1, or the shares leave too much or too little for the other classes.

    Examples
    --------
    >>> stated_prior(["bkl", "mel", "nv"], [0.2, 0.2, 0.6], {"mel": 0.02})
    array([0.245, 0.02 , 0.735])
    """
    if unknown := [name for name in stated if name not in classes]:
        raise ValueError(f"{', '.join(unknown)}: no class here; there are {', '.join(classes)}")
    for name, share in stated.items():
        if not 0 < share < 1:
            raise ValueError(f"prevalence {name}={share}: expected a share between 0 and 1, as in {name}=0.02")
    named = np.array([name in stated for name in classes])
    total = sum(stated.values())
    if named.all() and abs(total - 1) > 1e-6:
        raise ValueError(f"the prevalences of all classes sum to {total:g}: expected 1. Leave out the class that is the rest")
    if not named.all() and total >= 1:
        raise ValueError(f"the prevalences sum to {total:g} and leave nothing for the other classes: expected less than 1")
    old = np.asarray(prior, np.float64)
    rest = old * ~named
    new = rest * ((1 - total) / rest.sum()) if rest.sum() else rest
    return np.asarray(new + [stated.get(name, 0.0) for name in classes])


def estimate_prior(probabilities: ArrayLike, prior: ArrayLike, *, tolerance: float = 1e-8, num_steps: int = 10_000) -> Floats:
    """The shares of the classes in a population without labels, from its probabilities (Saerens et al. 2002, section 2.2), (C,).

    Expectation maximisation of the likelihood: shift to the estimate, take the mean, until it stays.

    >>> estimate_prior([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], [0.5, 0.5]).round(3)
    array([0.812, 0.188])
    """
    table, old = np.asarray(probabilities, np.float64), np.asarray(prior, np.float64)
    estimate = old
    for _ in range(num_steps):
        new = shift_prior(table, old, estimate).mean(axis=0)
        if np.abs(new - estimate).max() < tolerance:
            return np.asarray(new)
        estimate = new
    return np.asarray(estimate)
