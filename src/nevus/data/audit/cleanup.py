"""What a clean-up would remove from the test folds, and whether it would leave an easier test set.

Removing every test image that has a sibling in another fold keeps single-image lesions, which are mostly naevi and mostly easy:
DermaMNIST-C scores higher than the leaky set it mends. So the class mix and the difficulty of what goes are reported beside
what stays.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.data.audit.fingerprint import Fingerprints
from nevus.data.tables import read_table
from nevus.errors import DataError

Floats = NDArray[np.float64]

_NUM_RESAMPLES = 1000
_NUM_FOLDS = 5


def cleanup(
    frame: pd.DataFrame,
    removed: NDArray[np.int64],
    tested: NDArray[np.int64],
    probability: Floats | None,
    wrong: Floats | None,
    source: str,
) -> dict[str, Any]:
    """The class mix, the share of multi-image lesions and the difficulty of test rows that would stay and go.

    Parameters
    ----------
    removed, tested
        Rows of the pool; `removed` is part of `tested`.
    probability, wrong
        Of each row, the probability that a model gave the true class, and 1 where its likeliest class was another; NaN where it
        has none, as where there are two classes: a decision between two needs an operating point. None where there is no model.
    source
        What the two come from.
    """
    gone = np.isin(tested, removed)
    lesions = (frame["dataset"] + ":" + frame["lesion_id"]).where(frame["lesion_id"] != "")
    several = (lesions.map(lesions.value_counts()) > 1).to_numpy()[tested]
    classes = frame["answer"].replace("", "unknown").to_numpy()[tested]
    mix = {
        str(name): {"kept": _share(classes[~gone] == name), "removed": _share(classes[gone] == name)}
        for name in np.unique(classes)
    }
    document: dict[str, Any] = {
        "num_tested": len(tested),
        "num_removed": int(gone.sum()),
        "class_mix": mix,
        "multi_image_lesions": {"kept": _share(several[~gone]), "removed": _share(several[gone])},
        "difficulty": None,
        "source": source,
    }
    if probability is not None and wrong is not None and gone.any() and not gone.all():
        groups = pd.factorize(frame["group_id"].to_numpy()[tested])[0]
        document["difficulty"] = {
            "probability_of_truth": _compared(probability[tested], gone, groups),
            "error_rate": _compared(wrong[tested], gone, groups),
        }
    document["words"] = _words(document)
    return document


def from_predictions(frame: pd.DataFrame, path: Path) -> tuple[Floats, Floats]:
    """Probability of the true class and error of each row, from a predictions.csv; see `cleanup`.

    Raises
    ------
    DataError
        Columns are missing, a probability is no number, or no image of the manifests is in it.
    """
    table = read_table(path, required=("image_id", "target"))
    columns = [name for name in table.columns if name.startswith("p_")]
    if len(columns) < 2:
        raise DataError(f"{path}: needs a column p_<class> for each of at least two classes. It has {', '.join(table.columns)}.")
    if "split" in table:
        table = table[table["split"].isin(("", "test"))]
    numbers = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    places = {name: index for index, name in enumerate(column.removeprefix("p_") for column in columns)}
    targets = table["target"].map(places)
    if np.isnan(numbers).any() or targets.isna().any():
        bad = int((np.isnan(numbers).any(axis=1) | targets.isna().to_numpy()).argmax())
        raise DataError(f"{path}: image {table['image_id'].iloc[bad]!r}: a probability is no number or its target has no column.")
    truth = targets.to_numpy(int)
    probability, wrong = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    rows = pd.Index(frame["name"]).get_indexer(table["image_id"])
    known = rows >= 0
    if not known.any():
        raise DataError(f"{path}: none of its images is in the manifests. Give the predictions of these images.")
    inside = rows[known]
    probability[inside] = numbers[known, truth[known]]
    if len(columns) > 2:
        wrong[inside] = numbers[known].argmax(axis=1) != truth[known]
    return probability, wrong


def from_fingerprints(frame: pd.DataFrame, prints: Fingerprints, readable: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The same from a linear discriminant on the invariants, each group predicted from the others: poor, but impartial."""
    answers = frame["answer"]
    rows = readable[(answers != "").to_numpy()[readable]]
    probability, wrong = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    targets = pd.factorize(answers.to_numpy()[rows], sort=True)[0]
    groups = pd.factorize(frame["group_id"].to_numpy()[rows])[0]
    if len(rows) < 50 or len(np.unique(targets)) < 2 or groups.max() < _NUM_FOLDS:
        return probability, wrong
    features = prints.invariants[rows].astype(float)
    folds = np.random.default_rng(0).permutation(int(groups.max()) + 1)[groups] % _NUM_FOLDS
    for fold in range(_NUM_FOLDS):
        train, test = folds != fold, folds == fold
        told = _discriminate(features[train], targets[train], features[test], int(targets.max()) + 1)
        probability[rows[test]] = told[np.arange(int(test.sum())), targets[test]]
        if told.shape[1] > 2:
            wrong[rows[test]] = told.argmax(axis=1) != targets[test]
    return probability, wrong


