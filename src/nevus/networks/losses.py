"""Losses on logits (N, C), float32, with targets int64 (N,)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, log_softmax

from nevus.errors import RecipeError, listed
from nevus.recipe import LossRecipe

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def create_loss(recipe: LossRecipe, class_counts: NDArray[np.int64], classes: Sequence[str] = ()) -> Loss:
    """The recipe's loss, its weights taken from the class counts (C,) of the training rows; class 1 of two is the positive.

    `classes` are the names (C,) that weights given by hand go by.

    Raises
    ------
    RecipeError
        A class has no training image and the loss divides by its count, the loss has no place for label smoothing or for weights
        given by hand, or these name a class that there is not.

    Examples
    --------
    >>> loss = create_loss(LossRecipe(kind="class_weighted"), np.array([30, 10]))
    >>> round(loss(torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])).item(), 4)
    0.6931
    """
    if recipe.class_weights:
        return _weighted(recipe, _weights_by_hand(recipe, classes))
    return LOSSES[recipe.kind](recipe, class_counts)


def class_weights(class_counts: NDArray[np.int64]) -> torch.Tensor:
    """W_c = N / (C · N_c) (Do 2022, section 5.1): the weighted counts are equal and their mean weight over images is 1."""
    if not class_counts.all():
        empty = [f"class {index}" for index in np.flatnonzero(class_counts == 0)]
        remedy = 'Use fewer folds, leave the class out, or choose training.loss.kind = "cross_entropy".'
        raise RecipeError(listed("no training image, so no weight in the loss:", empty, remedy=remedy))
    return torch.from_numpy(class_counts.sum() / (len(class_counts) * class_counts))


def _weights_by_hand(recipe: LossRecipe, classes: Sequence[str]) -> torch.Tensor:
    if recipe.kind != "class_weighted":
        remedy = 'Leave them out, or choose training.loss.kind = "class_weighted".'
        raise RecipeError(f'training.loss.class_weights: the kind "{recipe.kind}" has no place for them. {remedy}')
    if unknown := [
        f"{name}: no class here; there are {', '.join(classes)}" for name in recipe.class_weights if name not in classes
    ]:
        raise RecipeError(listed("training.loss.class_weights:", unknown))
    return torch.tensor([recipe.class_weights.get(name, 1.0) for name in classes], dtype=torch.float64)


def _cross_entropy(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """−Σ_c q_c log p_c with q = (1 − ε) of the target + ε / C of every class (Szegedy et al. 2016, section 7)."""
    return partial(cross_entropy, label_smoothing=recipe.label_smoothing)


def _class_weighted(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    return _weighted(recipe, class_weights(class_counts))


def _weighted(recipe: LossRecipe, weights: torch.Tensor) -> Loss:
    """−1/N Σ W_y log p_y: divided by the number of images, as the paper writes it and Keras does, not by their weights' sum."""
    entropy = partial(cross_entropy, reduction="none", label_smoothing=recipe.label_smoothing)

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (weights.to(logits)[targets] * entropy(logits, targets)).mean()

    return loss


def _logit_adjusted(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """Cross-entropy of logits + log prior (Menon et al. 2021, equation 10, τ = 1): the logits then answer at equal priors."""
    class_weights(class_counts)
    log_prior = torch.from_numpy(np.log(class_counts / class_counts.sum()))

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits + log_prior.to(logits), targets, label_smoothing=recipe.label_smoothing)

    return loss


def _focal(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """−α_t (1 − p_t)^γ log p_t (Lin et al. 2017, equation 5), p_t the true class's probability.

    With two classes this is the paper's loss on the sigmoid of the logits' difference; `alpha_for` names the class that α is
    for, and the other gets 1 − α. Lin et al. give α to the positives, which with α = 0.25 weighs melanoma down. With more
    classes p is the softmax and there is no α.
    """
    if recipe.label_smoothing:
        raise RecipeError(
            "training.loss.label_smoothing: focal loss has none. Leave it out, or choose another training.loss.kind."
        )
    positive = recipe.alpha if recipe.alpha_for == "positive" else 1 - recipe.alpha
    alphas = torch.tensor([1 - positive, positive] if len(class_counts) == 2 else [1.0] * len(class_counts), dtype=torch.float64)

    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        log_p = log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
        # Where p rounds to 1, a power below 1 has an infinite slope, and infinity times a slope of 0 is not a number.
        doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        return (-alphas.to(logits)[targets] * doubt**recipe.gamma * log_p).mean()

    return loss


LOSSES: dict[str, Callable[[LossRecipe, NDArray[np.int64]], Loss]] = {
    "cross_entropy": _cross_entropy,
    "class_weighted": _class_weighted,
    "logit_adjusted": _logit_adjusted,
    "focal": _focal,
}
