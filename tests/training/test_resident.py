"""The sampler for accelerators against OpenCV's warp; it runs on the CPU as well, where the difference is only its arithmetic."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from nevus.data.augment import apply, draw, plan
from nevus.data.pack import Pack, pack_images
from nevus.recipe import AugmentRecipe, RandAugmentRecipe
from nevus.training.resident import TOLERANCE, ResidentPack

SIZE = 48
RECIPES = {
    "papers": AugmentRecipe(),
    "wide": AugmentRecipe(rotation_degrees=180, min_crop=0.3, vertical_flip=0.5),
    "colour": AugmentRecipe(brightness=0.2, contrast=0.2, saturation=0.3, hue_degrees=15),
    "cutout": AugmentRecipe(cutout=0.7),
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Images of several shapes: noise, smooth enough that a wrong neighbour shows and a rounding does not."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = []
    for number, shape in enumerate([(40, 60), (70, 50), (33, 33), (64, 90)] * 3):
        noise = cv2.GaussianBlur(rng.integers(0, 256, (*shape, 3), dtype=np.uint8), (0, 0), 1.0)
        paths.append(Path(folder) / f"{number}.png")
        cv2.imwrite(str(paths[-1]), noise)
    return pack_images(paths, 64, folder / "packs")


@pytest.mark.parametrize("name", RECIPES)
def test_the_sampler_gives_what_opencv_gives(pack: Pack, name: str) -> None:
    compare(pack, RECIPES[name], torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("name", RECIPES)
def test_the_sampler_gives_on_a_gpu_what_opencv_gives(pack: Pack, name: str) -> None:
    device = torch.device("cuda")
    assert ResidentPack.where_it_fits(pack, device, RECIPES[name]) is not None
    compare(pack, RECIPES[name], device)


def compare(pack: Pack, recipe: AugmentRecipe, device: torch.device) -> None:
    rows = np.array([5, 0, 11, 2, 3, 7, 6])
    steps = plan(recipe, draw(0, 1, len(pack))[rows], pack.shapes[rows], SIZE)
    views = ResidentPack(pack, device).views(rows, steps, SIZE).cpu().numpy()
    assert views.dtype == np.uint8
    expected = np.empty_like(views)
    for index, row in enumerate(rows):
        apply(steps, index, pack.image(row), recipe, expected[index])
    difference = abs(views.astype(int) - expected)
    # A box's edge may not move; elsewhere only rounding differs.
    assert difference.max() <= TOLERANCE
    assert difference.mean() < 0.5


def test_two_runs_are_the_same_bit_for_bit(pack: Pack) -> None:
    rows = np.arange(len(pack))
    steps = plan(AugmentRecipe(), draw(0, 1, len(pack)), pack.shapes, SIZE)
    first, second = (ResidentPack(pack, torch.device("cpu")).views(rows, steps, SIZE) for _ in range(2))
    assert torch.equal(first, second)


def test_a_cpu_keeps_the_pack_on_disk(pack: Pack) -> None:
    assert ResidentPack.where_it_fits(pack, torch.device("cpu"), AugmentRecipe()) is None


@pytest.mark.parametrize(
    "recipe",
    [AugmentRecipe(hair=0.1), AugmentRecipe(ruler=0.1), AugmentRecipe(randaugment=RandAugmentRecipe(kind="yao"))],
    ids=["hair", "ruler", "randaugment"],
)
def test_what_the_sampler_cannot_draw_is_left_to_the_cpu(pack: Pack, recipe: AugmentRecipe) -> None:
    """Declined before the device is asked for anything, so this needs none."""
    assert ResidentPack.where_it_fits(pack, torch.device("cuda"), recipe) is None
