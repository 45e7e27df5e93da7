"""Conformal sets: MAPIE's where images are single, and the promised coverage over many simulated studies."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nevus.metrics.conformal import aps_scores, class_quantiles, conformal_quantile, lac_scores, prediction_sets

mapie = pytest.importorskip("mapie.classification")


class Passing:
    """A scikit-learn classifier whose input already is its answer."""

    _estimator_type = "classifier"

    def __init__(self, num_classes: int) -> None:
        self.classes_ = np.arange(num_classes)
        self.n_features_in_ = num_classes
        self.fitted_ = True

    def fit(self, x: Any, y: Any) -> "Passing":
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray(x).argmax(axis=1)

    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(x)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, ClassifierMixin

        return type("Tags", (ClassifierMixin, BaseEstimator), {})().__sklearn_tags__()


def study(
    rng: np.random.Generator, num_groups: int, sizes: tuple[int, ...] = (1,), num_classes: int = 3
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Probabilities, classes and groups; photos of a group share their class and most of their difficulty."""
    num_photos = rng.choice(sizes, num_groups)
    groups = np.repeat(np.arange(num_groups), num_photos)
    of_group = rng.choice(num_classes, num_groups, p=np.arange(num_classes, 0, -1) / (num_classes * (num_classes + 1) / 2))
    # Large groups are easier: weighing each photo alike would then promise too much.
    skill = (rng.normal(1.5, 1.2, num_groups) + 0.15 * num_photos)[groups]
    targets = of_group[groups]
    logits = rng.normal(0, 0.7, (len(groups), num_classes)) + rng.normal(0, 0.7, (num_groups, num_classes))[groups]
    logits[np.arange(len(groups)), targets] += skill
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, targets, groups


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("num_images", [99, 150, 231])
def test_mapie_gives_the_same_sets(score: str, coverage: float, num_images: int) -> None:
    rng = np.random.default_rng(num_images)
    probabilities, targets, _ = study(rng, num_images, num_classes=5)
    new = study(rng, 300, num_classes=5)[0]
    peer = mapie.SplitConformalClassifier(Passing(5), confidence_level=coverage, conformity_score=score, random_state=7)
    peer.conformalize(probabilities, targets)
    options = {"conformity_score_params": {"include_last_label": "randomized"}} if score == "aps" else {}
    theirs = peer.predict_set(new, **options)[1][:, :, 0]
    if score == "lac":
        calibrating, asked = lac_scores(probabilities), lac_scores(new)
    else:  # theirs are always randomised, by the same generator both times
        drawn = [np.random.RandomState(7).uniform(size=size) for size in (num_images, 300)]
        calibrating, asked = aps_scores(probabilities, drawn[0]), aps_scores(new, drawn[1])
    quantile = conformal_quantile(calibrating[np.arange(num_images), targets], coverage)
    ours = prediction_sets(asked, quantile)
    assert 0 < ours.mean() < 1
    np.testing.assert_array_equal(ours, theirs)


def test_aps_by_hand() -> None:
    table = [[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]]
    np.testing.assert_allclose(aps_scores(table), [[1.0, 0.5, 0.8], [0.4, 0.8, 1.0]])
    np.testing.assert_allclose(aps_scores(table, [0.5, 1.0]), [[0.9, 0.25, 0.65], [0.0, 0.4, 0.8]])


@given(st.integers(1, 60), st.sampled_from([0.5, 0.8, 0.9, 0.95]), st.randoms(use_true_random=False))
def test_single_images_give_the_order_statistic(num_images: int, coverage: float, random: Any) -> None:
    scores = np.array([random.choice([0.1, 0.2, random.random()]) for _ in range(num_images)])
    rank = int(np.ceil(round(coverage * (num_images + 1), 9)))
    expected = np.sort(scores)[rank - 1] if rank <= num_images else np.inf
    assert conformal_quantile(scores, coverage) == expected
    assert conformal_quantile(scores, coverage, np.arange(num_images)) == expected


@given(st.integers(1, 11))
def test_repeating_every_photo_changes_nothing(num_repeats: int) -> None:
    scores = np.random.default_rng(num_repeats).random(39)  # 0.9 · (39 + 1) is whole, and 1/7 seven times is not quite 1
    repeated = conformal_quantile(np.repeat(scores, num_repeats), 0.9, np.repeat(np.arange(39), num_repeats))
    assert repeated == conformal_quantile(scores, 0.9) == np.sort(scores)[35]


