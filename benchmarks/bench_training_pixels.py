"""Claim: augmented training pixels at 224 come from the pack ten times as fast as from JPEGs by Pillow and torchvision's chain.

Both rotate by ±30°, crop the middle 0.8 to 1, mirror and resize, on two threads, from 600×450 images.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nevus.networks.backbones  # noqa: F401  it mends torchvision where its compiled operators cannot load
from nevus.data.augment import augment
from nevus.data.images import pack_side
from nevus.data.pack import pack_images
from nevus.data.phantom import paint
from nevus.recipe import AugmentRecipe
from result import conclude, rates

from torchvision.transforms import v2  # isort: skip

NUM_IMAGES, SIZE, THREADS = 96, 224, 2


class CentralCrop(torch.nn.Module):
    """Keep a central part of random size, as torchvision has no transform for."""

    def forward(self, image: Image.Image) -> Image.Image:
        """PIL image to PIL image."""
        share = 0.8 + 0.2 * float(torch.rand(()))
        size = [round(image.height * share), round(image.width * share)]
        cropped: Image.Image = v2.functional.center_crop(image, size)
        return cropped


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as pool:
        paths = [Path(folder) / f"{number}.jpg" for number in range(NUM_IMAGES)]
        for number, path in enumerate(paths):
            Image.fromarray(paint("mel", number, 0, (450, 600))).save(path, quality=90)
        pack = pack_images(paths, pack_side(SIZE), Path(folder) / "packs")
        chain = v2.Compose(
            [
                v2.RandomRotation(30, interpolation=v2.InterpolationMode.BILINEAR),
                CentralCrop(),
                v2.RandomHorizontalFlip(),
                v2.Resize((SIZE, SIZE)),
                v2.PILToTensor(),
            ]
        )

        def theirs() -> None:
            list(pool.map(lambda path: chain(Image.open(path).convert("RGB")), paths))

        def ours() -> None:
            list(
                pool.map(lambda k: augment(pack.image(k), AugmentRecipe(), np.random.default_rng([0, k]), SIZE), range(len(pack)))
            )

        measured = rates({"pack, one warp": (NUM_IMAGES, ours), "Pillow + torchvision v2 from JPEG": (NUM_IMAGES, theirs)})
    conclude(
        "training_pixels",
        measured,
        ours="pack, one warp",
        peer="Pillow + torchvision v2 from JPEG",
        bar=10.0,
        unit="images/s",
    )


if __name__ == "__main__":
    main()
