"""A frozen backbone's features are those of the whole images, and leave the backbone as it was."""

import numpy as np
import pytest
import torch

from nevus.data.augment import centre_matrix, warp
from nevus.data.images import pack_side
from nevus.data.manifest import Manifest
from nevus.data.pack import pack_images
from nevus.networks.backbones import create_backbone
from nevus.training.features import frozen_features


def test_features_are_the_networks_of_each_image_alone(phantoms: Manifest) -> None:
    torch.manual_seed(0)
    backbone = create_backbone("resnet10t").train()
    pack = pack_images(phantoms.paths(), pack_side(32)).rows(np.arange(70))
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    pooled, maps = frozen_features(backbone, pack, 32), frozen_features(backbone, pack, 32, maps=True)
    assert pooled.shape == (70, 512)
    assert pooled.dtype == np.float32
    assert maps.shape == (70, 512, 1, 1)
    assert maps.mean(axis=(2, 3)) == pytest.approx(pooled, rel=2e-3, abs=1e-3)
    mean, std = np.array(backbone.mean), np.array(backbone.std)
    for row in (0, 64, 69):
        image = pack.image(row)
        pixels = (warp(image, centre_matrix(image.shape[0], image.shape[1], 32), 32) / 255 - mean) / std
        with torch.no_grad():
            alone = backbone(torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float())
        assert pooled[row] == pytest.approx(alone.mean(dim=(0, 2, 3)).numpy(), abs=1e-4)
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items()), "nothing was trained"
