"""How unlike the training images an image is: scores, each larger for stranger images, from arrays alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from nevus.metrics.bootstrap import WeightedFigure

Floats = NDArray[np.float64]
SCORES = ("mahalanobis", "energy")


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
class Novelty:
    """What a bundle keeps to tell how unlike the training images an image is.

    `mahalanobis` is of the channels' means and standard deviations after the network's middle stage, about the mean of all
    training images: textures and colours, whatever the diagnosis. The features that a head reads tell the classes apart and
    little else: by them, most photographs of animals were taken for lesions.
    """

    mahalanobis: Mahalanobis

    def scores(self, logits: ArrayLike, features: ArrayLike) -> dict[str, Floats]:
        """Each of `SCORES`, (N,), of logits (N, C) and a network's `features` (N, F), the middle stage's first."""
        textures = np.asarray(features)[:, : self.mahalanobis.means.shape[1]]
        return {"mahalanobis": self.mahalanobis(textures), "energy": energy(logits)}

    def tensors(self) -> dict[str, NDArray[np.generic]]:
        """As named arrays, to be stored."""
        # safetensors writes the memory as it lies: of a view that runs backwards it would write something else.
        parts = {name: np.ascontiguousarray(np.atleast_1d(value)) for name, value in vars(self.mahalanobis).items()}
        return {f"mahalanobis.{name}": value for name, value in parts.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[np.generic]]) -> "Novelty":
        """From what `tensors` gave."""
        parts: dict[str, Any] = {key.removeprefix("mahalanobis."): value for key, value in tensors.items()}
        return cls(Mahalanobis(**{**parts, "rest": float(parts["rest"][0])}))


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
