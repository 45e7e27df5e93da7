"""Fusions: what they compute, and that with every field missing the image speaks alone."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from nevus.errors import RecipeError
from nevus.networks.fusion import ACTIVATIONS, FUSIONS, Fusion, create_fusion
from nevus.recipe import FusionRecipe

FIELDS, CHANNELS = 5, 12


def fusion_of(kind: Any, hidden: int | None = 8) -> Fusion:
    torch.manual_seed(0)
    fusion = create_fusion(FusionRecipe(kind=kind, hidden=None if kind == "metablock" else hidden), CHANNELS, FIELDS)
    for parameter in fusion.parameters():  # as after training
        nn.init.normal_(parameter)
    return fusion


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(4, CHANNELS, generator=generator), torch.randn(4, FIELDS, generator=generator)


def arrays(fusion: Any) -> list[Any]:
    return [parameter.detach().double().numpy() for parameter in fusion.parameters()]


def moved_statistics(fusion: Fusion, x: torch.Tensor, m: torch.Tensor) -> list[Any]:
    """Batch norm's means and variances after some batches, in order; the fusion is left in evaluation mode."""
    for _ in range(30):
        fusion(x, m, torch.ones(len(x), dtype=torch.bool))
    fusion.eval()
    return [buffer.double().numpy() for name, buffer in fusion.named_buffers() if "running" in name]


def test_a_recipe_names_the_fusions_there_are() -> None:
    assert set(FUSIONS) == set(get_args(FusionRecipe.model_fields["kind"].annotation))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", FUSIONS)
def test_with_every_field_missing_the_image_speaks_alone(kind: str, training: bool) -> None:
    fusion = fusion_of(kind).train(training)
    features, metadata = inputs()
    fused = fusion(features, metadata, torch.tensor([False, False, True, False]))
    alone = [0, 1, 3]
    expected = torch.sigmoid(torch.tanh(features)) if kind == "metablock" else features
    assert torch.equal(fused[alone, :CHANNELS], expected[alone])
    assert torch.equal(fused[alone, CHANNELS:], torch.zeros(3, fusion.num_outputs - CHANNELS))
    if kind != "none":
        assert not torch.equal(fused[2], fused[0])
        assert not torch.equal(fused[2, :CHANNELS], expected[2]) or fused[2, CHANNELS:].abs().max() > 0


def test_no_gradient_from_an_image_without_metadata_reaches_the_embedding() -> None:
    fusion = fusion_of("multiply")
    features, metadata = inputs()
    fusion(features, metadata, torch.zeros(4, dtype=torch.bool)).sum().backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in fusion.parameters())


