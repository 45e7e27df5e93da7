"""What a trained network answers, computed apart from what is exported: numpy before and behind it, torch for its layers alone.

An exported file is compared with this, from pixels to probabilities; the two share the network's weights and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.data.images import Pixels
from nevus.data.looks import looks_of
from nevus.data.metadata import Columns, MetadataEncoder
from nevus.data.resample import stretch
from nevus.data.views import VIEWS, seen
from nevus.networks.classifier import LesionClassifier
from nevus.predictor import softmax


@torch.no_grad()
def reference_outputs(
    network: LesionClassifier,
    encoder: MetadataEncoder,
    preprocessing: Mapping[str, Any],
    temperature: float,
    images: Sequence[Pixels] | Pixels,
    columns: Columns,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Probabilities (N, classes) and features (N, F) of photos, uint8 RGB of any sizes, with `columns` as `encode` takes them."""
    network.eval()
    metadata, missing = encoder.encode(columns, len(images))
    given = torch.from_numpy(metadata), torch.from_numpy(~missing.all(axis=1))
    mean, std = np.array(network.mean, np.float32), np.array(network.std, np.float32)
    logits, features = [], []
    for look in looks_of(preprocessing):
        batch = np.stack([(stretch(image, *look) / 255 - mean) / std for image in images]).astype(np.float32)
        views = [_tensor(seen(batch, view)) for view in VIEWS[: preprocessing["views"]]]
        logits += [network(view, *given).numpy() for view in views]
        features.append(network.image_features(_tensor(batch)).numpy())
    return softmax(np.mean(logits, axis=0), temperature), np.mean(features, axis=0)


def _tensor(batch: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
