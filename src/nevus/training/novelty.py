"""Fit, on training rows alone, what tells a bundle that an image is unlike its training images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from nevus.data.looks import Look
from nevus.data.resample import stretch
from nevus.metrics.conformal import conformal_quantile
from nevus.metrics.novelty import Mahalanobis, Novelty
from nevus.networks.classifier import LesionClassifier
from nevus.training.loader import Examples, Rows

MAX_ROWS = 2000
ACCEPTED = (0.95, 0.97, 0.99)
DECIDES = "mahalanobis"
# Which of `ACCEPTED` decides. Of 0.99 many times as many other images were accepted; 0.95 is where the groups are too few for it.
_USUAL = 0.97
# Enough to keep the whole covariance of a small network's middle stage.
_NUM_DIRECTIONS = 256
_BATCH_SIZE = 64


def sample_rows(rows: Rows, seed: int) -> Rows:
    """At most `MAX_ROWS` of the rows, drawn evenly, in order."""
    if len(rows) <= MAX_ROWS:
        return rows
    return np.sort(np.random.default_rng([seed, 7]).choice(rows, MAX_ROWS, replace=False))


@torch.no_grad()
def image_features(network: LesionClassifier, examples: Examples, rows: Rows, looks: Sequence[Look]) -> NDArray[np.float32]:
    """The exported network's `features` of images as they are held, float32 (N, F); the mean over looks.

    The images are stretched as the exported graph does it: how sharp an image is, is much of its texture.
    """
    network.eval()
    mean, std = (np.array(values, np.float32) for values in (network.mean, network.std))
    each = []
    for look in looks:
        parts = []
        for start in range(0, len(rows), _BATCH_SIZE):
            photos = [examples.pack.image(row) for row in rows[start : start + _BATCH_SIZE]]
            batch = np.stack([(stretch(photo, *look) / 255 - mean) / std for photo in photos])
            parts.append(network.image_features(torch.from_numpy(batch).permute(0, 3, 1, 2)))
        each.append(torch.cat(parts))
    return np.asarray(torch.stack(each).mean(dim=0).numpy(), np.float32)


def fit_novelty(textures: NDArray[np.float32]) -> Novelty:
    """Fit the mean and the covariance of training images' middle-stage features (N, F).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> novelty = fit_novelty(rng.normal(size=(300, 5)).astype(np.float32))
    >>> novelty.mahalanobis([[0.0] * 5, [9.0] * 5]).round(-2)
    array([  0., 400.])
    """
    return Novelty(fit_mahalanobis(textures, np.zeros(len(textures), np.int64)))


def thresholds(scores: Mapping[str, NDArray[np.float64]], groups: NDArray[Any]) -> dict[str, Any]:
    """Up to which score an image is accepted, so that of images like the validation images 95, 97 and 99 of 100 are at least.

    Whole groups are counted (`conformal_quantile`); a threshold is null where there are too few of them to promise it. The one
    that decides is that of 97 of 100 or, where it is null, of 95.

    >>> thresholds({"mahalanobis": np.arange(30.0)}, np.arange(30))["thresholds"]
    {'mahalanobis': {'0.95': 29.0, '0.97': None, '0.99': None}}
    """
    limits = {
        name: {f"{share:.2f}": _finite(conformal_quantile(values, share, groups)) for share in ACCEPTED}
        for name, values in scores.items()
    }
    known = [share for share, limit in limits[DECIDES].items() if limit is not None and float(share) <= _USUAL]
    return {"thresholds": limits, "decides": DECIDES, "accepted": known[-1] if known else None}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def fit_mahalanobis(table: NDArray[np.float32], targets: NDArray[np.int64]) -> Mahalanobis:
    """The means of the classes (N,) and what varies about them, of features (N, F); shrunk as Ledoit & Wolf 2004 have it."""
    features = table.astype(np.float64)
    classes, places = np.unique(targets, return_inverse=True)
    means = np.stack([features[places == index].mean(axis=0) for index in range(len(classes))])
    apart = features - means[places]
    num_rows, num_features = apart.shape
    shrinkage = float(ledoit_wolf_shrinkage(apart, assume_centered=True))
    # Of the two products the smaller one is taken apart; both have the same eigenvalues but zeros.
    if num_features <= num_rows:
        values, vectors = np.linalg.eigh(apart.T @ apart / num_rows)
        directions = vectors.T[::-1]
    else:
        values, vectors = np.linalg.eigh(apart @ apart.T / num_rows)
        directions = (vectors.T @ apart / np.sqrt(np.maximum(values, 1e-30) * num_rows)[:, None])[::-1]
    values = np.maximum(values[::-1], 0)
    mean_variance = float((apart**2).sum() / num_rows / num_features)
    kept = min(_NUM_DIRECTIONS, num_features, int((values > 1e-9 * max(values[0], 1e-30)).sum()))
    shrunk = (1 - shrinkage) * values[:kept] + shrinkage * mean_variance
    left = num_features - kept
    rest = (num_features * mean_variance - shrunk.sum()) / left if left else np.inf
    return Mahalanobis(
        means.astype(np.float32), directions[:kept].astype(np.float32), shrunk.astype(np.float32), float(max(rest, 1e-12))
    )