def test_multiply_is_equation_4() -> None:
    fusion = fusion_of("multiply")
    x, m = inputs()
    w1, b1, w2, b2 = arrays(fusion)
    t = np.maximum(m.double().numpy() @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(
        fusion(x, m, torch.ones(4, dtype=torch.bool)).detach().numpy(), t * x.numpy(), rtol=1e-5, atol=1e-6
    )


def test_multiply_before_pooling_is_multiply_after() -> None:
    fusion: Any = fusion_of("multiply")
    _, metadata = inputs()
    present = torch.tensor([True, False, True, True])
    feature_map = torch.randn(4, CHANNELS, 7, 7)
    before = (feature_map * fusion.factors(metadata, present)[:, :, None, None]).mean(dim=(2, 3))
    torch.testing.assert_close(fusion(feature_map.mean(dim=(2, 3)), metadata, present), before)


def test_a_fresh_multiplication_starts_near_the_image() -> None:
    torch.manual_seed(0)
    fusion: Any = create_fusion(FusionRecipe(kind="multiply"), 512, FIELDS)
    factors = fusion.factors(torch.randn(64, FIELDS), torch.ones(64, dtype=torch.bool))
    assert 0 < (factors - 1).abs().mean() < 0.1


def test_film_scales_and_shifts() -> None:
    fusion = fusion_of("film")
    x, m = inputs()
    w1, b1, w2, b2 = arrays(fusion)
    modulation = np.maximum(m.double().numpy() @ w1.T + b1, 0) @ w2.T + b2
    expected = (1 + modulation[:, :CHANNELS]) * x.numpy() + modulation[:, CHANNELS:]
    np.testing.assert_allclose(fusion(x, m, torch.ones(4, dtype=torch.bool)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_fresh_film_starts_near_the_image() -> None:
    torch.manual_seed(0)
    fusion = create_fusion(FusionRecipe(kind="film"), 512, FIELDS)
    x = torch.rand(64, 512)
    assert 0 < (fusion(x, torch.randn(64, FIELDS), torch.ones(64, dtype=torch.bool)) - x).abs().mean() < 0.1


def test_metablock_is_its_papers() -> None:
    fusion = fusion_of("metablock")
    x, m = inputs()
    statistics = moved_statistics(fusion, x, m)
    f, g = (
        ((m.double().numpy() @ w.T + b) - mean) / np.sqrt(variance + 1e-5) * scale + shift
        for (w, b, scale, shift), (mean, variance) in zip(
            (arrays(fusion)[:4], arrays(fusion)[4:]), (statistics[:2], statistics[2:]), strict=True
        )
    )
    expected = 1 / (1 + np.exp(-(np.tanh(f * x.numpy()) + g)))
    np.testing.assert_allclose(fusion(x, m, torch.ones(4, dtype=torch.bool)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(RecipeError, match="has no hidden layer"):
        create_fusion(FusionRecipe(kind="metablock", hidden=8), CHANNELS, FIELDS)


def test_concat_is_one_dense_layer() -> None:
    fusion = fusion_of("concat")
    x, m = inputs()
    w, b = arrays(fusion)
    expected = np.concatenate([x.numpy(), np.maximum(m.double().numpy() @ w.T + b, 0)], axis=1)
    np.testing.assert_allclose(fusion(x, m, torch.ones(4, dtype=torch.bool)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_mlp_is_two_dense_layers_with_batch_norm() -> None:
    fusion = fusion_of("mlp")
    x, m = inputs()
    statistics = moved_statistics(fusion, x, m)
    h, parameters = m.double().numpy(), arrays(fusion)
    for layer in range(2):
        w, b, scale, shift = parameters[4 * layer : 4 * layer + 4]
        mean, variance = statistics[2 * layer : 2 * layer + 2]
        h = np.maximum((h @ w.T + b - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)
    expected = np.concatenate([x.numpy(), h], axis=1)
    np.testing.assert_allclose(fusion(x, m, torch.ones(4, dtype=torch.bool)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_mlp_drops_two_fifths_in_training() -> None:
    fusion: Any = create_fusion(FusionRecipe(kind="mlp"), CHANNELS, FIELDS)
    assert [layer.p for layer in fusion.branch if isinstance(layer, nn.Dropout)] == [0.4, 0.4]


@pytest.mark.parametrize(("kind", "width"), [("concat", 64), ("mlp", 256)])
def test_widths_are_the_kinds_own_unless_given(kind: str, width: int) -> None:
    assert fusion_of(kind, None).num_outputs == CHANNELS + width
    assert fusion_of(kind, 4096).num_outputs == CHANNELS + 4096


def test_a_fusion_without_metadata_is_refused() -> None:
    for kind in ("multiply", "concat", "mlp", "film", "metablock"):
        with pytest.raises(RecipeError, match=rf'model.fusion.kind = "{kind}", but data.metadata names no field'):
            create_fusion(FusionRecipe(kind=kind), CHANNELS, 0)  # type: ignore[arg-type]
    assert create_fusion(FusionRecipe(), CHANNELS, 0).num_outputs == CHANNELS


BY_HAND = {
    "none": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "one_plus_tanh": lambda z: 2 - 2 / (np.exp(2 * z) + 1),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_multiply_may_bound_its_factors(activation: Any) -> None:
    torch.manual_seed(0)
    fusion: Any = create_fusion(FusionRecipe(kind="multiply", hidden=8, activation=activation), CHANNELS, FIELDS)
    for parameter in fusion.parameters():
        nn.init.normal_(parameter)
    _, m = inputs()
    w1, b1, w2, b2 = arrays(fusion)
    expected = BY_HAND[activation](np.maximum(m.double().numpy() @ w1.T + b1, 0) @ w2.T + b2)
    factors = fusion.factors(m, torch.tensor([True, True, False, True])).detach().numpy()
    np.testing.assert_allclose(factors[[0, 1, 3]], expected[[0, 1, 3]], rtol=1e-5, atol=1e-6)
    assert (factors[2] == 1).all(), "exactly 1 where nothing is present"


@pytest.mark.parametrize(("activation", "fresh"), [("none", 1.0), ("sigmoid", 1 / (1 + np.exp(-4))), ("one_plus_tanh", 1.0)])
def test_fresh_factors_leave_the_image_alone_whatever_the_activation(activation: Any, fresh: float) -> None:
    torch.manual_seed(0)
    fusion: Any = create_fusion(FusionRecipe(kind="multiply", activation=activation), 512, FIELDS)
    factors = fusion.factors(torch.randn(64, FIELDS), torch.ones(64, dtype=torch.bool)).detach()
    assert abs(factors.mean().item() - fresh) < 0.01
    assert 0 < (factors - 1).abs().max() < 0.3


def test_an_activation_without_its_place_is_refused() -> None:
    with pytest.raises(RecipeError, match='only the kind "multiply" has one, not "film"'):
        create_fusion(FusionRecipe(kind="film", activation="sigmoid"), CHANNELS, FIELDS)
