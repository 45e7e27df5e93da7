import numpy as np
import pytest

from nevus.data.artefacts import ARTEFACTS
from nevus.data.audit.artefact_shares import odds_ratio, wilson
from nevus.data.audit.signs import SIGNS, measure
from nevus.data.images import Pixels
from nevus.data.lesions import LOOKS, Lesion

# Draws a hundred phantoms.
pytestmark = pytest.mark.slow

NAMES = [sign.name for sign in SIGNS]


@pytest.fixture(scope="module")
def clean() -> list[Pixels]:
    names = list(LOOKS)
    lesions = [Lesion.create(names[seed % 7], np.random.default_rng([5, seed])) for seed in range(40)]
    return [lesion.paint(np.random.default_rng([6, seed]), 150, 200) for seed, lesion in enumerate(lesions)]


def present(images: list[Pixels], name: str) -> float:
    index = NAMES.index(name)
    return float(np.mean([measure(image)[index] >= SIGNS[index].cut for image in images]))


@pytest.mark.parametrize(("name", "artefact", "severity"), [("black_corners", "vignette", 5), ("ruler", "ruler", 3)])
def test_what_is_drawn_is_found_and_what_is_not_is_not(clean: list[Pixels], name: str, artefact: str, severity: float) -> None:
    drawn = [ARTEFACTS[artefact](image, np.random.default_rng(seed), severity) for seed, image in enumerate(clean)]
    assert present(drawn, name) >= 0.95
    assert present(clean, name) <= 0.05


@pytest.mark.parametrize(("name", "artefact"), [("hair", "hair"), ("ink", "ink")])
def test_weaker_signs_are_found_more_often_where_drawn(clean: list[Pixels], name: str, artefact: str) -> None:
    drawn = [ARTEFACTS[artefact](image, np.random.default_rng(seed), 5) for seed, image in enumerate(clean)]
    assert present(drawn, name) > present(clean, name) + 0.05
    assert present(clean, name) <= 0.05


def test_exposure(clean: list[Pixels]) -> None:
    assert present([(image * 0.4).astype(np.uint8) for image in clean], "dark") >= 0.9
    assert present([np.clip(image * 2.0, 0, 255).astype(np.uint8) for image in clean], "overexposed") >= 0.5
    assert present(clean, "overexposed") == 0


def test_odd_images_are_measured_too() -> None:
    for shape in ((16, 16, 3), (20, 300, 3), (150, 150, 3)):
        for shade in (0, 255):
            assert np.isfinite(measure(np.full(shape, shade, np.uint8))).all()


def test_shares_and_odds_by_hand() -> None:
    # Wilson's interval for 8 of 10, from Newcombe (1998), Statistics in Medicine 17:857.
    assert (wilson(8, 10)["low"], wilson(8, 10)["high"]) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert wilson(0, 0)["value"] is None
    present = np.array([True] * 30 + [False] * 10 + [True] * 20 + [False] * 80)
    inside = np.array([True] * 40 + [False] * 100)
    ratio = odds_ratio(present, inside)
    expected = np.log(30.5 * 80.5 / (10.5 * 20.5))
    error = 1.96 * np.sqrt(1 / 30.5 + 1 / 10.5 + 1 / 20.5 + 1 / 80.5)
    assert np.log([ratio["low"], ratio["value"], ratio["high"]]) == pytest.approx(
        [expected - error, expected, expected + error], abs=2e-3
    )
    assert odds_ratio(present, np.ones(140, bool))["value"] is None
