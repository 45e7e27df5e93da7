"""Losses on logits (N, C), float32, with targets int64 (N,), each the mean over the images."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, log_softmax, logsigmoid, one_hot

from nevus.errors import RecipeError, listed
from nevus.recipe import LossRecipe


class Loss(Protocol):
    """A loss of logits (N, C) and targets (N,), which may depend on the share of training that is done, 0 to 1.

    Without a share it is the loss at the end of training: validation losses of different epochs can then be compared.
    """

    def __call__(self, logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        """The mean over the images, a scalar."""


def create_loss(recipe: LossRecipe, class_counts: NDArray[np.int64], classes: Sequence[str] = ()) -> Loss:
    """The recipe's loss, its weights taken from the class counts (C,) of the training rows; class 1 of two is the positive.

    `classes` are the names (C,) that weights given by hand go by.

    Raises
    ------
    RecipeError
        A class has no training image and the loss divides by its count; the loss has no place for label smoothing, for cumulative
        learning or for weights given by hand; or these name a class that there is not.

    Examples
    --------
    >>> loss = create_loss(LossRecipe(kind="class_weighted"), np.array([30, 10]))
    >>> round(loss(torch.zeros(4, 2), torch.tensor([0, 0, 0, 1])).item(), 4)
    0.6931
    """
    if recipe.cumulative and recipe.kind != "multi_weighted":
        remedy = 'Leave it out, or choose training.loss.kind = "multi_weighted".'
        raise RecipeError(f"training.loss.cumulative: the loss {recipe.kind} has no weights that grow. {remedy}")
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

    def loss(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        return cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)

    return loss


def _class_weighted(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    return _weighted(recipe, class_weights(class_counts))


def _weighted(recipe: LossRecipe, weights: torch.Tensor) -> Loss:
    """−1/N Σ W_y log p_y: divided by the number of images, as the paper writes it and Keras does, not by their weights' sum."""
    entropy = partial(cross_entropy, reduction="none", label_smoothing=recipe.label_smoothing)

    def loss(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        return (weights.to(logits)[targets] * entropy(logits, targets)).mean()

    return loss


def _logit_adjusted(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """Cross-entropy of logits + log prior (Menon et al. 2021, equation 10, τ = 1): the logits then answer at equal priors."""
    class_weights(class_counts)
    log_prior = torch.from_numpy(np.log(class_counts / class_counts.sum()))

    def loss(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        return cross_entropy(logits + log_prior.to(logits), targets, label_smoothing=recipe.label_smoothing)

    return loss


def _focal(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """−α_t (1 − p_t)^γ log p_t (Lin et al. 2017, equation 5), p_t the true class's probability.

    With two classes this is the paper's loss on the sigmoid of the logits' difference; `alpha_for` names the class that α is
    for, and the other gets 1 − α. Lin et al. give α to the positives, which with α = 0.25 weighs melanoma down. With more
    classes p is the softmax and there is no α.
    """
    _refuse_smoothing(recipe, "focal loss")
    positive = recipe.alpha if recipe.alpha_for == "positive" else 1 - recipe.alpha
    alphas = torch.tensor([1 - positive, positive] if len(class_counts) == 2 else [1.0] * len(class_counts), dtype=torch.float64)

    def loss(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        log_p = log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
        # Where p rounds to 1, a power below 1 has an infinite slope, and infinity times a slope of 0 is not a number.
        doubt = (-torch.expm1(log_p)).clamp_min(torch.finfo(logits.dtype).tiny)
        return (-alphas.to(logits)[targets] * doubt**recipe.gamma * log_p).mean()

    return loss


def _multi_weighted(recipe: LossRecipe, class_counts: NDArray[np.int64]) -> Loss:
    """w_y Σ_c (1 − p_c)^γ L(p_c), p_c the sigmoid's probability of what is true of class c (Yao et al. 2021: MWNL).

    w_y is (1 / N_y)^α, scaled to a mean of 1 over the classes, and L is −log p down to p = β, below which an image counts as
    abnormal. Under cumulative learning α grows from 0 as the square of the share between the recipe's two. This is the authors'
    published code but for the scale, which Adam does not see (it has the mean over classes, times 30), and for α, which grows by
    step here and by epoch there. Their extra factor of a class is 1 in all their recipes, and is left out.
    """
    _refuse_smoothing(recipe, "the multi-weighted loss")
    class_weights(class_counts)
    log_rarity = torch.from_numpy(np.log(class_counts.min() / class_counts))
    beta, beyond = recipe.abnormal_below, ABNORMAL[recipe.abnormal]

    def loss(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        weights = (weight_power(recipe, share) * log_rarity).softmax(dim=0) * len(class_counts)
        truth = one_hot(targets, len(class_counts))
        margins = torch.where(truth > 0, logits, -logits)
        each = -logsigmoid(margins)
        if beta:
            each = torch.where(each > -math.log(beta), beyond(each, beta), each)
        # (1 − p)^γ by its logarithm: as exact where p is nearly 1, and finite everywhere.
        focus = torch.exp(recipe.gamma * logsigmoid(-margins))
        return (weights.to(logits)[targets] * (focus * each).sum(dim=1)).mean()

    return loss


def weight_power(recipe: LossRecipe, share: float) -> float:
    """α of the class weights when `share` of training is done: it grows, squared, from 0 at the first share to all at the last.

    >>> [weight_power(LossRecipe(weight_power=1.2, cumulative=(0.25, 0.75)), share) for share in (0.2, 0.5, 0.8)]
    [0.0, 0.3, 1.2]
    """
    if recipe.cumulative is None:
        return recipe.weight_power
    first, last = recipe.cumulative
    if share >= last:
        return recipe.weight_power
    return recipe.weight_power * ((share - first) / (last - first)) ** 2 if share > first else 0.0


def _refuse_smoothing(recipe: LossRecipe, name: str) -> None:
    if recipe.label_smoothing:
        raise RecipeError(f"training.loss.label_smoothing: {name} has none. Leave it out, or choose another training.loss.kind.")


# L(p) where p lies below β, from −log p: no more than at β, nothing, or falling to nothing.
ABNORMAL: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "constant": lambda each, beta: torch.full_like(each, -math.log(beta)),
    "zero": lambda each, beta: torch.zeros_like(each),
    "decreasing": lambda each, beta: torch.exp(-each) * (-math.log(beta) / beta),
}
LOSSES: dict[str, Callable[[LossRecipe, NDArray[np.int64]], Loss]] = {
    "cross_entropy": _cross_entropy,
    "class_weighted": _class_weighted,
    "logit_adjusted": _logit_adjusted,
    "focal": _focal,
    "multi_weighted": _multi_weighted,
}
