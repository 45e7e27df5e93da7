import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nevus.errors import RecipeError
from nevus.networks.losses import class_weights, create_loss
from nevus.recipe import LossRecipe

HAM10000 = np.array([327, 514, 1099, 115, 1113, 6705, 142])


def examples(num_classes: int, num: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    return 3 * torch.randn(num, num_classes, dtype=torch.float64), torch.arange(num) % num_classes


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def by_hand(recipe: LossRecipe, logits: NDArray[np.float64], targets: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    total = 0.0
    for row, target in zip(logits, targets, strict=True):
        if recipe.kind == "logit_adjusted":
            row = row + np.log(counts / counts.sum())
        probabilities = softmax(row[None])[0]
        p = probabilities[target]
        weight = 1.0
        if recipe.kind == "class_weighted":
            weight = counts.sum() / (len(counts) * counts[target])
        if recipe.kind == "focal":
            weight = (1 - p) ** recipe.gamma
            if len(counts) == 2:
                weight *= recipe.alpha if (target == 1) == (recipe.alpha_for == "positive") else 1 - recipe.alpha
        smoothed = np.full(len(counts), recipe.label_smoothing / len(counts))
        smoothed[target] += 1 - recipe.label_smoothing
        total -= weight * (smoothed @ np.log(probabilities))
    return total / len(targets)


RECIPES = [
    LossRecipe(kind="cross_entropy"),
    LossRecipe(kind="class_weighted"),
    LossRecipe(kind="logit_adjusted"),
    LossRecipe(kind="focal"),
    LossRecipe(kind="focal", alpha_for="negative"),
    LossRecipe(kind="focal", alpha=0.6, gamma=0.5),
    LossRecipe(kind="focal", gamma=0),
    LossRecipe(kind="cross_entropy", label_smoothing=0.1),
    LossRecipe(kind="class_weighted", label_smoothing=0.1),
    LossRecipe(kind="logit_adjusted", label_smoothing=0.3),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
@pytest.mark.parametrize("counts", [HAM10000, np.array([900, 100])], ids=["seven", "two"])
def test_loss_and_its_gradient(recipe: LossRecipe, counts: NDArray[np.int64]) -> None:
    logits, targets = examples(len(counts))
    loss = create_loss(recipe, counts)
    assert loss(logits, targets).item() == pytest.approx(by_hand(recipe, logits.numpy(), targets.numpy(), counts), rel=1e-9)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits.requires_grad_())


def test_class_weights_are_the_2022_papers() -> None:
    np.testing.assert_allclose(class_weights(HAM10000).numpy(), [4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10], rtol=0.02)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=9))
def test_weighted_counts_are_equal_and_sum_to_all(counts: list[int]) -> None:
    weighted = class_weights(np.array(counts)).numpy() * counts
    np.testing.assert_allclose(weighted, sum(counts) / len(counts))


@pytest.mark.parametrize("alpha_for", ["positive", "negative"])
def test_focal_on_two_logits_is_the_sigmoid_focal_loss(alpha_for: str) -> None:
    from torchvision.ops import sigmoid_focal_loss

    logits, targets = examples(2)
    alpha = 0.25 if alpha_for == "positive" else 0.75
    expected = sigmoid_focal_loss(logits[:, 1] - logits[:, 0], targets.double(), alpha=alpha, gamma=2, reduction="mean")
    found = create_loss(LossRecipe(kind="focal", alpha_for=alpha_for), np.array([9, 1]))(logits, targets)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)


def test_logit_adjusted_makes_the_prior_the_answer_of_equal_logits() -> None:
    loss = create_loss(LossRecipe(kind="logit_adjusted"), np.array([30, 10]))
    assert loss(torch.zeros(1, 2), torch.tensor([1])).item() == pytest.approx(-np.log(0.25))


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.5, 2.0])
@pytest.mark.parametrize("target", [0, 1])
def test_focal_stays_finite_where_the_network_is_certain(gamma: float, target: int) -> None:
    logits = torch.tensor([[80.0, -80.0]], requires_grad=True)
    loss = create_loss(LossRecipe(kind="focal", gamma=gamma), np.array([1, 1]))(logits, torch.tensor([target]))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert loss.item() == pytest.approx(0.0 if target == 0 else 0.25 * 160)


@pytest.mark.parametrize("kind", ["class_weighted", "logit_adjusted"])
def test_empty_classes_are_named(kind: str) -> None:
    with pytest.raises(RecipeError, match=r"(?s)class 1\n.*class 3\n.*fewer folds"):
        create_loss(LossRecipe(kind=kind), np.array([3, 0, 5, 0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["cross_entropy", "focal"])
def test_empty_classes_matter_only_where_counts_do(kind: str) -> None:
    loss = create_loss(LossRecipe(kind=kind), np.array([3, 0, 5]))  # type: ignore[arg-type]
    assert torch.isfinite(loss(torch.zeros(2, 3), torch.tensor([0, 2])))


def test_focal_loss_has_no_label_smoothing() -> None:
    with pytest.raises(RecipeError, match="focal loss has none"):
        create_loss(LossRecipe(kind="focal", label_smoothing=0.1), HAM10000)


CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_weights_given_by_hand_are_of_the_classes_named_and_the_others_have_1() -> None:
    logits, targets = examples(7)
    loss = create_loss(LossRecipe(kind="class_weighted", class_weights={"mel": 5.0}), HAM10000, CLASSES)
    expected = np.mean(
        [-(5 if t == 4 else 1) * np.log(softmax(row[None])[0][t]) for row, t in zip(logits.numpy(), targets, strict=True)]
    )
    assert loss(logits, targets).item() == pytest.approx(expected)


def test_the_notebooks_hard_coded_weights_are_those_of_all_10015_images_rounded() -> None:
    """Soft attention + metadata, the author's notebooks: N / (C · N_c) with the test images counted too."""
    by_name = dict(zip(CLASSES, (4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10.0), strict=True))
    assert class_weights(HAM10000).tolist() == pytest.approx(list(by_name.values()), rel=0.02)
    logits, targets = examples(7, 70)
    by_hand, counted = (
        create_loss(LossRecipe(kind="class_weighted", class_weights=weights), HAM10000, CLASSES) for weights in (by_name, {})
    )
    assert by_hand(logits, targets).item() == pytest.approx(counted(logits, targets).item(), rel=0.02)


def test_weights_by_hand_for_another_loss_or_class_are_refused() -> None:
    with pytest.raises(RecipeError, match='class_weights: the kind "focal" has no place'):
        create_loss(LossRecipe(kind="focal", class_weights={"mel": 5}), HAM10000, CLASSES)
    with pytest.raises(RecipeError, match="melanoma: no class here; there are akiec, bcc"):
        create_loss(LossRecipe(kind="class_weighted", class_weights={"melanoma": 5}), HAM10000, CLASSES)
