"""mixup and CutMix against plain loops over the batch, their draws against their distribution, and no mixing unless asked for."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch.nn.functional import cross_entropy

from nevus.training.mixup import Mixture

CPU = torch.device("cpu")


def mixup(alpha: float, seed: int, step: int, num_images: int) -> Mixture:
    return Mixture.draw(alpha, 0.0, seed, step, (num_images, 8, 8), CPU)


def cutmix(alpha: float, seed: int, step: int, num_images: int, side: int = 8) -> Mixture:
    return Mixture.draw(0.0, alpha, seed, step, (num_images, side, side), CPU)


def test_a_batch_and_its_answers_are_mixed_in_one_proportion() -> None:
    torch.manual_seed(0)
    mixture = mixup(0.4, 0, 3, 6)
    assert mixture.partners is not None
    images, metadata, targets = torch.randn(6, 3, 5, 5), torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    blended, with_it = mixture.blend(images), mixture.blend(metadata)
    logits = torch.randn(6, 3)
    total = 0.0
    for index, partner in enumerate(mixture.partners.tolist()):
        for before, after in ((images, blended), (metadata, with_it)):
            torch.testing.assert_close(after[index], mixture.weight * before[index] + (1 - mixture.weight) * before[partner])
        log_p = logits[index].log_softmax(dim=0)
        total -= mixture.weight * log_p[targets[index]].item() + (1 - mixture.weight) * log_p[targets[partner]].item()
    found = mixture.loss(lambda answers: cross_entropy(logits, answers), targets)
    assert found.item() == pytest.approx(total / 6, rel=1e-5)


def test_cross_entropy_is_that_of_the_mixed_target() -> None:
    """Zhang et al. mix one-hot targets; for a loss that is linear in them, mixing two losses is the same."""
    mixture, logits, targets = mixup(1.0, 0, 0, 5), torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 3])
    mixed = mixture.blend(torch.nn.functional.one_hot(targets, 4).float())
    torch.testing.assert_close(
        mixture.loss(lambda answers: cross_entropy(logits, answers), targets), cross_entropy(logits, mixed)
    )


def test_a_pair_has_metadata_where_one_of_it_has() -> None:
    mixture = Mixture(0.5, torch.tensor([1, 0, 3, 2]))
    assert mixture.either(torch.tensor([True, False, False, False])).tolist() == [True, True, False, False]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_proportions_are_of_the_beta_distribution(alpha: float) -> None:
    weights = [mixup(alpha, 1, step, 2).weight for step in range(1000)]
    assert scipy.stats.kstest(weights, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_a_step_is_mixed_alike_whenever_it_is_done_and_unlike_another() -> None:
    first, again, later, other = (mixup(0.4, seed, step, 32) for seed, step in ((0, 5), (0, 5), (0, 6), (1, 5)))
    assert first.partners is not None
    assert again.partners is not None
    assert first.weight == again.weight
    assert torch.equal(first.partners, again.partners)
    assert len({first.weight, later.weight, other.weight}) == 3
    assert sorted(first.partners.tolist()) == list(range(32))
    assert later.partners is not None
    assert not torch.equal(first.partners, later.partners)


def test_without_alpha_nothing_is_touched() -> None:
    mixture = mixup(0.0, 0, 5, 4)
    images, present, targets = torch.randn(4, 3), torch.tensor([True, False, True, False]), torch.arange(4)
    assert mixture.blend(images) is images
    assert mixture.blend_images(images) is images
    assert mixture.either(present) is present
    assert mixture.loss(lambda answers: answers.sum(), targets).item() == 6


def test_images_stay_channels_last() -> None:
    images = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
    assert mixup(1.0, 0, 0, 4).blend_images(images).is_contiguous(memory_format=torch.channels_last)


def test_a_box_of_the_partner_is_pasted_and_answers_are_mixed_by_its_area() -> None:
    images = torch.randn(5, 3, 16, 16).to(memory_format=torch.channels_last)
    for step in range(20):
        mixture = cutmix(1.0, 0, step, 5, 16)
        assert mixture.partners is not None
        pasted = mixture.blend_images(images)
        assert pasted.is_contiguous(memory_format=torch.channels_last)
        for index, partner in enumerate(mixture.partners.tolist()):
            own = (pasted[index] == images[index]).all(dim=0)
            assert ((pasted[index] == images[partner]).all(dim=0) | own).all()
            if partner != index:
                assert own.float().mean().item() == pytest.approx(mixture.weight, abs=1e-6)


def test_a_box_covers_one_minus_lambda_where_no_border_cuts_it() -> None:
    """Yun et al. 2019, equation 2: the sides are those of the image times sqrt(1 - lambda)."""
    shares = np.array([1 - cutmix(1.0, 0, step, 2, 256).weight for step in range(1000)])
    # Of lambda uniform on [0, 1], a box about a uniform place keeps E[(r - r^2 / 4)^2] of the area, with r = sqrt(1 - lambda).
    lambdas = (np.arange(10_000) + 0.5) / 10_000
    sides = np.sqrt(1 - lambdas)
    expected = ((sides - sides**2 / 4) ** 2).mean()
    assert shares.mean() == pytest.approx(expected, abs=0.02)


def test_of_two_ways_to_mix_each_step_takes_one() -> None:
    boxes = [Mixture.draw(0.4, 1.0, 0, step, (2, 32, 32), CPU).box is not None for step in range(400)]
    assert 160 < sum(boxes) < 240
