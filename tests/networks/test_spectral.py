"""A fresh transform is SciPy's; it trains, and a fixed size or too many features are said."""

import numpy as np
import pytest
import scipy.fft
import torch

from nevus.errors import RecipeError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.spectral import MATRICES, FeatureTransform, MapTransform, feature_transform, map_transform
from nevus.recipe import ModelRecipe

LENGTHS = [1, 2, 7, 8, 513]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_fresh_dct_is_scipys(length: int) -> None:
    features = torch.randn(5, length)
    found = FeatureTransform("dct", length)(features).detach().numpy()
    np.testing.assert_allclose(found, scipy.fft.dct(features.numpy(), type=2, norm="ortho"), atol=2e-5)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_fresh_dft_is_the_parts_of_scipys(length: int) -> None:
    features = torch.randn(5, length)
    spectrum = scipy.fft.rfft(features.numpy(), norm="ortho")
    # All frequencies but the first, and the middle one of an even length, stand for two of the whole transform.
    twice = np.array([1 if k == 0 or 2 * k == length else np.sqrt(2) for k in range(length // 2 + 1)])
    parts = [spectrum.real * twice, (spectrum.imag * twice)[:, 1 : (length + 1) // 2]]
    found = FeatureTransform("dft", length)(features).detach().numpy()
    np.testing.assert_allclose(found, np.concatenate(parts, axis=1), atol=2e-5)


def test_a_fresh_transform_of_maps_is_scipys_in_both_directions() -> None:
    maps = torch.randn(2, 3, 5, 8)
    expected = scipy.fft.dctn(maps.numpy(), type=2, axes=(2, 3), norm="ortho")
    found = MapTransform("dct", 5, 8)(maps).detach().numpy()
    np.testing.assert_allclose(found, np.where(expected > 0, expected, 0.01 * expected), atol=1e-5)


@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.parametrize("length", LENGTHS)
def test_matrices_only_turn(kind: str, length: int) -> None:
    matrix = MATRICES[kind](length)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(length), atol=1e-9)


@pytest.mark.parametrize(("setting", "kind"), [("transform", "dct"), ("map_transform", "dft")])
def test_it_trains_with_the_network_and_changes_nothing_else(setting: str, kind: str) -> None:
    """The rest of the network begins with the same weights as without it, and a step moves the matrix."""
    torch.manual_seed(3)
    plain = LesionClassifier(ModelRecipe(backbone="resnet10t"), num_classes=3, num_metadata=4, size=64)
    torch.manual_seed(3)
    recipe = ModelRecipe.model_validate({"backbone": "resnet10t", setting: kind})
    network = LesionClassifier(recipe, num_classes=3, num_metadata=4, size=64)
    extra = {name: value.clone() for name, value in network.state_dict().items() if name.startswith(setting)}
    assert extra
    assert {name: value for name, value in network.state_dict().items() if name not in extra}.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in plain.state_dict().items())
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    network(torch.randn(4, 3, 64, 64), torch.randn(4, 4)).square().sum().backward()
    optimiser.step()
    assert all(not torch.equal(network.state_dict()[name], value) for name, value in extra.items())


def test_the_transform_lies_between_fusion_and_head() -> None:
    recipe = ModelRecipe.model_validate({"backbone": "resnet10t", "transform": "dct", "fusion": {"kind": "concat", "hidden": 6}})
    network = LesionClassifier(recipe, num_classes=3, num_metadata=4).eval()
    batch, metadata, present = torch.randn(2, 3, 64, 64), torch.randn(2, 4), torch.ones(2, dtype=torch.bool)
    with torch.no_grad():
        fused = network.fusion(network.features(batch), metadata, present)
        expected = network.head(torch.from_numpy(scipy.fft.dct(fused.numpy(), norm="ortho")))
        torch.testing.assert_close(network(batch, metadata, present), expected, atol=1e-5, rtol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RecipeError, match=r'8,193 features need a matrix of 67,125,249 weights.*model\.pooling = "average"'):
        feature_transform("dct", 8193)
    with pytest.raises(RecipeError, match=r'model\.map_transform = "dft" needs a fixed input size'):
        map_transform("dft", None)
