"""Claim: 2,000 bootstrap resamples of macro AUC, balanced accuracy, sensitivity and specificity of 10,000 images and seven
classes take a thirtieth of the time of scikit-learn's functions called in a loop over the same kind of resamples.

One thread each. The peer is timed on 40 resamples and scaled up: its time does not depend on which ones.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from nevus.evaluation.figures import Judged, overall
from nevus.metrics.bootstrap import Floats
from nevus.metrics.intervals import intervals
from result import conclude, finish, show

NUM_IMAGES, NUM_CLASSES, NUM_GROUPS, NUM_RESAMPLES, PEER_RESAMPLES, BAR = 10_000, 7, 7_470, 2_000, 40, 30
OURS, PEER = "nevus, 2,000 resamples of groups", "scikit-learn in a loop, 40 resamples scaled to 2,000"
NAMES = ("macro_auc", "balanced_accuracy", "sensitivity", "specificity")


def main() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.033, 0.051, 0.11, 0.011, 0.111, 0.67, 0.014])
    of_group = rng.choice(NUM_CLASSES, NUM_GROUPS, p=shares)
    groups = np.concatenate([np.arange(NUM_GROUPS), rng.integers(0, NUM_GROUPS, NUM_IMAGES - NUM_GROUPS)])
    targets = of_group[groups]
    scores = rng.normal(0, 1, (NUM_IMAGES, NUM_CLASSES)) + 2 * np.eye(NUM_CLASSES)[targets]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    flags = probabilities[:, 4] >= 0.3
    judged = Judged(targets, probabilities, probabilities.argmax(axis=1), flags, 4)
    figures = overall(judged)
    chosen = {name: figure for name in NAMES if (figure := figures[name]) is not None}
    ours = min(timed(lambda: intervals(chosen, groups, targets, kind="bootstrap", num_resamples=NUM_RESAMPLES)) for _ in range(3))
    rows = [drawn(groups, seed) for seed in range(PEER_RESAMPLES)]
    peer = min(timed(lambda: [by_library(judged, part) for part in rows]) for _ in range(3)) * NUM_RESAMPLES / PEER_RESAMPLES
    for part in rows[:3]:
        weights = np.bincount(part, minlength=NUM_IMAGES)[None].astype(np.float64)
        values = [chosen[name](weights)[0] for name in NAMES]
        assert np.allclose(values, by_library(judged, part), atol=1e-10), "the two disagree"
    measured = {OURS: 1 / ours, PEER: 1 / peer}
    show("four figures of 10,000 images × 7 classes, with the same values", "bootstraps a second", measured)
    conclude("bootstrap", measured, ours=OURS, peer=PEER, bar=BAR, unit="bootstraps/s")
    finish()


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def drawn(groups: "np.ndarray[tuple[int], np.dtype[np.int64]]", seed: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The images of as many groups as there are, drawn with replacement."""
    counts = np.bincount(np.random.default_rng(seed).integers(0, NUM_GROUPS, NUM_GROUPS), minlength=NUM_GROUPS)
    return np.repeat(np.arange(NUM_IMAGES), counts[groups])


def by_library(judged: Judged, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Floats:
    """The four figures of some images, as scikit-learn's users write them."""
    truth, probabilities = judged.targets[rows], judged.probabilities[rows]
    assert judged.decisions is not None
    assert judged.flags is not None
    melanoma, flags = truth == 4, judged.flags[rows]
    return np.array(
        [
            roc_auc_score(truth, probabilities, multi_class="ovr", average="macro"),
            balanced_accuracy_score(truth, judged.decisions[rows]),
            recall_score(melanoma, flags),
            recall_score(melanoma, flags, pos_label=False),
        ]
    )


if __name__ == "__main__":
    main()