def _discriminate(train: Floats, targets: NDArray[np.int64], test: Floats, num_classes: int) -> Floats:
    """Linear discriminant analysis with a slightly shrunken covariance: probabilities (N, C)."""
    scale = train.std(axis=0) + 1e-9
    train, test = train / scale, test / scale
    counts = np.bincount(targets, minlength=num_classes)
    means = np.stack(
        [train[targets == index].mean(axis=0) if counts[index] else train.mean(axis=0) for index in range(num_classes)]
    )
    centred = train - means[targets]
    covariance = 0.95 * centred.T @ centred / len(train) + 0.05 * np.eye(train.shape[1])
    weights = np.linalg.solve(covariance, means.T)
    scores = test @ weights - 0.5 * (means.T * weights).sum(axis=0) + np.log((counts + 1e-3) / len(train))
    scores -= scores.max(axis=1, keepdims=True)
    likelihoods = np.exp(scores)
    probabilities: Floats = likelihoods / likelihoods.sum(axis=1, keepdims=True)
    return probabilities


def _share(mask: "NDArray[np.bool_] | pd.Series[bool]") -> dict[str, Any]:
    return {"count": int(mask.sum()), "share": round(float(mask.mean()), 4) if len(mask) else None}


def _compared(values: Floats, gone: NDArray[np.bool_], groups: NDArray[np.int64]) -> dict[str, Any]:
    """Means of kept and removed, and kept minus removed with its 95% bootstrap interval over groups."""
    known = ~np.isnan(values)
    values, gone, groups = values[known], gone[known], groups[known]
    if not gone.any() or gone.all():
        return {"kept": None, "removed": None, "difference": None}
    rng = np.random.default_rng(0)
    num_groups = int(groups.max()) + 1
    differences = []
    for _ in range(_NUM_RESAMPLES):
        weights = np.bincount(rng.integers(num_groups, size=num_groups), minlength=num_groups)[groups]
        if weights[gone].any() and weights[~gone].any():
            differences.append(
                np.average(values[~gone], weights=weights[~gone]) - np.average(values[gone], weights=weights[gone])
            )
    low, high = np.quantile(differences, [0.025, 0.975])
    kept, removed = float(values[~gone].mean()), float(values[gone].mean())
    return {
        "kept": round(kept, 4),
        "removed": round(removed, 4),
        "difference": {"value": round(kept - removed, 4), "low": round(float(low), 4), "high": round(float(high), 4)},
    }


def _words(document: dict[str, Any]) -> str:
    if not document["num_removed"]:
        return "Nothing would be removed."
    if document["num_removed"] == document["num_tested"]:
        return "Every test image would be removed: split anew instead."
    start = f"Removing {document['num_removed']:,} of {document['num_tested']:,} test images"
    difficulty = document["difficulty"]
    truth = difficulty["probability_of_truth"] if difficulty else None
    if not truth or truth["difference"] is None:
        return f"{start}: no model's answers are at hand, so whether the rest is easier is not known."
    error = difficulty["error_rate"]
    if error["difference"]:
        rates, gap = f"{100 * error['kept']:.1f}% errors among what stays, {100 * error['removed']:.1f}% among what goes", error
    else:
        rates = f"the true class has probability {truth['kept']:.3f} among what stays, {truth['removed']:.3f} among what goes"
        gap = truth
    rates += f" ({document['source']})"
    # Fewer errors, or more probability of the truth, is easier.
    low, high = sorted(gap["difference"][end] * (-1 if gap is error else 1) for end in ("low", "high"))
    if low > 0:
        return (
            f"{start} makes the test set easier: {rates}. Figures on it will look better for that alone; split by group instead."
        )
    if high < 0:
        return f"{start} makes the test set harder: {rates}."
    return f"{start} changes its difficulty by less than can be measured: {rates}."
