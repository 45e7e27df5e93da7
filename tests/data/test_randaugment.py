"""RandAugment's operations against Pillow's or a plain loop, its geometry point by point, and its draws by count."""

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from nevus.data.augment import DRAWS, apply, augment, centre_matrix, draw, plan, warp
from nevus.data.pixel_operations import PIXELS
from nevus.data.randaugment import GEOMETRY, POLICIES, Operation, change_pixels, compose, draw_operations
from nevus.recipe import AugmentRecipe, RandAugmentRecipe

STILL = AugmentRecipe(rotation_degrees=0, min_crop=1, horizontal_flip=0)


def picture(low: int = 20, high: int = 230) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.float64)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    smooth -= smooth.min(axis=(0, 1))
    return (low + smooth / smooth.max(axis=(0, 1)) * (high - low)).astype(np.uint8)


def changed(name: str, level: float, view: np.ndarray, seed: int = 0) -> np.ndarray:
    return change_pixels(view, (Operation(name, level, seed),))


ENHANCERS = {
    "saturation": ImageEnhance.Color,
    "contrast": ImageEnhance.Contrast,
    "brightness": ImageEnhance.Brightness,
    "sharpness": ImageEnhance.Sharpness,
}


@pytest.mark.parametrize("level", [-0.9, -0.3, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", ENHANCERS)
def test_enhancers_are_pillows(name: str, level: float) -> None:
    expected = np.asarray(ENHANCERS[name](Image.fromarray(picture())).enhance(1 + level)).astype(int)
    assert abs(changed(name, level, picture()) - expected).max() <= 2


@pytest.mark.parametrize("level", [0.0, 1.0, 2.4, -4.0])
def test_posterize_is_pillows(level: float) -> None:
    expected = ImageOps.posterize(Image.fromarray(picture()), 8 - round(abs(level)))
    assert (changed("posterize", level, picture()) == np.asarray(expected)).all()


@pytest.mark.parametrize("level", [0.0, 100.0, -230.4, 256.0])
def test_solarize_is_pillows(level: float) -> None:
    expected = ImageOps.solarize(Image.fromarray(picture()), round(256 - abs(level)))
    assert (changed("solarize", level, picture()) == np.asarray(expected)).all()


def test_autocontrast_is_pillows() -> None:
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(picture(60, 140)))).astype(int)
    assert abs(changed("autocontrast", 0, picture(60, 140)) - expected).max() <= 1
    flat = np.full((8, 8, 3), 77, np.uint8)
    assert (changed("autocontrast", 0, flat) == flat).all()


def test_equalize_makes_ranks_of_grey_levels() -> None:
    """The share of pixels that are darker or as dark, from the darkest level on, in a plain loop."""
    view, found = picture(60, 140), changed("equalize", 0, picture(60, 140))
    for channel in range(3):
        values = view[:, :, channel].ravel()
        darkest = (values == values.min()).sum()
        for level in np.unique(values):
            share = ((values <= level).sum() - darkest) / (len(values) - darkest)
            assert (abs(found[:, :, channel].ravel()[values == level] - 255 * share) <= 1).all()


def test_equalizing_luma_leaves_the_colour() -> None:
    view = cv2.cvtColor(changed("equalize_luma", 0, picture(100, 150)), cv2.COLOR_RGB2YCrCb).astype(int)
    before = cv2.cvtColor(picture(100, 150), cv2.COLOR_RGB2YCrCb).astype(int)
    assert np.ptp(view[:, :, 0]) > 1.5 * np.ptp(before[:, :, 0])
    inside = (view > 60).all(axis=2) & (view < 200).all(axis=2)  # elsewhere RGB has no such colour
    assert abs(view - before)[inside][:, 1:].max() <= 3


def test_a_colour_cast_shifts_whole_channels() -> None:
    casts: Counter[int] = Counter()
    for seed in range(900):
        shift = changed("colour_cast", 20.0, np.full((4, 4, 3), 100, np.uint8), seed).astype(int) - 100
        assert (shift == shift[0, 0]).all()
        assert set(abs(shift[0, 0])) <= {0, 20}
        casts[int((shift[0, 0] != 0).sum())] += 1
    # One for certain, and each of the two others with a chance of a third.
    assert [casts[num] / 900 for num in range(4)] == pytest.approx([0, 4 / 9, 4 / 9, 1 / 9], abs=0.05)


