"""Crops to the lesion, from masks drawn by hand: which part it is, that packs hold it, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nevus.data.crops import Crop, split_crop
from nevus.data.images import load_image, read_image, shrink
from nevus.data.masks import crop_paths, input_paths, lesion_crop
from nevus.data.pack import pack_images
from nevus.errors import DataError, RecipeError
from nevus.recipe import DataRecipe

HEIGHT, WIDTH = 90, 120


def drawn(top: int, left: int, bottom: int, right: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos of noise with masks: a middling lesion, one in a corner, the whole image, one with ones instead of white."""
    rng = np.random.default_rng(0)
    masks = {"a": drawn(30, 40, 60, 70), "b": drawn(0, 100, 25, 120), "c": drawn(0, 0, HEIGHT, WIDTH), "d": drawn(10, 10, 40, 50)}
    (tmp_path / "masks").mkdir()
    for name, mask in masks.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
        suffix = "_segmentation" if name == "b" else ""
        cv2.imwrite(str(tmp_path / "masks" / f"{name}{suffix}.png"), mask.astype(np.uint8) * (1 if name == "d" else 255))
    return tmp_path


def crops(folder: Path, names: str = "abcd", margin: float = 0.0) -> list[Path]:
    return crop_paths([folder / f"{name}.png" for name in names], list(names), folder / "masks", margin)


@pytest.mark.parametrize(
    ("mask", "margin", "expected"),
    [
        # 30 rows of 90 are a third, 30 columns of 120 a quarter: a third of both, about the lesion's middle.
        (drawn(30, 40, 60, 70), 0.0, (30, 35, 60, 75)),
        (drawn(30, 40, 60, 70), 0.25, (22, 25, 67, 85)),
        # In the corner, and moved back into the image.
        (drawn(0, 100, 30, 120), 0.5, (0, 40, 60, 120)),
        (drawn(0, 0, HEIGHT, WIDTH), 0.0, (0, 0, HEIGHT, WIDTH)),
        (drawn(5, 5, 85, 115), 1.0, (0, 0, HEIGHT, WIDTH)),
        # One pixel: 16 rows, as the smallest image has, and 22 columns in proportion.
        (drawn(45, 60, 46, 61), 0.0, (37, 49, 53, 71)),
    ],
    ids=["exact", "margin", "corner", "whole", "margin beyond the border", "speck"],
)
def test_crops_worked_out_by_hand(mask: np.ndarray, margin: float, expected: tuple[int, ...]) -> None:
    crop = lesion_crop(mask, margin)
    assert (crop.top, crop.left, crop.bottom, crop.right) == expected
    assert (crop.height, crop.width) == mask.shape


@given(st.integers(16, 80), st.integers(16, 80), st.data())
def test_any_crop_has_the_lesion_lies_in_the_image_and_keeps_its_proportions(
    height: int, width: int, data: st.DataObject
) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    crop = lesion_crop(drawn(top, left, bottom, right, (height, width)), data.draw(st.floats(0, 1)))
    assert 0 <= crop.top <= top < bottom <= crop.bottom <= height
    assert 0 <= crop.left <= left < right <= crop.right <= width
    assert abs((crop.bottom - crop.top) * width - (crop.right - crop.left) * height) <= max(height, width)
    assert min(crop.bottom - crop.top, crop.right - crop.left) >= 16


def test_names_come_apart_as_they_were_put_together() -> None:
    crop = Crop(1, 2, 30, 40, 50, 60)
    assert split_crop(crop.of("in/a#1.hdf5#KEY")) == ("in/a#1.hdf5#KEY", crop)
    assert split_crop("in/a#crop=1.jpg") == ("in/a#crop=1.jpg", None)


def test_a_pack_holds_the_crops_and_is_another_than_that_of_the_photos(photos: Path) -> None:
    pack = pack_images(crops(photos), 24, photos / "packs")
    boxes = [(30, 35, 60, 75), (0, 86, 25, 120), (0, 0, HEIGHT, WIDTH), (10, 10, 40, 50)]
    for row, (name, (top, left, bottom, right)) in enumerate(zip("abcd", boxes, strict=True)):
        expected = shrink(read_image(photos / f"{name}.png")[top:bottom, left:right], 24)
        assert (pack.image(row) == expected).all(), name
        assert min(pack.shapes[row]) == 24
    whole = pack_images([photos / f"{name}.png" for name in "abcd"], 24, photos / "packs")
    wider = pack_images(crops(photos, margin=0.3), 24, photos / "packs")
    assert len({pack.path, whole.path, wider.path}) == 3
    assert (whole.image(2) == pack.image(2)).all(), "a mask of the whole photo is the photo"
    assert pack_images(crops(photos), 24, photos / "packs").path == pack.path


def test_missing_unreadable_and_empty_masks_are_named_at_once(photos: Path) -> None:
    (photos / "masks" / "a.png").unlink()
    (photos / "masks" / "b_segmentation.png").write_bytes(b"no image")
    cv2.imwrite(str(photos / "masks" / "d.png"), np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(DataError) as caught:
        crops(photos)
    message = str(caught.value)
    assert "3 of 4 masks cannot be used" in message
    assert "a: neither a.png nor a_segmentation.png is there" in message
    assert "b_segmentation.png: not an image" in message
    assert "d.png: empty, no pixel is the lesion's" in message
    with pytest.raises(DataError, match="none: no such folder of masks"):
        crop_paths([photos / "a.png"], ["a"], photos / "none", 0.0)


def test_a_mask_of_another_size_is_refused_wherever_the_image_is_read(photos: Path) -> None:
    cv2.imwrite(str(photos / "masks" / "c.png"), 255 * drawn(10, 10, 50, 50, (HEIGHT * 2, WIDTH * 2)).astype(np.uint8))
    reason = rf"c.png: {HEIGHT}x{WIDTH} pixels, but its mask has {HEIGHT * 2}x{WIDTH * 2}"
    with pytest.raises(DataError, match=reason):
        load_image(crops(photos)[2], 24)
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(DataError, match=rf"(?s)1 of 4 images cannot be read.*{reason}"):
            pack_images(crops(photos), 24, photos / "packs", say=said.append)
    assert said == [], "the pack was found again, and the photo was not taken for a mended one"


def test_a_recipe_that_crops_names_its_masks(photos: Path) -> None:
    paths = [photos / "a.png"]
    assert input_paths(DataRecipe(), paths, ["a"]) == paths
    with pytest.raises(RecipeError, match=r"name the folder of the masks"):
        input_paths(DataRecipe(crop="mask"), paths, ["a"])
    data = DataRecipe(crop="mask", masks=str(photos / "masks"), crop_margin=0.0)
    assert input_paths(data, paths, ["a"]) == crops(photos, "a")
