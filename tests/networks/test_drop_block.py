"""DropBlock drops what its paper says: as much, in squares, per channel; nothing outside training."""

import numpy as np
import pytest
import torch

from nevus.networks.classifier import LesionClassifier
from nevus.networks.drop_block import DropBlock
from nevus.recipe import ModelRecipe


def expected_share(rate: float, side: int, size: int) -> float:
    """The mean over places of 1 − (1 − γ)^n, n of the squares inside the map covering a place: counted one by one."""
    inside = size - side + 1
    gamma = rate / side**2 * size**2 / inside**2
    covering = np.zeros((size, size))
    for row in range(inside):
        for column in range(inside):
            covering[row : row + side, column : column + side] += 1
    return float((1 - (1 - gamma) ** covering).mean())


@pytest.mark.parametrize(("rate", "side", "size"), [(0.1, 5, 7), (0.1, 7, 14), (0.3, 3, 7), (0.2, 1, 5), (0.25, 4, 8)])
def test_as_much_is_dropped_as_the_papers_gamma_gives(rate: float, side: int, size: int) -> None:
    found = DropBlock(rate, side)(torch.ones(500, 20, size, size)) == 0
    assert found.float().mean().item() == pytest.approx(expected_share(rate, side, size), rel=0.06)
    assert expected_share(rate, side, size) == pytest.approx(rate, rel=0.2)


def test_dropped_places_make_whole_squares() -> None:
    """A map of one square shows its shape; the least distance of two edges is the side."""
    dropped = (DropBlock(0.02, 3)(torch.ones(4000, 1, 9, 9)) == 0)[:, 0].numpy()
    single = [image for image in dropped if image.sum() == 9]
    assert len(single) > 500
    places = set()
    for image in single:
        rows, columns = np.nonzero(image)
        assert rows.max() - rows.min() == columns.max() - columns.min() == 2
        places.add((rows.min(), columns.min()))
    assert len(places) == 7 * 7


def test_what_is_kept_is_scaled_to_the_same_sum() -> None:
    found = DropBlock(0.3, 3)(torch.ones(50, 4, 8, 8))
    assert found.mean().item() == pytest.approx(1)
    assert len(found.unique()) == 2


def test_each_channel_has_its_own_squares() -> None:
    dropped = DropBlock(0.2, 3)(torch.ones(1, 64, 8, 8))[0] == 0
    assert len(dropped.unique(dim=0)) > 40


def test_the_rate_rises_with_the_share_of_training() -> None:
    layer = DropBlock(0.4, 1)
    shares = []
    for layer.share in (0.0, 0.25, 0.5, 1.0):
        shares.append((layer(torch.ones(100, 10, 10, 10)) == 0).float().mean().item())
    np.testing.assert_allclose(shares, [0, 0.1, 0.2, 0.4], atol=0.01)


def test_a_square_as_large_as_the_map_drops_channels() -> None:
    found = DropBlock(0.5, 9)(torch.ones(200, 5, 4, 4))
    per_channel = (found == 0).float().mean(dim=(2, 3))
    assert set(per_channel.unique().tolist()) == {0.0, 1.0}
    assert per_channel.mean().item() == pytest.approx(0.5, abs=0.06)
    assert torch.isfinite(DropBlock(0.99, 9)(torch.ones(1, 2, 4, 4))).all()


def test_only_training_drops_and_only_where_a_rate_is_set() -> None:
    batch = torch.randn(4, 3, 96, 96)
    network = LesionClassifier(ModelRecipe(backbone="resnet10t", drop_block=0.5), num_classes=2, num_metadata=3)
    plain = LesionClassifier(ModelRecipe(backbone="resnet10t"), num_classes=2, num_metadata=3)
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert not torch.equal(network.train()(batch), plain.train()(batch))
        assert torch.equal(network.eval()(batch), plain.eval()(batch))
    before = torch.get_rng_state()
    plain.train().drop_block(batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_bfloat16_stays_bfloat16() -> None:
    found = DropBlock(0.3, 3)(torch.ones(500, 8, 8, 8, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert found.float().mean().item() == pytest.approx(1, rel=0.01)


def test_timms_layer_drops_more_than_it_is_asked_to() -> None:
    """Why it is not used: it lets squares begin anywhere, with the chance that is meant for those wholly inside."""
    from timm.layers import DropBlock2d

    theirs = DropBlock2d(drop_prob=0.1, block_size=5)(torch.ones(500, 8, 7, 7)) == 0
    ours = DropBlock(rate=0.1, side=5)(torch.ones(500, 8, 7, 7)) == 0
    assert 0.29 < theirs.float().mean() < 0.33
    assert 0.08 < ours.float().mean() < 0.11
