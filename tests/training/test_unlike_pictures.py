"""Pictures that are no lesion are refused and held-out phantoms are accepted, by thresholds that other phantoms chose."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nevus.data.lesions import LOOKS
from nevus.data.phantom import paint
from nevus.metrics.novelty import Novelty
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe
from nevus.training.novelty import fit_novelty, thresholds

HEIGHT, WIDTH = 48, 64
NUM_PARTS = {"training": 140, "validation": 60, "test": 60}
pytestmark = pytest.mark.slow
RNG = np.random.default_rng(3)
Scores = tuple[Novelty, dict[str, NDArray[np.float64]]]
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]


def grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def text_page() -> NDArray[np.uint8]:
    page = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for line in range(8, HEIGHT, 10):
        cv2.putText(page, "lorem ipsum dolor", (1, line), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (20, 20, 20), 1)
    return page


PICTURES = {
    "a page of text": text_page(),
    "noise": RNG.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8),
    "chequers": grey(255 * ((ROWS // 6 + COLUMNS // 6) % 2)),
    "a grey gradient": grey(255 * COLUMNS / WIDTH),
}


@pytest.fixture(scope="module")
def network() -> LesionClassifier:
    """Untrained: textures differ already by what random filters make of them. Plain colours are for `is_blank`."""
    torch.manual_seed(0)
    return LesionClassifier(ModelRecipe(backbone="mobilenetv3_small_100"), num_classes=2, num_metadata=0).eval()


def textures(network: LesionClassifier, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        return np.asarray(network.image_features(batch).numpy())[:, : network.num_texture_features]


@pytest.fixture(scope="module")
def scores(network: LesionClassifier) -> Scores:
    names = sorted(LOOKS)
    seeds = range(sum(NUM_PARTS.values()))
    photos = [paint(names[seed % len(names)], lesion_seed=seed, photo_seed=0, size=(HEIGHT, WIDTH)) for seed in seeds]
    ends = np.cumsum(list(NUM_PARTS.values()))[:-1]
    training, validation, test = np.split(textures(network, photos), ends)
    novelty = fit_novelty(training)
    return novelty, {"validation": novelty.mahalanobis(validation), "test": novelty.mahalanobis(test)}


def test_held_out_phantoms_are_accepted_as_promised(scores: Scores) -> None:
    _, of = scores
    limits = thresholds({"mahalanobis": of["validation"]}, np.arange(len(of["validation"])))
    limit = limits["thresholds"]["mahalanobis"][limits["accepted"]]
    # Three standard errors of a share of 60, and the validation images' own.
    assert (of["test"] <= limit).mean() >= float(limits["accepted"]) - 3 * np.sqrt(0.03 * 0.97 * 2 / 60)


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_lesion_is_refused(name: str, network: LesionClassifier, scores: Scores) -> None:
    novelty, of = scores
    (strange,) = novelty.mahalanobis(textures(network, [PICTURES[name]]))
    assert strange > of["validation"].max()
