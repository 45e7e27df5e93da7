"""What a frozen backbone sees of every image: pooled features, or feature maps for heads that need places."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.data.looks import Look
from nevus.data.metadata import MetadataEncoder
from nevus.data.pack import Pack
from nevus.networks.backbones import Backbone
from nevus.training.loader import Examples, evaluation_batches, normalise

_BATCH_SIZE = 64


@torch.no_grad()
def frozen_features(
    backbone: Backbone, pack: Pack, size: int, *, maps: bool = False, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.floating]:
    """A backbone's answer to every image of a pack: the whole image, as validation and testing see it, nothing trained.

    Parameters
    ----------
    backbone
        Put into evaluation mode: batch norm's statistics are those of its weights.
    pack
        N images.
    size
        Side of the network's square input, pixels.
    maps
        The feature maps, float16 (N, C, h, w), instead of their means over h and w, float32 (N, C).
    progress
        Called with (done, all).

    Examples
    --------
    >>> frozen_features(create_backbone("resnet10t"), pack, 64).shape  # doctest: +SKIP
    (240, 512)
    """
    backbone.eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (backbone.mean, backbone.std))
    rows = np.arange(len(pack))
    encoder = MetadataEncoder(())
    examples = Examples(pack, np.zeros(len(pack), np.int64), encoder, *encoder.encode({}, len(pack)))
    channels, height, width = backbone.map_shape(size)
    shape = (len(pack), channels, height, width) if maps else (len(pack), channels)
    features = np.empty(shape, np.float16 if maps else np.float32)
    done = 0
    for batch in evaluation_batches(examples, rows, Look(size), _BATCH_SIZE):
        seen = backbone(normalise(batch.images, mean, std))
        part = seen if maps else seen.mean(dim=(2, 3))
        features[done : done + len(part)] = part.numpy()
        done += len(part)
        if progress:
            progress(done, len(pack))
    return features
