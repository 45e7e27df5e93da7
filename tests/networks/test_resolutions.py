"""A photo at several sizes is refused before training where the network cannot take it."""

import pytest

from nevus.data.looks import looks_of, side_for
from nevus.errors import RecipeError
from nevus.networks.resolutions import check_resolutions
from nevus.recipe import Recipe
from nevus.training.run import create_network


def recipe_of(*settings: str) -> Recipe:
    return Recipe(name="sizes").with_settings(["model.backbone=resnet10t", "data.size=64", *settings])


def test_sizes_that_cannot_be_are_refused_before_training() -> None:
    with pytest.raises(RecipeError, match='"flatten" fixes the input to one size'):
        create_network(recipe_of("data.resolutions=[96]", "model.pooling=flatten"), ("a", "b"))
    with pytest.raises(RecipeError, match="1x1 feature map"):
        create_network(recipe_of("data.resolutions=[96, 32]", "model.attention.kind=soft"), ("a", "b"))
    network = create_network(recipe_of("data.resolutions=[96, 48]", "model.attention.kind=soft"), ("a", "b"))
    check_resolutions(network, recipe_of("data.resolutions=[96]"))


@pytest.mark.parametrize("sizes", ["[96, 96]", "[64]"])
def test_a_size_given_twice_is_refused(sizes: str) -> None:
    with pytest.raises(RecipeError, match=r"data.resolutions: .*a size stands here twice, or is data.size"):
        recipe_of(f"data.resolutions={sizes}")
    assert recipe_of("data.resolutions=[96, 48]").data.sizes == (64, 96, 48)


@pytest.mark.parametrize("shares", ["[0.8, 0.8]", "[]", "[0.0]", "[1.5]"])
def test_central_shares_that_cannot_be_are_refused(shares: str) -> None:
    with pytest.raises(RecipeError, match=r"data\.central"):
        recipe_of(f"data.central={shares}")


def test_a_smaller_share_needs_a_larger_photo() -> None:
    # 96 pixels of the middle half are 192 of the whole.
    recipe = recipe_of("data.resolutions=[96]", "data.central=[1.0, 0.5]")
    looks = looks_of({"size": 64, "resolutions": [96], "central": [1.0, 0.5]})
    assert recipe.data.side == side_for(looks) == 192
    assert looks == ((64, 1.0), (96, 1.0), (64, 0.5), (96, 0.5))
