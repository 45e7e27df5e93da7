"""The stretch against Pillow's and torch's, and what must hold of any resampling."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nevus.data.images import read_reduced
from nevus.data.resample import stretch, weights

SHAPES = [(150, 200), (450, 600), (37, 300), (64, 64), (20, 17), (501, 333)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [24, 64])
def test_it_is_pillows_bilinear_but_for_its_rounding(shape: tuple[int, int], size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    theirs = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR), np.float32)
    # Pillow rounds after each of the two directions.
    assert np.abs(stretch(image, size) - theirs).max() <= 1.01


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_a_central_share_is_pillows_box(shape: tuple[int, int], share: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    height, width = shape
    left, top = (1 - share) / 2 * width, (1 - share) / 2 * height
    box = (left, top, width - left, height - top)
    theirs = Image.fromarray(image).resize((48, 48), Image.Resampling.BILINEAR, box=box)
    assert np.abs(stretch(image, 48, share) - np.asarray(theirs, np.float32)).max() <= 1.01


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_torchs_antialiased_bilinear(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    theirs = torch.nn.functional.interpolate(batch, (48, 48), mode="bilinear", antialias=True, align_corners=False)
    np.testing.assert_allclose(stretch(image, 48), theirs[0].permute(1, 2, 0).numpy(), atol=2e-3)


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 3000), size=st.integers(1, 300), share=st.floats(0.1, 1))
def test_weights_are_shares_and_mirror_images_of_each_other(length: int, size: int, share: float) -> None:
    table = weights(length, size, share)
    assert table.shape == (size, length)
    assert table.min() >= 0
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(table, table[::-1, ::-1], atol=1e-5)


def test_an_image_of_the_wanted_size_stays_as_it_is() -> None:
    image = np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8)
    assert (stretch(image, 40) == image).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_large_image_is_averaged_before_and_stays_large_enough(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0, 255, 1000)[None, :, None] * np.ones((801, 1, 3))
    Image.fromarray(ramp.astype(np.uint8)).save(tmp_path / f"ramp{suffix}")
    # 801 / 4 is 200.25: twice 100; an eighth would be less.
    assert [read_reduced(tmp_path / f"ramp{suffix}", side).shape for side in (100, 101, 500)] == [
        (200, 250, 3),
        (401, 500, 3),
        (801, 1000, 3),
    ]
    reduced = read_reduced(tmp_path / f"ramp{suffix}", 100)
    assert np.abs(stretch(reduced, 100) - stretch(ramp.astype(np.uint8), 100)).max() < 1.5
