"""Classical classifiers of scikit-learn, with the settings they always have: none is chosen by looking at an answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from nevus.data.stratify import check_counts, deal_groups
from nevus.errors import DataError

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

_NUM_INNER = 3
_NUM_COMPONENTS = 128
# "balanced" weighs an image by W_c = N / (C · N_c), as the 2022 paper's loss does.
CLASS_WEIGHTS = ("none", "balanced")


def fit_estimator(
    name: str, inputs: NDArray[np.floating], targets: Rows, groups: Rows, class_weights: str = "none", seed: int = 0
) -> Callable[[NDArray[np.floating]], Floats]:
    """Fit on training rows alone; what is returned maps inputs (M, F) to probabilities (M, C).

    Parameters
    ----------
    name
        One of `ESTIMATORS`.
    inputs
        Pooled features, encoded metadata, or both side by side, (N, F).
    targets
        Class indices (N,); each of 0 to C − 1 is there.
    groups
        Group index of each row, (N,): the calibration of the support vectors never sees photos of a lesion that they saw.
    class_weights
        "none" or "balanced".
    seed
        Of what is drawn.

    Raises
    ------
    DataError
        There is no such estimator or weighting, or a class has too few groups to calibrate on.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inputs, targets = rng.normal(size=(90, 2)), np.arange(90) % 3
    >>> fit_estimator("logistic_regression", inputs + targets[:, None], targets, np.arange(90))(inputs).shape
    (90, 3)
    """
    check_choice(name, class_weights)
    weight = None if class_weights == "none" else class_weights
    estimator = ESTIMATORS[name]((len(inputs), inputs.shape[1]), weight, seed, lambda: _inner_folds(targets, groups, seed))
    fitted = estimator.fit(inputs, targets)
    # Platt's sigmoids answer at the shares of the rows they were fitted to, whatever the margins were weighted by.
    factors = 1 / np.bincount(targets) if weight and name == "support_vectors" else np.ones(int(targets.max()) + 1)

    def answer(rows: NDArray[np.floating]) -> Floats:
        weighted = np.asarray(fitted.predict_proba(rows), np.float64) * factors
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))

    return answer


def check_choice(name: str, class_weights: str) -> None:
    """Raise where there is no such estimator or weighting."""
    if name not in ESTIMATORS:
        raise DataError(f"--models {name}: there is no such estimator. Choose among {', '.join(ESTIMATORS)}.")
    if class_weights not in CLASS_WEIGHTS:
        raise DataError(f"--class-weights {class_weights}: expected one of {', '.join(CLASS_WEIGHTS)}.")


def _logistic_regression(shape: tuple[int, int], weight: str | None, seed: int, folds: Callable[[], Any]) -> Any:
    """Multinomial, L2. C falls with the number of inputs, from 1: a dozen fields need little shrinking, 1,280 features much."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=min(1.0, 10 / shape[1]), class_weight=weight, max_iter=2000))


def _random_forest(shape: tuple[int, int], weight: str | None, seed: int, folds: Callable[[], Any]) -> Any:
    """300 trees with five rows a leaf at least, so that a leaf's shares are probabilities and not memories."""
    return RandomForestClassifier(300, min_samples_leaf=5, class_weight=weight, random_state=seed)


def _support_vectors(shape: tuple[int, int], weight: str | None, seed: int, folds: Callable[[], Any]) -> Any:
    """C = 1 with a radial kernel on at most 128 principal components; Platt's sigmoids, fitted to answers of machines that had
    not seen the rows' groups (three inner folds of the training rows), turn its margins into probabilities (Platt 1999)."""
    inner = folds()
    components = _components(shape[1], min(len(train) for train, _ in inner), seed)
    machine = SVC(C=1.0, class_weight=weight, cache_size=500)
    scaled = make_pipeline(StandardScaler(), components, machine)
    return CalibratedClassifierCV(scaled, method="sigmoid", cv=inner, ensemble=False)


def _gradient_boosting(shape: tuple[int, int], weight: str | None, seed: int, folds: Callable[[], Any]) -> Any:
    """100 rounds of trees of 15 leaves at rate 0.1, beyond 128 inputs on 128 principal components. No early stopping: its inner
    split would not know of groups."""
    trees = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False, class_weight=weight, random_state=seed
    )
    if shape[1] <= _NUM_COMPONENTS:
        return trees
    return make_pipeline(StandardScaler(), _components(shape[1], shape[0], seed), trees)


def _components(num_inputs: int, num_rows: int, seed: int) -> PCA:
    return PCA(min(_NUM_COMPONENTS, num_inputs, num_rows), random_state=seed)


ESTIMATORS: dict[str, Callable[[tuple[int, int], str | None, int, Callable[[], Any]], Any]] = {
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
    "support_vectors": _support_vectors,
    "gradient_boosting": _gradient_boosting,
}


def _inner_folds(targets: Rows, groups: Rows, seed: int) -> list[tuple[Rows, Rows]]:
    """Training and held-out rows of three stratified folds of whole groups."""
    groups = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    names = tuple(f"class {index}" for index in range(int(targets.max()) + 1))
    check_counts(targets, groups, names, _NUM_INNER)
    fold_of = deal_groups(targets, groups, np.full(_NUM_INNER, 1 / _NUM_INNER), np.random.default_rng([seed, 3]))
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(_NUM_INNER)]
