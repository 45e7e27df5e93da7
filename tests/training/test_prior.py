"""At which shares of the classes a bundle answers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from nevus.bundle import Bundle
from nevus.data.manifest import Manifest
from nevus.evaluation.cross_validate import cross_validate
from nevus.evaluation.predictions import Predictions
from nevus.predictor import softmax
from nevus.recipe import Recipe
from nevus.training.prior import BIAS, at_given_prior, given_prior

COUNTS, CLASSES = np.array([10, 30, 160]), ("df", "mel", "nv")


def recipe(prior: str, loss: str = "logit_adjusted") -> Recipe:
    return Recipe(name="r").with_settings([f"prior={prior}", f"training.loss.kind={loss}"])


def test_moved_biases_are_bayes_rule_for_the_same_likelihoods() -> None:
    rng = np.random.default_rng(0)
    likelihoods = rng.random((5, 3))
    equal, data = likelihoods / likelihoods.sum(1, keepdims=True), likelihoods * COUNTS
    weights = {BIAS: torch.zeros(3), "head.weight": torch.eye(3)}
    moved = at_given_prior(weights, recipe("data"), COUNTS, CLASSES)
    logits = np.log(equal) + moved[BIAS].numpy()
    np.testing.assert_allclose(softmax(logits.astype(np.float32), 1.0), data / data.sum(1, keepdims=True), rtol=1e-5)
    assert moved["head.weight"] is weights["head.weight"]
    assert weights[BIAS].tolist() == [0, 0, 0], "the trained weights stay as they are"
    assert given_prior(recipe("data"), COUNTS, CLASSES) == pytest.approx([0.05, 0.15, 0.8])


@pytest.mark.parametrize(("prior", "loss"), [("loss", "logit_adjusted"), ("loss", "cross_entropy"), ("data", "cross_entropy")])
def test_what_is_there_already_is_not_moved(prior: str, loss: str) -> None:
    weights = {BIAS: torch.tensor([1.0, 2.0, 3.0])}
    assert torch.equal(at_given_prior(weights, recipe(prior, loss), COUNTS, CLASSES)[BIAS], weights[BIAS])


@pytest.mark.slow
def test_a_bundle_answers_at_the_shares_of_the_data_and_decides_as_its_run_is_counted(
    phantoms: Manifest, tiny: Recipe, tmp_path: Path
) -> None:
    settings = [
        "data.task=diagnosis",
        "training.loss.kind=logit_adjusted",
        "training.epochs=1",
        "training.monitor=last",
        "data.validation_share=0.4",
    ]
    tiny = tiny.with_settings(settings)
    cross_validate(tiny, phantoms, tmp_path / "loss", only=[0])
    changed = tiny.with_settings(["prior=data", "decisions=balanced"])
    document = cross_validate(changed, phantoms, tmp_path / "data", only=[0])
    before, after = (Bundle.load(tmp_path / name / "fold-0" / "bundle") for name in ("loss", "data"))
    counts = np.array(list(after.document["training_data"]["classes"].values()))
    assert list(before.document["prior"]["answered"].values()) == pytest.approx([1 / len(counts)] * len(counts))
    assert list(after.document["prior"]["answered"].values()) == pytest.approx(counts / counts.sum())
    biases = [load(bundle.read("weights.safetensors"))[BIAS] for bundle in (before, after)]
    shift = np.log(counts / counts.sum()) + np.log(len(counts))
    np.testing.assert_allclose((biases[1] - biases[0]).numpy(), shift, atol=1e-5)
    assert document["decisions"] == "balanced"
    assert after.document["decisions"] == "balanced"

    # What the bundle is served with is what was counted.
    table = Predictions.read(tmp_path / "data" / "predictions.csv").test
    shares = np.array([after.document["prior"]["validation"][name] for name in after.classes])
    decided = (table[[f"p_{name}" for name in after.classes]].to_numpy() / shares).argmax(axis=1)
    right = [after.classes[index] == target for index, target in zip(decided, table["target"], strict=True)]
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right))
