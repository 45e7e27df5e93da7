"""The field's own ways from a JPEG to augmented training pixels: the same geometry, by worker processes."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

import nevus.networks.backbones  # noqa: F401  it mends torchvision where its compiled operators cannot load

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for its newest version
import albumentations
from torchvision.transforms import v2

SIZE, WORKERS, BATCH_SIZE = 224, 2, 32


class Files(torch.utils.data.Dataset[torch.Tensor]):
    """Image files through `read`, which gives uint8 pixels."""

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], torch.Tensor]) -> None:
        self._paths = paths
        self._read = read

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self._read(self._paths[index])


class CentralCrop(torch.nn.Module):
    """Keep a central part of random size, as torchvision has no transform for."""

    def forward(self, image: Image.Image) -> Image.Image:
        """PIL image to PIL image."""
        share = 0.8 + 0.2 * float(torch.rand(()))
        cropped: Image.Image = v2.functional.center_crop(image, [round(image.height * share), round(image.width * share)])
        return cropped


_TORCHVISION = v2.Compose(
    [
        v2.RandomRotation(30, interpolation=v2.InterpolationMode.BILINEAR),
        CentralCrop(),
        v2.RandomHorizontalFlip(),
        v2.Resize((SIZE, SIZE)),
        v2.PILToTensor(),
    ]
)
_GEOMETRY: list[Any] = [
    albumentations.Rotate(limit=30, border_mode=cv2.BORDER_REFLECT_101, p=1),
    albumentations.Affine(scale=(1.0, 1.25), border_mode=cv2.BORDER_REFLECT_101, p=1),
    albumentations.HorizontalFlip(p=0.5),
]
_RESIZE = albumentations.Resize(SIZE, SIZE, interpolation=cv2.INTER_AREA)
_ALBUMENTATIONS = albumentations.Compose([*_GEOMETRY, _RESIZE])
_RESIZED_FIRST = albumentations.Compose([_RESIZE, *_GEOMETRY])


def read_torchvision(path: Path) -> torch.Tensor:
    pixels: torch.Tensor = _TORCHVISION(Image.open(path).convert("RGB"))
    return pixels


def read_albumentations(path: Path) -> torch.Tensor:
    return torch.from_numpy(_ALBUMENTATIONS(image=_opencv(path))["image"])


def read_albumentations_resized_first(path: Path) -> torch.Tensor:
    return torch.from_numpy(_RESIZED_FIRST(image=_opencv(path))["image"])


def _opencv(path: Path) -> np.ndarray[Any, Any]:
    image = cv2.imread(str(path))
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


PEERS: dict[str, Callable[[Path], torch.Tensor]] = {
    "Pillow + torchvision v2": read_torchvision,
    "OpenCV + albumentations 2.0.8": read_albumentations,
    "OpenCV + albumentations 2.0.8, resized first": read_albumentations_resized_first,
}


def loader(paths: Sequence[Path], read: Callable[[Path], torch.Tensor]) -> "torch.utils.data.DataLoader[torch.Tensor]":
    """PyTorch's own loader with two workers that stay."""
    return torch.utils.data.DataLoader(
        Files(paths, read),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=True,
        worker_init_fn=_one_thread,
    )


def _one_thread(worker: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
