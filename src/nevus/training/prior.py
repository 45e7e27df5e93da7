"""Which shares of the classes a network's answers belong to: those it was trained on, as sampler and loss weighed them.

A network that was trained at equal shares ranks images for one class worse than it could: among the others the rare ones weigh
too much. One shift of its last layer's biases gives it the shares of the data; what is decided is another question (`decisions`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.recipe import Recipe, TrainingRecipe
from nevus.training.checkpoint import State
from nevus.training.sampler import epoch_counts

BIAS = "head.bias"


def answered_prior(recipe: TrainingRecipe, class_counts: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.float64]:
    """The shares of the classes, (C,), at which softmax of the logits is the probability of each: images times weight.

    Weights that are one over the count, and a prior that was added to the logits while training, both make it equal shares. A
    temperature other than 1 leaves equal shares equal and bends others a little.

    >>> from nevus.recipe import LossRecipe
    >>> counts, classes = np.array([900, 100]), ("benign", "malignant")
    >>> answered_prior(TrainingRecipe(), counts, classes)
    array([0.9, 0.1])
    >>> answered_prior(TrainingRecipe(loss=LossRecipe(kind="logit_adjusted")), counts, classes)
    array([0.5, 0.5])
    """
    loss, shown = recipe.loss, epoch_counts(recipe.sampler, class_counts).astype(np.float64)
    weights = np.ones(len(classes))
    if loss.class_weights:
        weights = np.array([loss.class_weights.get(name, 1.0) for name in classes])
    elif loss.kind in ("class_weighted", "logit_adjusted"):
        weights = 1 / np.maximum(shown, 1)
    elif loss.kind == "multi_weighted":
        weights = np.maximum(shown, 1) ** -loss.weight_power
    elif loss.kind == "focal" and len(classes) == 2:
        positive = loss.alpha if loss.alpha_for == "positive" else 1 - loss.alpha
        weights = np.array([1 - positive, positive])
    prior = shown * weights
    return np.asarray(prior / prior.sum())


def given_prior(recipe: Recipe, class_counts: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.float64]:
    """The shares that a recipe's bundle answers at, (C,): those of its loss, or those of the training images."""
    if recipe.prior == "data":
        counts = np.maximum(class_counts, 1)
        return np.asarray(counts / counts.sum())
    return answered_prior(recipe.training, class_counts, classes)


def at_given_prior(weights: State, recipe: Recipe, class_counts: NDArray[np.int64], classes: Sequence[str]) -> State:
    """Trained weights whose logits answer at the recipe's shares: log of new share over old is added to the last biases.

    Softmax of logits + log(new / old) is Bayes' rule for the same likelihoods (Saerens et al. 2002, equation 4).
    """
    old = answered_prior(recipe.training, class_counts, classes)
    new = given_prior(recipe, class_counts, classes)
    shift = torch.from_numpy(np.log(new) - np.log(old)).to(weights[BIAS].dtype)
    return {**weights, BIAS: weights[BIAS] + shift.to(weights[BIAS].device)}
