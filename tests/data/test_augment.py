"""The one warp against an exact reference: the image's own function sampled where the warp says it samples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nevus.data.augment import DRAWS, apply, augment, centre_matrix, draw, hidden, plan, random_matrices, warp
from nevus.data.views import VIEWS, seen
from nevus.recipe import AugmentRecipe, DataRecipe


def random_matrix(recipe: AugmentRecipe, rng: np.random.Generator, height: int, width: int, size: int) -> np.ndarray:
    return random_matrices(recipe, rng.random((1, len(DRAWS))), np.array([[height, width]]), size)[0]


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


# Each view as one would make it by hand: quarter turns against the clock, then a mirror or none.
TURNS = ((0, False), (0, True), (2, True), (2, False), (3, True), (3, False), (1, False), (1, True))


def turned(photo: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    photo = np.rot90(photo, turns)
    return np.ascontiguousarray(photo[:, ::-1] if mirrored else photo)


@pytest.mark.parametrize(("height", "width"), [(60, 80), (81, 50), (64, 64)])
def test_a_view_is_the_photo_turned_first_and_then_warped(height: int, width: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    square = warp(photo, centre_matrix(height, width, 32), 32).astype(np.float32)
    by_hand = [turned(photo, turns, mirrored) for turns, mirrored in TURNS]
    expected = [warp(part, centre_matrix(part.shape[0], part.shape[1], 32), 32).astype(int) for part in by_hand]
    for view, first_turned in zip(VIEWS, expected, strict=True):
        # OpenCV rounds where it samples to 1/32 of a pixel.
        assert abs(seen(square[None], view)[0] - first_turned).max() <= 4
        near = [np.abs(seen(square[None], other)[0] - first_turned).mean() for other in VIEWS]
        assert VIEWS[int(np.argmin(near))] is view, "no two views may be the same"


def test_a_central_share_is_the_middle_of_the_whole() -> None:
    # Of 100 pixels the middle 50, each its own.
    assert (warp(ramp(100, 100), centre_matrix(100, 100, 50, 0.5), 50) == ramp(100, 100)[25:75, 25:75]).all()


def test_fewer_views_are_the_first_ones_and_are_the_mirrors() -> None:
    batch = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    views = [seen(batch, view) for view in VIEWS]
    assert (views[0] == batch).all()
    assert (views[1] == batch[:, :, ::-1]).all()
    assert (views[2] == batch[:, ::-1]).all()
    assert (views[3] == batch[:, ::-1, ::-1]).all()
    # The eight are a group: a view of a view is a view, so the mean over them is blind to every turn and mirror.
    for view in VIEWS:
        again = [next(k for k, part in enumerate(views) if (seen(one, view) == part).all()) for one in views]
        assert sorted(again) == list(range(8))


def test_other_numbers_of_views_are_refused() -> None:
    assert [DataRecipe(views=count).views for count in (1, 2, 4, 8)] == [1, 2, 4, 8]
    with pytest.raises(ValueError, match="views"):
        DataRecipe(views=3)  # type: ignore[arg-type]


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


def test_an_image_draws_the_same_in_a_larger_set_and_other_numbers_in_another_epoch() -> None:
    small, large, later = draw(3, 1, 10), draw(3, 1, 1000), draw(3, 2, 10)
    assert (small == large[:10]).all()
    assert not (small == later).any()


def test_saturation_and_hue_leave_grey_alone_and_turn_colours() -> None:
    grey, red = np.full((20, 20, 3), 90, np.uint8), np.zeros((20, 20, 3), np.uint8) + np.array([150, 100, 100], np.uint8)
    recipe = AugmentRecipe(saturation=0.5, hue_degrees=40)
    seen = set()
    for seed in range(20):
        assert (augment(grey, recipe, np.random.default_rng(seed), 16) == 90).all()
        pixel = augment(red, recipe, np.random.default_rng(seed), 16)[8, 8].astype(int)
        # Neither changes luma, but for rounding.
        assert abs(pixel @ [0.299, 0.587, 0.114] - (0.299 * 150 + 0.701 * 100)) < 2
        seen.add(tuple(pixel))
    assert len(seen) == 20


def test_saturation_takes_a_known_pixel_where_the_equation_says() -> None:
    red = np.zeros((20, 20, 3), np.uint8) + np.array([200, 60, 60], np.uint8)
    draws = np.zeros((1, len(DRAWS)))
    draws[0, DRAWS.index("saturation")] = 0.75  # half of the largest change: 1.25
    recipe = AugmentRecipe(saturation=0.5, rotation_degrees=0, min_crop=1, horizontal_flip=0)
    out = np.empty((20, 20, 3), np.uint8)
    apply(plan(recipe, draws, np.array([[20, 20]]), 20), 0, red, recipe, out)
    luma = 0.299 * 200 + 0.701 * 60
    expected = [luma + 1.25 * (200 - luma), luma + 1.25 * (60 - luma), luma + 1.25 * (60 - luma)]
    assert np.allclose(out[5, 5], expected, atol=1)  # OpenCV's coefficients have ten bits


def test_cutout_fills_one_square_with_the_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    still = AugmentRecipe(rotation_degrees=0, min_crop=1, horizontal_flip=0)
    cut = still.model_copy(update={"cutout": 1.0, "cutout_side": 0.25})
    for seed in range(10):
        before = augment(image, still, np.random.default_rng(seed), 64)
        after = augment(image, cut, np.random.default_rng(seed), 64)
        rows, columns = np.nonzero((before != after).any(axis=2))
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == np.rint(before.mean(axis=(0, 1)))).all()
        assert max(box.shape[:2]) <= 17
    never = still.model_copy(update={"cutout": 0.3})
    changed = [(augment(image, never, np.random.default_rng(seed), 64) != before).any() for seed in range(300)]
    assert 0.2 < np.mean(changed) < 0.4


@pytest.mark.parametrize("artefact", ["hair", "ruler"])
def test_overlays_are_drawn_as_often_as_asked_and_the_same_again(artefact: str) -> None:
    image = np.full((64, 64, 3), 180, np.uint8)
    recipe = AugmentRecipe(**{artefact: 0.5})
    views = [augment(image, recipe, np.random.default_rng(seed), 64) for seed in range(200)]
    assert 0.4 < np.mean([(view != 180).any() for view in views]) < 0.6
    assert all((view == augment(image, recipe, np.random.default_rng(seed), 64)).all() for seed, view in enumerate(views[:20]))


def test_fields_are_hidden_one_by_one_and_all_at_once() -> None:
    draws = draw(0, 1, 20_000)
    gone = hidden(draws, 0.1, 3)
    assert abs(gone.all(axis=1).mean() - (0.1 + 0.9 * 0.1**3)) < 0.01
    assert np.allclose(gone.mean(axis=0), 1 - 0.9**2, atol=0.01)
    assert not hidden(draws, 0.0, 3).any()


def test_cutout_takes_away_what_a_square_about_a_random_pixel_covers() -> None:
    """Its centre lies anywhere, so that the border cuts it: on average s − s² / 4 of a side s is left of it each way."""
    draws, side = draw(0, 1, 20_000), 0.5
    boxes = plan(AugmentRecipe(cutout=0.4, cutout_side=side), draws, np.full((20_000, 2), 64), 64).boxes
    assert boxes is not None
    covered = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 64**2
    assert (covered > 0).mean() == pytest.approx(0.4, abs=0.01)
    assert covered[covered > 0].mean() == pytest.approx((side - side**2 / 4) ** 2, rel=0.01)
    assert covered.max() == pytest.approx(side**2, rel=0.04)