def test_noise_has_fifty_levels_times_its_strength() -> None:
    difference = changed("noise", -0.2, np.full((200, 200, 3), 128, np.uint8)) - 128.0
    assert difference.std() == pytest.approx(10, rel=0.02)
    assert abs(difference.mean()) < 0.2


def test_a_vignette_darkens_outwards_and_not_the_middle() -> None:
    view = changed("vignette", -0.6, np.full((100, 100, 3), 200, np.uint8))[:, :, 0]
    assert view[45:55, 45:55].min() == 200
    corners = view[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.min() == pytest.approx(200 * 0.4, abs=1)
    assert (np.diff(view[50, 50:].astype(int)) <= 0).all()


def test_a_cut_is_a_grey_square_about_a_point_of_the_middle() -> None:
    for seed in range(50):
        rows, columns = np.nonzero((changed("cut", 0.1, np.zeros((100, 100, 3), np.uint8), seed) == 128).all(axis=2))
        assert np.ptp(rows) == np.ptp(columns) == 19
        assert 10 <= rows.min() <= 70
        assert len(rows) == 400


@pytest.mark.parametrize("name", PIXELS)
@pytest.mark.parametrize(
    "view", [np.zeros((9, 7, 3), np.uint8), np.full((9, 7, 3), 255, np.uint8), picture()], ids=["0", "255", "p"]
)
def test_any_view_stays_a_view_and_is_not_changed_in_place(name: str, view: np.ndarray) -> None:
    largest = max(group.get(name, 0.0) for policy in POLICIES.values() for group in policy.groups)
    before = view.copy()
    for level in (-largest, 0.0, largest):
        found = changed(name, level, view)
        assert found.dtype == np.uint8
        assert found.shape == view.shape
        assert (view == before).all()
        assert (found == changed(name, level, view)).all()


def test_every_operation_is_geometry_or_pixels() -> None:
    names = {name for policy in POLICIES.values() for group in policy.groups for name in group}
    assert names == set(GEOMETRY) | set(PIXELS)
    assert not set(GEOMETRY) & set(PIXELS)
    assert len(POLICIES["cubuk"].groups[0]) == 14


# From the image's centre (40, 30) of 81 by 61 pixels: where an output pixel this far off it is read.
POINTS = [
    ("rotate", 90.0, (10, 0), (0, 10)),
    ("shear_x", 0.5, (10, 20), (20, 20)),
    ("shear_y", 0.5, (10, 20), (10, 25)),
    ("translate_x", 0.1, (10, 20), (18.1, 20)),
    ("translate_y", 0.1, (10, 20), (10, 26.1)),
    ("scale", 0.25, (10, 20), (8, 16)),
]


@pytest.mark.parametrize(("name", "level", "output", "image"), POINTS)
def test_geometry_reads_where_it_should(name: str, level: float, output: tuple[int, int], image: tuple[float, float]) -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    matrix = compose(identity, (Operation(name, level, 0),), height=61, width=81)
    np.testing.assert_allclose(matrix @ [40 + output[0], 30 + output[1], 1] - [40, 30], image, atol=1e-9)


def test_flips_and_stretches() -> None:
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    flips = {tuple(np.diag(compose(identity, (Operation("flip", 0, seed),), 9, 9)[:, :2])) for seed in range(40)}
    assert flips == {(-1, 1), (1, -1), (-1, -1)}
    for seed in range(40):
        across, down = np.diag(compose(identity, (Operation("stretch", 0.25, seed),), 9, 9)[:, :2])
        assert across == pytest.approx(0.8)
        assert 1 / 1.2 <= down <= 1 / 0.8


def test_two_operations_are_done_in_their_order() -> None:
    """Composed once, against the image transformed twice: translation and rotation do not commute."""
    image = picture()[:, :60]
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    steps = (Operation("translate_x", 0.1, 0), Operation("rotate", 90.0, 0))
    first = warp(image, compose(identity, steps[:1], 60, 60), 60)
    expected = warp(first, compose(identity, steps[1:], 60, 60), 60)
    assert (warp(image, compose(identity, steps, 60, 60), 60) == expected).all()
    other = warp(image, compose(identity, steps[::-1], 60, 60), 60)
    assert (other != expected).mean() > 0.5


def test_cubuk_draws_all_alike_at_one_strength() -> None:
    rng = np.random.default_rng(0)
    recipe = RandAugmentRecipe(kind="cubuk", num_operations=3, magnitude=5)
    drawn = [operation for _ in range(2000) for operation in draw_operations(recipe, rng)]
    counts = Counter(operation.name for operation in drawn)
    assert len(drawn) == 6000
    assert set(counts) == set(POLICIES["cubuk"].groups[0])
    assert max(abs(count - 6000 / 14) for count in counts.values()) < 4 * np.sqrt(6000 / 14)
    assert {operation.level for operation in drawn if operation.name == "rotate"} == {-15.0, 15.0}
    assert np.mean([operation.level > 0 for operation in drawn if operation.name == "shear_x"]) == pytest.approx(0.5, abs=0.1)


def test_yao_draws_one_of_colour_and_one_of_shape_below_the_magnitude() -> None:
    rng = np.random.default_rng(0)
    recipe = RandAugmentRecipe(kind="yao", magnitude=10, probability=0.7)
    views = [draw_operations(recipe, rng) for _ in range(3000)]
    colour = POLICIES["yao"].groups[0]
    groups = Counter(tuple("colour" if operation.name in colour else "shape" for operation in view) for view in views)
    shares = {(): 0.09, ("colour",): 0.21, ("shape",): 0.21, ("colour", "shape"): 0.49}
    assert {group: count / 3000 for group, count in groups.items()} == pytest.approx(shares, abs=0.04)
    turns = [operation.level for view in views for operation in view if operation.name == "rotate"]
    assert -40 < min(turns) < -30 < 30 < max(turns) < 40
    assert np.mean(np.abs(turns)) == pytest.approx(20, abs=2)


def test_a_view_has_its_warp_its_geometry_and_its_pixels_changed() -> None:
    recipe = STILL.model_copy(update={"randaugment": RandAugmentRecipe(kind="cubuk", num_operations=4)})
    shapes, size = np.array([[60, 80]] * 40), 32
    steps = plan(recipe, draw(0, 1, 40), shapes, size)
    assert steps.operations is not None
    for index, operations in enumerate(steps.operations):
        out = np.empty((size, size, 3), np.uint8)
        apply(steps, index, picture(), recipe, out)
        matrix = compose(centre_matrix(60, 80, size), operations, 60, 80)
        assert (out == change_pixels(warp(picture(), matrix, size), operations)).all()
    assert len(set(steps.operations)) == 40


def test_an_image_has_the_same_operations_in_a_larger_set_and_others_in_another_epoch() -> None:
    recipe = AugmentRecipe(randaugment=RandAugmentRecipe(kind="yao"))
    few, many, later = (
        plan(recipe, draw(0, epoch, num), np.array([[60, 80]] * num), 32).operations for epoch, num in ((1, 5), (1, 50), (2, 5))
    )
    assert many is not None
    assert few == many[:5] != later


def test_operations_and_overlays_draw_from_generators_of_their_own() -> None:
    recipe, draws = AugmentRecipe(randaugment=RandAugmentRecipe(kind="cubuk")), draw(0, 1, 20)
    found = plan(recipe, draws, np.array([[60, 80]] * 20), 32).operations
    numbers = draws[:, DRAWS.index("overlay")]
    assert found != [draw_operations(recipe.randaugment, np.random.default_rng(int(number * 2**53))) for number in numbers]


def test_without_it_nothing_changes() -> None:
    recipe = AugmentRecipe(brightness=0.2, cutout=0.5)
    draws, shapes = np.random.default_rng(0).random((5, len(DRAWS))), np.array([[60, 80]] * 5)
    plain, with_it = (
        plan(recipe.model_copy(update=more), draws, shapes, 32) for more in ({}, {"randaugment": RandAugmentRecipe(kind="cubuk")})
    )
    assert plain.operations is None
    assert (plain.warps != with_it.warps).any()
    assert (plain.colours == with_it.colours).all()
    assert (plain.boxes == with_it.boxes).all()


@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_augment_takes_it(kind: str) -> None:
    recipe = AugmentRecipe(randaugment=RandAugmentRecipe(kind=kind))  # type: ignore[arg-type]
    views = [augment(picture(), recipe, np.random.default_rng(seed), 32) for seed in (1, 1, 2)]
    assert (views[0] == views[1]).all()
    assert (views[0] != views[2]).any()
