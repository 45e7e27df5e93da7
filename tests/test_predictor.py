"""The only inference path: the same pixels as training, any subset of the metadata, decisions that hide nothing."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nevus.bundle import Bundle
from nevus.data.images import pack_side, read_image
from nevus.data.looks import Look
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import pack_images
from nevus.errors import BundleError, DataError
from nevus.exporters.reference import reference_outputs
from nevus.predictor import Predictor, softmax
from nevus.recipe import Recipe
from nevus.training.fit import fit
from nevus.training.loader import Examples
from nevus.training.run import COLUMNS, create_network
from nevus.training.validation import predict_logits

pytestmark = pytest.mark.slow
SETTINGS = [
    "data.size=32",
    "data.views=4",
    "data.resolutions=[48, 24]",
    "data.central=[1.0, 0.7]",
    "data.validation_share=0.3",
    "model.backbone=resnet10t",
    "model.attention.kind=zoom_se",
    "model.fusion.kind=concat",
    "training.epochs=1",
    "training.precision=float32",
]


@pytest.fixture(scope="module")
def bundle(phantoms: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    rows = phantoms.where(phantoms.frame["diagnosis"].isin(["mel", "nv", "bkl"]))
    return fit(Recipe(name="tiny").with_settings(SETTINGS), rows, tmp_path_factory.mktemp("fit"))


def at(bundle: Bundle, threshold: float | None) -> Bundle:
    """The bundle as it would be with another threshold."""
    point = {**bundle.document["operating_point"], "threshold": threshold}
    return replace(bundle, document={**bundle.document, "operating_point": point})


def in_views(bundle: Bundle, images: Sequence[np.ndarray], num_views: int) -> np.ndarray:
    """Logits in the mean of so many views."""
    return Predictor(bundle).view_logits(images, None, num_views).mean(axis=0)


def test_serving_gives_the_trained_networks_answers_from_file_to_probability(bundle: Bundle, phantoms: Manifest) -> None:
    rows, classes, targets = phantoms.where(phantoms.frame["diagnosis"].isin(["mel", "nv", "bkl"])).for_task("diagnosis")
    recipe, encoder = (
        Recipe.model_validate(bundle.document["recipe"]),
        MetadataEncoder.from_json(bundle.document["metadata"]),
    )
    columns = {name: rows.frame[name].to_numpy() for name in COLUMNS}
    network, weights = create_network(recipe, classes), load_file(bundle.path / "weights.safetensors")
    network.load_state_dict(weights)
    images = [read_image(path) for path in rows.paths()]
    temperature = bundle.document["temperature"]
    expected, features = reference_outputs(network, encoder, bundle.document["preprocessing"], temperature, images, columns)
    predictor = Predictor(bundle)
    served = predictor.predict_outputs(rows.paths(), columns)
    assert np.abs(predictor.probabilities(served.logits) - expected).max() < 1e-4
    assert np.abs(served.features - features).max() < 1e-4 * np.abs(features).max()
    assert np.ptp(served.logits, axis=0).min() > 1e-3, "the images must count"
    # Training's own pixels come out of the pack by another interpolation, rounded: the temperature is fitted to these.
    pack = pack_images(rows.paths(), pack_side(recipe.data.side))
    examples = Examples(pack, targets, encoder, *encoder.encode(columns, len(rows)))
    looks = [Look(size, share) for share in (1.0, 0.7) for size in (32, 48, 24)]
    trained = predict_logits(network, weights, examples, np.arange(len(rows)), looks, 4).numpy()
    apart = [predict_logits(network, weights, examples, np.arange(len(rows)), [look], 4).numpy() for look in looks]
    assert np.allclose(trained, np.mean(apart, axis=0), atol=1e-5)
    assert max(np.abs(trained - logits).max() for logits in apart) > 1e-3, "the looks must differ"
    spread = np.ptp(served.logits, axis=0).max()
    assert np.abs(trained - served.logits).max() < 0.15 * spread


def test_one_image_at_a_time_or_many_the_answers_are_the_same(bundle: Bundle, phantoms: Manifest) -> None:
    predictor, paths = Predictor(bundle), phantoms.paths()[:40]
    together = predictor.predict_logits(paths, batch_size=32)
    apart = np.concatenate([predictor.predict_logits([path]) for path in paths])
    assert np.abs(together - apart).max() < 1e-5
    assert predictor.predict_logits([]).shape == (0, 3)


def test_missing_metadata_is_the_image_alone(bundle: Bundle, phantoms: Manifest) -> None:
    predictor, paths = Predictor(bundle), phantoms.paths()[:3]
    alone = predictor.predict_logits(paths)
    empty = predictor.predict_logits(paths, {"age_years": [float("nan"), None, None], "sex": [""] * 3, "site": [""] * 3})
    assert (alone == empty).all()
    assert np.abs(alone - predictor.predict_logits(paths, {"sex": ["female"] * 3})).max() > 0


def test_a_melanoma_that_is_the_likeliest_answer_is_referred_below_its_threshold_too(bundle: Bundle, phantoms: Manifest) -> None:
    paths = phantoms.paths()
    answers = Predictor(at(bundle, 0.9999)).predict(paths)
    likeliest = [answer for answer in answers if max(answer.probabilities, key=answer.probabilities.__getitem__) == "mel"]
    assert likeliest
    for answer in answers:
        assert answer.decision != "mel", "below the threshold"
        assert answer in likeliest or "most probable class" not in " ".join(answer.reasons)
        assert answer.refer or answer not in likeliest
    assert all("mel is the most probable class, though below" in " ".join(answer.reasons) for answer in likeliest)


def test_every_decision_is_at_the_operating_point_or_says_that_there_is_none(bundle: Bundle, phantoms: Manifest) -> None:
    for answer in Predictor(at(bundle, 0.0)).predict(phantoms.paths()[:5]):
        assert (answer.decision, answer.refer) == ("mel", True)
    for answer in Predictor(at(bundle, None)).predict(phantoms.paths()[:5]):
        assert answer.decision == max(answer.probabilities, key=answer.probabilities.__getitem__)
        assert "no operating point" in answer.reasons[0]


def test_softmax_is_torchs_and_does_not_overflow() -> None:
    logits = np.array([[1000.0, 0.0, -1000.0], [0.5, 0.25, 0.125]], np.float32)
    expected = torch.softmax(torch.from_numpy(logits).double() / 2, dim=1).numpy()
    assert np.allclose(softmax(logits, 2.0), expected)


def test_four_views_make_the_answer_blind_to_mirrors_and_one_view_does_not(bundle: Bundle, phantoms: Manifest) -> None:
    images = [read_image(path) for path in phantoms.paths()[:4]]
    four = Predictor(bundle)
    for mirrored in ([image[:, ::-1] for image in images], [image[::-1] for image in images]):
        assert np.abs(four.logits(mirrored) - four.logits(images)).max() < 1e-4
        assert np.abs(in_views(bundle, mirrored, 1) - in_views(bundle, images, 1)).max() > 1e-3
    turns = [[image[::r, ::c] for image in images] for r in (1, -1) for c in (1, -1)]
    by_hand = np.mean([in_views(bundle, turned, 1) for turned in turns], axis=0)
    assert np.allclose(four.logits(images), by_hand, atol=1e-4)


def test_eight_views_are_blind_to_quarter_turns_too_and_are_the_mean_of_the_photo_turned(
    bundle: Bundle, phantoms: Manifest
) -> None:
    """The bundle's graph holds four; the others are the photo turned before it."""
    images = [read_image(path) for path in phantoms.paths()[:4]]
    turns = [[np.rot90(image, quarter) for image in images] for quarter in range(4)]
    mirrored = [[image[:, ::-1] for image in turn] for turn in turns]
    answers = [in_views(bundle, part, 8) for part in (*turns, *mirrored)]
    assert max(np.abs(answer - answers[0]).max() for answer in answers) < 1e-4
    assert np.abs(in_views(bundle, turns[1], 4) - in_views(bundle, images, 4)).max() > 1e-3
    by_hand = np.mean([in_views(bundle, part, 1) for part in (*turns, *mirrored)], axis=0)
    assert np.abs(answers[0] - by_hand).max() < 1e-4


