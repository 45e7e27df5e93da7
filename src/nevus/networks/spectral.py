"""Trainable matrices that begin as a spectral transform (Alberti et al. 2019, arXiv 1911.05045)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import leaky_relu, linear

from nevus.errors import RecipeError

# A matrix of so many features has 67 million weights.
_MOST_FEATURES = 8192


def dct_matrix(length: int) -> NDArray[np.float64]:
    """The orthonormal DCT-II as a matrix (length, length): row k is cos(π k (2n + 1) / 2N), scaled to unit length.

    >>> dct_matrix(2).round(3)
    array([[ 0.707,  0.707],
           [ 0.707, -0.707]])
    """
    places = np.arange(length)
    return _unit_rows(np.cos(np.pi * places[:, None] * (2 * places + 1) / (2 * length)))


def dft_matrix(length: int) -> NDArray[np.float64]:
    """The orthonormal real DFT as a matrix (length, length): the rows of all cosines, then of the sines that are not zero.

    A real signal's other frequencies say nothing new. cos(2π k n / N) for k to N / 2, then −sin(2π k n / N) for 0 < k < N / 2.

    >>> dft_matrix(3).round(3)
    array([[ 0.577,  0.577,  0.577],
           [ 0.816, -0.408, -0.408],
           [ 0.   , -0.707,  0.707]])
    """
    angles = 2 * np.pi * np.outer(np.arange(length // 2 + 1), np.arange(length)) / length
    return _unit_rows(np.concatenate([np.cos(angles), -np.sin(angles[1 : (length + 1) // 2])])) + 0.0  # no -0


MATRICES: dict[str, Callable[[int], NDArray[np.float64]]] = {"dct": dct_matrix, "dft": dft_matrix}


class FeatureTransform(nn.Module):
    """W x, with W (C, C) trainable and without bias; a fresh one is the transform, so it turns the features and scales nothing.

    One linear layer before another adds no function, only another way to train: the paper's own place is the feature map.
    """

    def __init__(self, kind: str, num_features: int) -> None:
        super().__init__()
        self.weight = _trainable(kind, num_features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C) to (N, C)."""
        return linear(features, self.weight)


class MapTransform(nn.Module):
    """LeakyReLU(A x Bᵀ) of every channel's map x, with A (H, H) and B (W, W) trainable and the same for all channels.

    This is the authors' two-dimensional layer with the activation that follows it there. They keep real and imaginary parts of a
    DFT as maps of their own; here "dft" is the real transform of rows and columns. Both are orthonormal, which is said nowhere.
    """

    def __init__(self, kind: str, height: int, width: int) -> None:
        super().__init__()
        self.rows = _trainable(kind, height)
        self.columns = _trainable(kind, width)

    def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        return leaky_relu(self.rows @ feature_map @ self.columns.T)


def feature_transform(kind: str, num_features: int) -> nn.Module:
    """The recipe's transform of features (N, num_features); "none" is the features as they are.

    Raises
    ------
    RecipeError
        There are more than 8,192 features: their matrix would be larger than any backbone.

    Examples
    --------
    >>> feature_transform("dct", 4)(torch.ones(1, 4)).round(decimals=3)[0, 0]
    tensor(2., grad_fn=<SelectBackward0>)
    """
    if kind == "none":
        return nn.Identity()
    if num_features > _MOST_FEATURES:
        raise RecipeError(
            f'model.transform = "{kind}": {num_features:,} features need a matrix of {num_features**2:,} weights; at most '
            f'{_MOST_FEATURES:,} features are taken. Choose model.pooling = "average", or model.map_transform.'
        )
    return FeatureTransform(kind, num_features)


def map_transform(kind: str, side: int | None) -> nn.Module:
    """The recipe's transform of feature maps (N, C, side, side); "none" is the maps as they are.

    Raises
    ------
    RecipeError
        `side` is None: the matrices fit one size of map.
    """
    if kind == "none":
        return nn.Identity()
    if side is None:
        raise RecipeError(f'model.map_transform = "{kind}" needs a fixed input size. Give it, or choose "none".')
    return MapTransform(kind, side, side)


def _trainable(kind: str, length: int) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(MATRICES[kind](length)).float())


def _unit_rows(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = matrix / np.sqrt((matrix**2).sum(axis=1, keepdims=True))
    return unit
