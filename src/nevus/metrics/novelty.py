"""How unlike the training images an image is: three scores, each larger for stranger images, from arrays alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from nevus.metrics.bootstrap import WeightedFigure

Floats = NDArray[np.float64]
SCORES = ("energy", "mahalanobis", "isolation")


def energy(logits: ArrayLike) -> Floats:
    """−log Σ exp(logit), (N, C) to (N,): low where some class is answered for strongly (Liu et al. 2020, equation 4, T = 1).

    >>> energy([[0.0, 0.0], [9.0, 0.0]]).round(2)
    array([-0.69, -9.  ])
    """
    values = np.asarray(logits, np.float64)
    highest = values.max(axis=1)
    return np.asarray(-highest - np.log(np.exp(values - highest[:, None]).sum(axis=1)))


@dataclass(frozen=True)
class Mahalanobis:
    """Squared distance to the nearest class's mean, under one covariance for all classes (Lee et al. 2018, equation 2).

    The covariance is kept by its K leading directions; all other directions share one variance, so that a bundle stays small
    (the form of probabilistic principal components, Tipping & Bishop 1999). With K = F it is the whole covariance.

    Parameters
    ----------
    means
        Of the classes, (C, F).
    directions
        Orthonormal rows, (K, F).
    variances
        Along them, (K,), positive.
    rest
        The variance along every other direction; infinite where there is none.

    Examples
    --------
    >>> distance = Mahalanobis(np.zeros((1, 2)), np.array([[1.0, 0.0]]), np.array([4.0]), rest=1.0)
    >>> distance([[2.0, 0.0], [0.0, 3.0]])
    array([1., 9.])
    """

    means: NDArray[np.floating]
    directions: NDArray[np.floating]
    variances: NDArray[np.floating]
    rest: float

    def __call__(self, features: ArrayLike) -> Floats:
        """Features (N, F) to squared distances (N,)."""
        table = np.asarray(features, np.float64)
        directions, variances = self.directions.astype(np.float64), self.variances.astype(np.float64)
        distances = []
        for mean in self.means.astype(np.float64):
            apart = table - mean
            along = apart @ directions.T
            beside = np.maximum((apart**2).sum(axis=1) - (along**2).sum(axis=1), 0)
            distances.append((along**2 / variances).sum(axis=1) + beside / self.rest)
        return np.asarray(np.min(distances, axis=0))


@dataclass(frozen=True)
class IsolationForest:
    """How soon random cuts set an image apart: 2^(−mean depth / depth expected), from 0 to 1 (Liu, Ting & Zhou 2008, equation 2).

    The nodes of all trees stand one after the other. A leaf's children are itself.

    Parameters
    ----------
    feature, threshold
        Each node's cut, (M,): left where the feature is at most the threshold.
    left, right
        Indices of the children, (M,).
    depth
        Of a leaf with what more its rows would take to part, (M,).
    roots
        Where each tree begins, (T,).
    expected
        The mean depth of a tree of as many rows.
    """

    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    depth: Floats
    roots: NDArray[np.int32]
    expected: float

    def __call__(self, features: ArrayLike) -> Floats:
        """Features (N, F) to scores (N,); cuts are of float32, as the trees were grown."""
        table = np.asarray(features, np.float32)
        rows = np.arange(len(table))
        depths = np.zeros(len(table))
        for root in self.roots:
            nodes = np.full(len(table), root)
            while True:
                lower = table[rows, self.feature[nodes]] <= self.threshold[nodes]
                below = np.where(lower, self.left[nodes], self.right[nodes])
                if (below == nodes).all():
                    break
                nodes = below
            depths += self.depth[nodes]
        return np.asarray(2 ** (-depths / (len(self.roots) * self.expected)))


@dataclass(frozen=True)
class Novelty:
    """What a bundle keeps to tell how unlike the training images an image is."""

    mahalanobis: Mahalanobis
    isolation: IsolationForest

    def scores(self, logits: ArrayLike, features: ArrayLike) -> dict[str, Floats]:
        """Each of `SCORES`, (N,), of logits (N, C) and features (N, F)."""
        return {"energy": energy(logits), "mahalanobis": self.mahalanobis(features), "isolation": self.isolation(features)}

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """As named arrays, to be stored."""
        parts = {"mahalanobis": vars(self.mahalanobis), "isolation": vars(self.isolation)}
        # safetensors writes the memory as it lies: of a view that runs backwards it would write something else.
        return {
            f"{part}.{name}": np.ascontiguousarray(np.atleast_1d(value))
            for part, fields in parts.items()
            for name, value in fields.items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> "Novelty":
        """From what `tensors` gave."""
        parts: dict[str, dict[str, object]] = {"mahalanobis": {}, "isolation": {}}
        for key, value in tensors.items():
            part, name = key.split(".")
            parts[part][name] = float(value[0]) if name in ("rest", "expected") else value
        return cls(Mahalanobis(**parts["mahalanobis"]), IsolationForest(**parts["isolation"]))  # type: ignore[arg-type]


def accepted_others(others: NDArray[np.bool_], scores: Floats, kept: float = 0.95) -> "WeightedFigure":
    """The share of `others` among the accepted where `kept` of the own images are: FPR at 95% TPR (Liu et al. 2020).

    The figure takes weights (R, N); the threshold moves with them. Scores are larger for stranger images.

    >>> others = np.array([False] * 20 + [True] * 2)
    >>> accepted_others(others, np.r_[np.arange(20.0), 5, 50])(np.ones((1, 22)))
    array([0.5])
    """
    order = np.argsort(scores, kind="stable")
    ordered, strange = scores[order], others[order]
    # Ties end together: an image is accepted up to and with the threshold.
    ends = np.searchsorted(ordered, ordered, side="right") - 1

    def figure(weights: Floats) -> Floats:
        own = np.cumsum(np.where(strange, 0, weights[:, order]), axis=1)
        foreign = np.cumsum(np.where(strange, weights[:, order], 0), axis=1)
        places = ends[np.argmax(own >= kept * own[:, -1:] - 1e-9, axis=1)]
        with np.errstate(invalid="ignore"):
            return np.asarray(foreign[np.arange(len(weights)), places] / foreign[:, -1])

    return figure