def test_photos_of_several_shapes_are_answered_in_the_order_given(bundle: Bundle, phantoms: Manifest) -> None:
    images = [read_image(path) for path in phantoms.paths()[:6]]
    mixed = [image[: 40 + 9 * (place % 3)] for place, image in enumerate(images)]
    predictor, ages = Predictor(bundle), {"age_years": [20, 30, None, 50, 60, 70]}
    together = predictor.logits(mixed, ages)
    apart = [predictor.logits([image], {"age_years": [age]})[0] for image, age in zip(mixed, ages["age_years"], strict=True)]
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_a_stated_prevalence_moves_the_probabilities_and_no_decision(bundle: Bundle, phantoms: Manifest) -> None:
    paths = phantoms.paths()[:60]
    middle = float(np.median([answer.probabilities["mel"] for answer in Predictor(bundle).predict(paths)]))
    bundle = at(bundle, middle)
    usual = Predictor(bundle).predict(paths)
    assert {"mel"} < {answer.decision for answer in usual}
    for stated in ({"mel": 0.001}, {"mel": 0.001, "nv": 0.5}):
        moved = Predictor(bundle, prevalence=stated).predict(paths)
        assert [answer.decision for answer in moved] == [answer.decision for answer in usual]
        assert [answer.refer for answer in moved] == [answer.refer for answer in usual]
        for before, after in zip(usual, moved, strict=True):
            assert after.unshifted == before.probabilities
            assert after.probabilities["mel"] < before.probabilities["mel"]
            assert sum(after.probabilities.values()) == pytest.approx(1)
    prior = bundle.document["prior"]["answered"]
    flagged = [answer for answer in Predictor(bundle, prevalence={"mel": 0.001}).predict(paths) if answer.decision == "mel"]
    assert all("at the stated prevalence that probability is" in answer.reasons[1] for answer in flagged)
    assert sum(prior.values()) == pytest.approx(1)
    with pytest.raises(DataError, match="no class here"):
        Predictor(bundle, prevalence={"wart": 0.1})


def test_another_operating_point_of_the_bundle_decides(bundle: Bundle, phantoms: Manifest) -> None:
    points = {point["rule"]: point for point in bundle.document["operating_points"]}
    assert set(points) == {"youden", "sensitivity:0.80", "sensitivity:0.90", "sensitivity:0.95"}
    assert points["youden"]["threshold"] == bundle.document["operating_point"]["threshold"]
    assert points["sensitivity:0.95"]["sensitivity"] >= 0.95
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert f"| sensitivity:0.95 | {points['sensitivity:0.95']['threshold']:.4f} |" in card
    for answer in Predictor(bundle, operating_point="sensitivity:0.95").predict(phantoms.paths()[:60]):
        assert (answer.decision == "mel") == (answer.probabilities["mel"] >= points["sensitivity:0.95"]["threshold"])
    with pytest.raises(BundleError, match="there are youden, sensitivity"):
        Predictor(bundle, operating_point="sensitivity:0.5")