def test_a_group_of_many_photos_has_one_weight() -> None:
    scores = np.concatenate([np.linspace(0.01, 0.1, 19), np.full(200, 0.9)])
    groups = np.concatenate([np.arange(19), np.full(200, 19)])
    assert conformal_quantile(scores, 0.9) == 0.9
    assert conformal_quantile(scores, 0.9, groups) == pytest.approx(0.1)  # the 18.9th of 20


def test_a_class_of_too_few_groups_is_in_every_set() -> None:
    rng = np.random.default_rng(0)
    probabilities, _, _ = study(rng, 60)
    targets = np.repeat([0, 1, 2], [40, 12, 8])
    groups = np.concatenate([np.arange(40), 100 + np.arange(12) // 2, 200 + np.arange(8)])
    found = class_quantiles(lac_scores(probabilities), targets, 0.9, groups)
    assert np.isfinite(found[0])
    assert np.isinf(found[1:]).all()  # 6 groups of 12 photos, and 8: fewer than the nine that 90% needs
    assert prediction_sets(lac_scores(probabilities), found)[:, 1:].all()
    assert np.isfinite(class_quantiles(lac_scores(probabilities), targets, 0.9)[1])


def test_without_any_image_every_class_stays() -> None:
    assert conformal_quantile([], 0.9) == np.inf


def _coverages(
    seed: int, coverage: float, *, sizes: tuple[int, ...], num_studies: int = 1500, num_groups: int = 120
) -> dict[str, tuple[float, float]]:
    """Mean and standard error over studies of the share of new photos whose set holds the truth, each group counted once."""
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(num_studies):
        probabilities, targets, groups = study(rng, num_groups, sizes)
        new, truth, new_groups = study(rng, 200, sizes)
        share = 1 / np.bincount(new_groups)[new_groups]
        rows = np.arange(len(targets))
        scores = {
            "lac": (lac_scores(probabilities), lac_scores(new)),
            "aps": (aps_scores(probabilities, rng.random(len(targets))), aps_scores(new, rng.random(len(truth)))),
            "aps, not randomised": (aps_scores(probabilities), aps_scores(new)),
        }
        for name, (calibrating, asked) in scores.items():
            quantile = conformal_quantile(calibrating[rows, targets], coverage, groups)
            hits = prediction_sets(asked, quantile)[np.arange(len(truth)), truth]
            found.setdefault(name, []).append(np.average(hits, weights=share))
        quantiles = class_quantiles(lac_scores(probabilities), targets, coverage, groups)
        hits = prediction_sets(lac_scores(new), quantiles)[np.arange(len(truth)), truth]
        for index in range(3):
            of_class = truth == index
            found.setdefault(f"class {index}", []).append(np.average(hits[of_class], weights=share[of_class]))
        naive = conformal_quantile(lac_scores(probabilities)[rows, targets], coverage)
        hits = prediction_sets(lac_scores(new), naive)[np.arange(len(truth)), truth]
        found.setdefault("naive", []).append(np.average(hits, weights=share))
    return {name: (float(np.mean(values)), float(np.std(values) / np.sqrt(num_studies))) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("coverage", [0.9, 0.95])
@pytest.mark.parametrize("sizes", [(1,), (1, 1, 2, 6)])
def test_sets_reach_their_nominal_coverage_over_simulated_studies(coverage: float, sizes: tuple[int, ...]) -> None:
    found = _coverages(3, coverage, sizes=sizes)
    for name, (mean, error) in found.items():
        if name == "naive":
            continue
        assert mean >= coverage - 4 * error, name
        if name != "aps, not randomised":  # its scores tie at 1, so that it may promise too little
            # Of K groups, 120 in all and 60, 40 and 20 of the classes on average, the promise is exceeded by 1 / (K + 1) at most.
            num_groups = {"class 0": 60, "class 1": 40, "class 2": 20}.get(name, 120)
            assert mean <= coverage + 1.3 / num_groups + 4 * error, name


@pytest.mark.slow
def test_photos_weighed_alike_would_miss_the_promise_to_a_lesion() -> None:
    mean, error = _coverages(3, 0.9, sizes=(1, 1, 2, 6), num_studies=600)["naive"]
    assert mean < 0.9 - 6 * error
