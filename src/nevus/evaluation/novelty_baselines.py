"""Two published scores to measure a bundle's own against: they are fitted when they are asked for, and no bundle keeps them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BASELINES = ("class_mahalanobis", "isolation")
MAX_IMAGES = 2000
Scores = Callable[[NDArray[np.float32]], dict[str, Floats]]


def fit_baselines(features: NDArray[np.float32], targets: NDArray[np.int64], seed: int) -> Scores:
    """From training features (M, C) and their classes (M,), what gives each of `BASELINES`, (N,), of features (N, C).

    Both are of what the head reads: the distance to the nearest class (Lee et al. 2018), and the isolation forest that the 2022
    paper's authors cite (Liu, Ting & Zhou 2008; 100 trees of 256 rows, as scikit-learn has it). Larger is stranger.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> score = fit_baselines(rng.normal(size=(300, 5)).astype(np.float32), np.arange(300) % 2, seed=0)
    >>> {name: bool(far > near) for name, (near, far) in score(np.float32([[0] * 5, [9] * 5])).items()}
    {'class_mahalanobis': True, 'isolation': True}
    """
    from sklearn.ensemble import IsolationForest

    from nevus.training.novelty import fit_mahalanobis

    distance = fit_mahalanobis(features, targets)
    forest = IsolationForest(random_state=seed).fit(features)
    return lambda table: {"class_mahalanobis": distance(table), "isolation": -forest.score_samples(table)}
