"""One thread and one seed for every test of a network; timm can be imported once backbones has mended torchvision."""

import pytest
import torch

import nevus.networks.backbones  # noqa: F401


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
