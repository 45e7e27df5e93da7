"""The moving average of the weights, and the figures on the validation rows that choose the epoch."""

from collections.abc import Sequence

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.func import functional_call

from nevus.data.looks import Look
from nevus.data.views import VIEWS
from nevus.metrics.classification import accuracy, balanced_accuracy, confusion_matrix, macro_auc, roc_auc
from nevus.networks.classifier import LesionClassifier
from nevus.networks.losses import Loss
from nevus.training.checkpoint import State
from nevus.training.loader import Examples, Rows, evaluation_batches, normalise

_BATCH_SIZE = 64


@torch.no_grad()
def update_average(average: State, network: LesionClassifier, decay: float, step: int) -> None:
    """Move the average towards the weights; young averages move faster, by (1 + step) / (10 + step) at most."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, weight)
        else:
            average[name].copy_(tensor)


@torch.no_grad()
def predict_logits(
    network: LesionClassifier,
    weights: State,
    examples: Examples,
    rows: Rows,
    looks: Sequence[Look],
    views: int = 1,
) -> torch.Tensor:
    """Logits (N, num_classes) on the CPU, float32, of images in the order of `rows`: the mean over `looks` and `views`."""
    if len(looks) > 1:
        each = [predict_logits(network, weights, examples, rows, [look], views) for look in looks]
        return torch.stack(each).mean(dim=0)
    network.eval()
    device = next(network.parameters()).device
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (network.mean, network.std))
    logits = []
    for batch in evaluation_batches(examples, rows, looks[0], _BATCH_SIZE):
        batch = batch.to(device)
        turned = [batch.images.transpose(1, 2) if view.transposed else batch.images for view in VIEWS[:views]]
        images = [normalise(image.flip(view.axes), mean, std) for image, view in zip(turned, VIEWS, strict=False)]
        each = [functional_call(network, weights, (view, batch.metadata, batch.present)).float() for view in images]
        logits.append(torch.stack(each).mean(dim=0).cpu())
    return torch.cat(logits)


def predict_dealt_logits(
    network: LesionClassifier, weights: State, examples: Examples, rows: Rows, size: int, rank: int, num_processes: int
) -> torch.Tensor:
    """`predict_logits` in every process, of batches dealt out to all of them: each is a batch that one process would make."""
    batches = [np.arange(start, min(start + _BATCH_SIZE, len(rows))) for start in range(0, len(rows), _BATCH_SIZE)]
    hands = [np.concatenate([np.arange(0), *batches[process::num_processes]]) for process in range(num_processes)]
    mine = [predict_logits(network, weights, examples, rows[hands[rank]], [Look(size)])] if len(hands[rank]) else []
    logits = torch.cat(gather_object(mine) if num_processes > 1 else mine)
    return logits[np.argsort(np.concatenate(hands))]


def validate(
    network: LesionClassifier,
    weights: State,
    examples: Examples,
    rows: Rows,
    size: int,
    loss: Loss,
    rank: int = 0,
    num_processes: int = 1,
) -> dict[str, float]:
    """Loss, AUC (one-vs-rest macro beyond two classes), balanced accuracy and accuracy at the largest probability."""
    logits = predict_dealt_logits(network, weights, examples, rows, size, rank, num_processes)
    targets = examples.targets[rows]
    probabilities = torch.softmax(logits.double(), dim=1).numpy()
    decisions = probabilities.argmax(axis=1)
    binary = network.num_classes == 2
    confusion = confusion_matrix(targets, decisions, network.num_classes)
    return {
        "loss": float(loss(logits, torch.from_numpy(targets))),
        "auc": float(roc_auc(targets == 1, probabilities[:, 1]) if binary else macro_auc(targets, probabilities)),
        "balanced_accuracy": float(balanced_accuracy(confusion)),
        "accuracy": float(accuracy(confusion)),
    }
