"""A run's own images against others: figures as by hand, groups of crops, old bundles, errors, and the page."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.novelty import novelty
from nevus.evaluation.predictions import Predictions
from nevus.predictor import Predictor
from nevus.recipe import Recipe
from nevus.reports.novelty import novelty as section
from nevus.reports.run import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = [
        f"data.manifest={phantoms.path}",
        "data.task=malignant",
        "data.num_folds=2",
        "data.validation_share=0.4",
        "data.size=32",
        "model.backbone=resnet10t",
        "training.epochs=1",
        "training.precision=float32",
    ]
    folder = tmp_path_factory.mktemp("novelty") / "run"
    cross_validate(Recipe(name="tiny").with_settings(settings), phantoms, folder)
    return folder


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chequered patterns, which are no lesions: two single images, and one in three parts."""
    folder = tmp_path_factory.mktemp("checks")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "parts/1.png", "parts/2.png", "parts/3.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        board = np.kron(rng.integers(0, 2, (12, 16, 3)) * 255, np.ones((4, 4, 1))).astype(np.uint8)
        cv2.imwrite(str(folder / name), board)
    return folder


@pytest.fixture(scope="module")
def document(run: Path, checks: Path) -> dict[str, Any]:
    return novelty(run, {"checks": checks}, baselines=True, num_resamples=100)


def test_the_figures_are_those_of_the_predictors_scores(document: dict[str, Any], run: Path, checks: Path) -> None:
    assert json.loads((run / "novelty.json").read_text(encoding="utf-8")) == document
    test = Predictions.read(run / "predictions.csv").test
    test = test[test["fold"] == 0]
    assert document["num_images"] == len(test)
    manifest = Manifest.read(json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["provenance"]["manifest"])
    places = dict(zip(manifest.frame["image_id"], manifest.paths(), strict=True))
    predictor = Predictor(run / "fold-0" / "bundle")
    own = [answer.novelty for answer in predictor.predict([places[name] for name in test["image_id"]])]
    strange = [answer.novelty for answer in predictor.predict(sorted(checks.rglob("*.png")))]
    other = document["others"]["checks"]
    assert (other["num_images"], other["num_groups"]) == (5, 3)
    assert set(other["scores"]) == {"mahalanobis", "energy", "class_mahalanobis", "isolation"}
    assert set(document["own"]["refused"]) == {"mahalanobis", "energy"}
    for name in ("mahalanobis",):  # energy looks at the metadata too
        ours, theirs = (np.array([scores[name] for scores in part]) for part in (own, strange))
        area = (theirs[:, None] > ours).mean() + 0.5 * (theirs[:, None] == ours).mean()
        found = other["scores"][name]
        assert found["auroc"]["value"] == pytest.approx(area, abs=1e-6)
        assert found["auroc"]["n"] == len(test) + 5
        for share, limit in document["thresholds"][name].items():
            expected = None if limit is None else float((theirs > limit).mean())
            assert found["refused"][share]["value"] == expected
            assert document["own"]["refused"][name][share]["value"] == (None if limit is None else float((ours > limit).mean()))
    assert len(other["examples"]) == 5
    assert all((run / "novelty" / example["picture"]).exists() for example in other["examples"])


def test_what_is_unlike_is_referred_and_says_why(run: Path, checks: Path) -> None:
    bundle = Bundle.load(run / "fold-0" / "bundle")
    known = bundle.document["novelty"]
    limits = {**known["thresholds"], "mahalanobis": {"0.95": 0.0, "0.97": None, "0.99": None}}
    strict = Bundle(bundle.path, {**bundle.document, "novelty": {**known, "thresholds": limits, "accepted": "0.95"}})
    for answer in Predictor(strict).predict([checks / "a.png"]):
        assert answer.refer
        assert answer.unlike
        assert "not look like the dermoscopy images this model was trained on (mahalanobis score" in answer.reasons[0]
    never = Bundle(bundle.path, {**bundle.document, "novelty": {**known, "accepted": None}})
    for answer in Predictor(never).predict([checks / "a.png"]):
        assert not answer.unlike
        assert not any("look like" in reason for reason in answer.reasons)
        assert sorted(answer.novelty or {}) == ["energy", "mahalanobis"]


def test_the_page_shows_every_set(document: dict[str, Any], run: Path) -> None:
    page = section(Run.read(run))
    assert page.count("data:image/jpeg") == 11
    assert "checks: 5 images, 3 groups" in page
    area = document["others"]["checks"]["scores"]["mahalanobis"]["auroc"]["value"]
    assert f"{area:.3f}" in page
    (run / "novelty.json").rename(run / "aside")
    assert section(Run.read(run)) == ""
    (run / "aside").rename(run / "novelty.json")


def test_own_images_among_the_others_and_unknown_folds_are_refused(run: Path, checks: Path, phantoms: Manifest) -> None:
    with pytest.raises(DataError, match="of its images are the run's own"):
        novelty(run, {"same": phantoms.path})
    with pytest.raises(DataError, match=r"--fold 7: .* tested folds 0, 1"):
        novelty(run, {"checks": checks}, fold=7)
    with pytest.raises(DataError, match="nothing to tell"):
        novelty(run, {})
