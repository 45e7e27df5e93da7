"""What a graph gives for a batch of images, and what is made of it before a decision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outputs:
    """What the graph gives: logits (N, num_classes), of all views; features (N, F) of the images as they are.

    `blank`, bool (N,), says which images are almost of one colour.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    blank: NDArray[np.bool_]


def joined(parts: Sequence[Outputs], num_classes: int) -> Outputs:
    """The outputs of several batches as those of one."""
    if not parts:
        return Outputs(np.zeros((0, num_classes), np.float32), np.zeros((0, 0), np.float32), np.zeros(0, np.bool_))
    logits, features = (np.concatenate([getattr(part, name) for part in parts]) for name in ("logits", "features"))
    return Outputs(logits, features, np.concatenate([part.blank for part in parts]))


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Softmax of logits / temperature over the last axis, in float64.

    >>> softmax(np.array([[0.0, 0.0]], np.float32), 1.0)
    array([[0.5, 0.5]])
    """
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))
