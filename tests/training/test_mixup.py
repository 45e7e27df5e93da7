"""mixup against a plain loop over the batch, its draws against their distribution, and no mixing unless asked for."""

import pytest
import scipy.stats
import torch
from torch.nn.functional import cross_entropy

from nevus.training.mixup import Mixture

CPU = torch.device("cpu")


def test_a_batch_and_its_answers_are_mixed_in_one_proportion() -> None:
    torch.manual_seed(0)
    mixture = Mixture.draw(0.4, 0, 3, 6, CPU)
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
    mixture, logits, targets = Mixture.draw(1.0, 0, 0, 5, CPU), torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 3])
    mixed = mixture.blend(torch.nn.functional.one_hot(targets, 4).float())
    torch.testing.assert_close(
        mixture.loss(lambda answers: cross_entropy(logits, answers), targets), cross_entropy(logits, mixed)
    )


def test_a_pair_has_metadata_where_one_of_it_has() -> None:
    mixture = Mixture(0.5, torch.tensor([1, 0, 3, 2]))
    assert mixture.either(torch.tensor([True, False, False, False])).tolist() == [True, True, False, False]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_proportions_are_of_the_beta_distribution(alpha: float) -> None:
    weights = [Mixture.draw(alpha, 1, step, 2, CPU).weight for step in range(1000)]
    assert scipy.stats.kstest(weights, scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_a_step_is_mixed_alike_whenever_it_is_done_and_unlike_another() -> None:
    first, again, later, other = (Mixture.draw(0.4, seed, step, 32, CPU) for seed, step in ((0, 5), (0, 5), (0, 6), (1, 5)))
    assert first.partners is not None
    assert again.partners is not None
    assert first.weight == again.weight
    assert torch.equal(first.partners, again.partners)
    assert len({first.weight, later.weight, other.weight}) == 3
    assert sorted(first.partners.tolist()) == list(range(32))
    assert later.partners is not None
    assert not torch.equal(first.partners, later.partners)


def test_without_alpha_nothing_is_touched() -> None:
    mixture = Mixture.draw(0.0, 0, 5, 4, CPU)
    images, present, targets = torch.randn(4, 3), torch.tensor([True, False, True, False]), torch.arange(4)
    assert mixture.blend(images) is images
    assert mixture.either(present) is present
    assert mixture.loss(lambda answers: answers.sum(), targets).item() == 6


def test_images_stay_channels_last() -> None:
    images = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
    assert Mixture.draw(1.0, 0, 0, 4, CPU).blend(images).is_contiguous(memory_format=torch.channels_last)
