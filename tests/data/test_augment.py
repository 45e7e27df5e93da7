"""The one warp against an exact reference: the image's own function sampled where the warp says it samples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.data.augment import augment, centre_matrix, random_matrix, warp
from nevus.recipe import AugmentRecipe


def ramp(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)


def test_the_whole_image_lands_on_the_whole_input() -> None:
    # Pixel k of 50 covers [k, k + 1)/50 of the width, so its centre is at 2k + 0.5 of 100 pixels.
    view = warp(ramp(100, 100), centre_matrix(100, 100, 50), 50).astype(int)
    expected = 2 * np.arange(50) + 0.5
    assert abs(view[:, :, 0] - expected[None, :]).max() <= 0.5
    assert abs(view[:, :, 1] - expected[:, None]).max() <= 0.5


@given(st.integers(0, 10_000), st.integers(30, 90), st.integers(30, 90))
def test_rotation_crop_and_flip_stay_in_the_papers_ranges(seed: int, height: int, width: int) -> None:
    recipe = AugmentRecipe(vertical_flip=0.5)
    size = 32
    matrix = random_matrix(recipe, np.random.default_rng(seed), height, width, size)
    stretch = matrix[:, :2] @ np.diag([size / width, size / height])
    crop = math.sqrt(abs(np.linalg.det(stretch)))
    assert 0.8 <= crop <= 1
    first, second = stretch[:, 0] / crop, stretch[:, 1] / crop
    assert abs(first @ second) < 1e-9
    angle = math.degrees(math.asin(np.clip(first[1] * np.sign(first[0]), -1, 1)))
    assert abs(angle) <= 30
    centre = matrix @ [(size - 1) / 2, (size - 1) / 2, 1]
    assert np.allclose(centre, [(width - 1) / 2, (height - 1) / 2])


def test_flips_happen_as_often_as_asked() -> None:
    recipe = AugmentRecipe(rotation_degrees=0, min_crop=1, horizontal_flip=0.5, vertical_flip=0.2)
    matrices = [random_matrix(recipe, np.random.default_rng(seed), 50, 50, 50) for seed in range(2000)]
    assert abs(np.mean([matrix[0, 0] < 0 for matrix in matrices]) - 0.5) < 0.04
    assert abs(np.mean([matrix[1, 1] < 0 for matrix in matrices]) - 0.2) < 0.03


def test_the_same_seed_gives_the_same_view_and_another_one_another() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    views = [augment(image, AugmentRecipe(), np.random.default_rng(seed), 32) for seed in ([0, 1, 2], [0, 1, 2], [0, 2, 2])]
    assert (views[0] == views[1]).all()
    assert (views[0] != views[2]).any()


@given(st.floats(0, 0.5), st.floats(0, 0.5), st.integers(0, 1000))
@settings(max_examples=30)
def test_brightness_and_contrast_are_affine_in_the_pixel(brightness: float, contrast: float, seed: int) -> None:
    image = np.full((20, 20, 3), 120, np.uint8)
    recipe = AugmentRecipe(brightness=brightness, contrast=contrast)
    view = augment(image, recipe, np.random.default_rng(seed), 16).astype(float)
    low = ((120 - 127.5) * (1 + contrast) + 127.5) * (1 - brightness) - 1
    high = ((120 - 127.5) * (1 - contrast) + 127.5) * (1 + brightness) + 1
    assert low <= view.min() <= view.max() <= high


def test_without_augmentation_the_view_is_the_evaluation_view() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    still = AugmentRecipe(rotation_degrees=0, min_crop=1, horizontal_flip=0)
    assert (augment(image, still, np.random.default_rng(0), 32) == warp(image, centre_matrix(60, 80, 32), 32)).all()


def test_beyond_the_border_the_image_is_mirrored_not_black() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    turned = AugmentRecipe(rotation_degrees=30)
    for seed in range(20):
        assert augment(image, turned, np.random.default_rng(seed), 32).min() == 200


def test_shapes_are_checked_by_pydantic() -> None:
    with pytest.raises(ValueError, match="min_crop"):
        AugmentRecipe(min_crop=0)
