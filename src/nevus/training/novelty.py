"""Fit, on training rows alone, what tells a bundle that an image is unlike its training images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.ensemble import IsolationForest as Forest

from nevus.metrics.conformal import conformal_quantile
from nevus.metrics.novelty import IsolationForest, Mahalanobis, Novelty
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import Recipe
from nevus.training.loader import Examples, Rows, evaluation_batches, normalise

MAX_ROWS = 2000
ACCEPTED = (0.95, 0.99)
# The score that refers an image. Chosen for what it is, not for how it did: it asks no head, and knows the classes apart.
DECIDES = "mahalanobis"
_NUM_DIRECTIONS = 128
_NUM_TREES = 100
_BATCH_SIZE = 64


def sample_rows(rows: Rows, seed: int) -> Rows:
    """At most `MAX_ROWS` of the rows, drawn evenly, in order."""
    if len(rows) <= MAX_ROWS:
        return rows
    return np.sort(np.random.default_rng([seed, 7]).choice(rows, MAX_ROWS, replace=False))


@torch.no_grad()
def image_features(network: LesionClassifier, examples: Examples, rows: Rows, sizes: Sequence[int]) -> NDArray[np.float32]:
    """The exported network's `features` of whole images as they are, float32 (N, F); the mean over input sizes."""
    network.eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (network.mean, network.std))
    each = []
    for size in sizes:
        batches = evaluation_batches(examples, rows, size, _BATCH_SIZE)
        each.append(torch.cat([network.image_features(normalise(batch.images, mean, std)) for batch in batches]))
    return np.asarray(torch.stack(each).mean(dim=0).numpy(), np.float32)


def fit_novelty(features: NDArray[np.float32], targets: NDArray[np.int64], seed: int = 0) -> Novelty:
    """Fit class means, their covariance and an isolation forest to training features (N, F).

    The covariance is shrunk as Ledoit & Wolf 2004 have it. The forest has scikit-learn's own settings: 100 trees of 256 rows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> novelty = fit_novelty(rng.normal(size=(300, 5)).astype(np.float32), np.arange(300) % 2)
    >>> novelty.mahalanobis([[0.0] * 5, [9.0] * 5]).round(-2)
    array([  0., 400.])
    """
    return Novelty(_mahalanobis(features.astype(np.float64), targets), _forest(features, seed))


def fit_from_rows(
    network: LesionClassifier,
    examples: Examples,
    training: Rows,
    validation: Rows,
    logits: NDArray[np.float32],
    groups: NDArray[Any],
    recipe: Recipe,
) -> tuple[Novelty, dict[str, Any]]:
    """Fitted to training rows (see `sample_rows`), and bundle.json's `novelty`, whose thresholds the validation rows choose.

    Parameters
    ----------
    network
        On the CPU, with its final weights.
    logits, groups
        Of the validation rows: as the bundle will give them, and any labels of which photos belong together.
    """
    sizes, seed = recipe.data.sizes, recipe.training.seed
    novelty = fit_novelty(image_features(network, examples, training, sizes), examples.targets[training], seed)
    scores = novelty.scores(logits, image_features(network, examples, validation, sizes))
    return novelty, {
        **thresholds(scores, groups),
        "chosen_on": f"{len(validation)} validation images",
        "fitted_on": f"{len(training)} training images",
    }


def thresholds(scores: Mapping[str, NDArray[np.float64]], groups: NDArray[Any]) -> dict[str, Any]:
    """Up to which score an image is accepted, so that of images like the validation images 95 and 99 of 100 are at least.

    Whole groups are counted (`conformal_quantile`); a threshold is null where there are too few of them to promise it.

    >>> thresholds({"mahalanobis": np.arange(30.0)}, np.arange(30))["thresholds"]
    {'mahalanobis': {'0.95': 29.0, '0.99': None}}
    """
    limits = {
        name: {f"{share:.2f}": _finite(conformal_quantile(values, share, groups)) for share in ACCEPTED}
        for name, values in scores.items()
    }
    known = [share for share, limit in limits[DECIDES].items() if limit is not None]
    return {"thresholds": limits, "decides": DECIDES, "accepted": known[-1] if known else None}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _mahalanobis(features: NDArray[np.float64], targets: NDArray[np.int64]) -> Mahalanobis:
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


def _forest(features: NDArray[np.float32], seed: int) -> IsolationForest:
    fitted = Forest(n_estimators=_NUM_TREES, random_state=seed).fit(features)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in ("feature", "threshold", "left", "right", "depth")}
    roots, start = [], 0
    for estimator in fitted.estimators_:
        tree = estimator.tree_
        nodes = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        parts["feature"].append(np.where(leaf, 0, tree.feature))
        parts["threshold"].append(tree.threshold)
        parts["left"].append(start + np.where(leaf, nodes, tree.children_left))
        parts["right"].append(start + np.where(leaf, nodes, tree.children_right))
        parts["depth"].append(_depths(tree.children_left, tree.children_right) + _expected_depth(tree.n_node_samples))
        roots.append(start)
        start += tree.node_count
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    return IsolationForest(
        feature=whole["feature"].astype(np.int32),
        threshold=whole["threshold"].astype(np.float64),
        left=whole["left"].astype(np.int32),
        right=whole["right"].astype(np.int32),
        depth=whole["depth"],
        roots=np.array(roots, np.int32),
        expected=float(_expected_depth(np.array([fitted.max_samples_]))[0]),
    )


def _depths(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cuts above each node; scikit-learn numbers parents before their children."""
    depths = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0):
        depths[[left[node], right[node]]] = depths[node] + 1
    return depths


def _expected_depth(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean depth of a tree that parts n rows at random, c(n) (Liu, Ting & Zhou 2008, equation 1)."""
    count = np.maximum(sizes.astype(np.float64), 3)
    many = 2 * (np.log(count - 1) + np.euler_gamma) - 2 * (count - 1) / count
    return np.asarray(np.select([sizes <= 1, sizes == 2], [0.0, 1.0], many))
