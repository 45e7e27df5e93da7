"""CRCKD's terms against loops in NumPy, written from the authors' published code."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from nevus.networks.distillation import RelationDistillation, contrast_loss, divergence
from nevus.recipe import DistillationRecipe

TARGETS = np.array([2, 0, 0, 1, 2, 0, 1, 1, 0, 2, 0, 1])
PLACES = torch.tensor([0, 3, 5, 7])


def distillation(**changes: float) -> RelationDistillation:
    recipe = DistillationRecipe(dimensions=5, num_positives=3, num_negatives=6, temperature=0.5).model_copy(update=changes)
    return RelationDistillation(recipe, 4, 6, TARGETS, num_classes=3, seed=0)


def unit(num: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(num, 5, generator=torch.Generator().manual_seed(seed)), dim=1)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def test_the_contrast_is_the_authors_sum_of_logarithms() -> None:
    near, far, share = np.array([[2.0, 0.5], [1.0, 3.0]]), np.array([[0.1, 0.2, 4.0], [1.0, 0.3, 0.2]]), 3 / 7
    total = 0.0
    for n in range(2):
        total += np.mean([np.log(x / (x + share)) for x in near[n]]) + sum(np.log(share / (x + share)) for x in far[n])
    found = contrast_loss(torch.from_numpy(np.log(near)), torch.from_numpy(np.log(far)), torch.tensor(np.log(share)))
    assert found.item() == pytest.approx(-total / 2)


def test_contrast_with_memories_equals_a_loop() -> None:
    module, student, teacher = distillation(), unit(4, 1), unit(4, 2)
    torch.manual_seed(7)
    positives, negatives = (drawn.numpy() for drawn in module._draw(PLACES))
    torch.manual_seed(7)
    found = module.contrast(student, teacher, PLACES).item()
    total, num_images, share = 0.0, len(TARGETS), 6 / len(TARGETS)
    for anchors, memory in ((student.numpy(), module.teacher.numpy()), (teacher.numpy(), module.student.numpy())):
        near = np.array([[np.exp(anchors[n] @ memory[k] / 0.5) for k in positives[n]] for n in range(4)])
        far = np.array([[np.exp(anchors[n] @ memory[k] / 0.5) for k in negatives[n]] for n in range(4)])
        scale = np.mean(np.concatenate([near, far], axis=1)) * num_images
        near, far = near / scale, far / scale
        for n in range(4):
            total -= np.mean(np.log(near[n] / (near[n] + share))) + np.sum(np.log(share / (far[n] + share)))
    assert found == pytest.approx(total / 4, rel=1e-5)
    # The first batch's normaliser stays.
    scales = module.log_scales.clone()
    module.contrast(unit(4, 3), unit(4, 4), PLACES)
    assert torch.equal(scales, module.log_scales)


def test_relations_are_to_the_centroids_of_what_has_been_seen() -> None:
    module, student, teacher = distillation(), unit(4, 1), unit(4, 2)
    module.seen[[0, 4, 1, 2, 5]] = True  # classes 2, 2, 0, 0, 0; of class 1 nothing
    distributions = []
    for anchors, memory in ((student.numpy(), module.student.numpy()), (teacher.numpy(), module.teacher.numpy())):
        centroids = [memory[[1, 2, 5]].mean(axis=0), memory[[0, 4]].mean(axis=0)]
        cosines = [[anchor @ c / np.linalg.norm(c) for c in centroids] for anchor in anchors]
        distributions.append([softmax(np.array(row) / 0.5) for row in cosines])
    expected = np.mean([np.sum(t * np.log(t / s)) for s, t in zip(*distributions, strict=True)])
    assert expected > 0.01
    assert module.relation(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_divergence_of_predictions() -> None:
    student, teacher = np.array([[1.0, 0.0, -1.0], [0.2, 0.1, 3.0]]), np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
    expected = np.mean([np.sum(softmax(t) * np.log(softmax(t) / softmax(s))) for s, t in zip(student, teacher, strict=True)])
    assert divergence(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected)


def test_positives_are_of_the_class_and_negatives_of_all_others() -> None:
    module = distillation(num_positives=200, num_negatives=400)
    positives, negatives = module._draw(PLACES)
    assert torch.equal(positives[:, 0], PLACES)
    for n, place in enumerate(PLACES.tolist()):
        same = TARGETS[place] == TARGETS
        assert set(positives[n].tolist()) == set(np.flatnonzero(same))
        assert set(negatives[n].tolist()) == set(np.flatnonzero(~same))


def test_the_memory_moves_half_way_and_stays_on_the_sphere() -> None:
    module, student, teacher = distillation(), unit(4, 1), unit(4, 2)
    before = module.student.clone().numpy()
    module._remember(student, teacher, PLACES)
    for n, place in enumerate(PLACES.tolist()):
        expected = 0.5 * before[place] + 0.5 * student[n].numpy()
        assert np.allclose(module.student[place].numpy(), expected / np.linalg.norm(expected), atol=1e-6)
        assert module.seen[place]
    others = np.setdiff1d(np.arange(12), PLACES)
    assert np.array_equal(module.student.numpy()[others], before[others])
    assert module.seen.sum() == 4


def test_terms_are_weighted_and_the_late_ones_wait() -> None:
    features = torch.randn(4, 4), torch.randn(4, 6), torch.randn(4, 3), torch.randn(4, 3)

    def loss(late: bool, **weights: float) -> float:
        module = distillation(**{"contrast": 0.0, "relation": 0.0, "prediction": 0.0, **weights})
        torch.manual_seed(3)
        return float(module(*features, PLACES, late=late).item())

    assert loss(False, relation=1.0, prediction=1.0) == 0
    alone = [loss(True, **{name: 1.0}) for name in ("contrast", "relation", "prediction")]
    assert min(alone) > 0
    whole = loss(True, contrast=0.1, relation=2.0, prediction=3.0)
    assert whole == pytest.approx(0.1 * alone[0] + 2 * alone[1] + 3 * alone[2], rel=1e-5)
    assert loss(False, contrast=1.0, relation=1.0) == pytest.approx(alone[0])


def test_no_gradient_reaches_the_teachers_features_or_the_memories() -> None:
    module = distillation()
    student, teacher = torch.randn(4, 4, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    answers = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    module(student, teacher, *answers, PLACES, late=True).backward()
    assert student.grad is not None
    assert student.grad.abs().max() > 0
    assert answers[0].grad is not None
    assert teacher.grad is None
    assert answers[1].grad is None
    for embed in (module.embed_student, module.embed_teacher):
        assert embed.weight.grad is not None
        assert embed.weight.grad.abs().max() > 0
    assert not any(buffer.requires_grad for buffer in module.buffers())
