"""Where the time of an image goes, stage by stage, on one thread: packing it once, and then every epoch. No claim, a table."""

import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch

from nevus.data.augment import apply, draw, plan
from nevus.data.images import load_image, pack_side, shrink
from nevus.data.pack import pack_images
from nevus.networks.classifier import LesionClassifier
from nevus.networks.losses import create_loss
from nevus.recipe import AugmentRecipe, LossRecipe, ModelRecipe
from nevus.training.hardware import keep_memory
from nevus.training.loader import normalise
from photographs import write_jpegs
from result import show

NUM_IMAGES, SIZE, BATCH_SIZE, ROUNDS = 64, 224, 32, 7


def microseconds(stages: dict[str, Callable[[], object]], num_images: int) -> dict[str, float]:
    """Median time an image of each stage; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(ROUNDS):
        for name, stage in stages.items():
            started = time.perf_counter()
            stage()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1e6 * statistics.median(values) / num_images for name, values in seconds.items()}


def main() -> None:
    keep_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "sink").open("w+b", buffering=0) as sink:
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES)
        contents = [path.read_bytes() for path in paths]
        images = [simplejpeg.decode_jpeg(content) for content in contents]
        small = [shrink(image, pack_side(SIZE)) for image in images]
        packing = microseconds(
            {
                "read the file": lambda: [path.read_bytes() for path in paths],
                "decode (simplejpeg)": lambda: [simplejpeg.decode_jpeg(content, strict=True) for content in contents],
                "area-resize (OpenCV)": lambda: [shrink(image, pack_side(SIZE)) for image in images],
                "checksum (CRC-32)": lambda: [zlib.crc32(image.data) for image in small],
                "write": lambda: [sink.write(image.data) for image in small],
                "all of load_image": lambda: [load_image(path, pack_side(SIZE)) for path in paths],
            },
            NUM_IMAGES,
        )
        recipe, rows = AugmentRecipe(), np.arange(BATCH_SIZE)
        shapes = np.array([image.shape[:2] for image in small])[rows]
        batch = np.empty((BATCH_SIZE, SIZE, SIZE, 3), np.uint8)
        steps = plan(recipe, draw(0, 1, BATCH_SIZE), shapes, SIZE)
        pack = pack_images(paths, pack_side(SIZE), Path(folder) / "packs")
        mean = std = torch.full((1, 3, 1, 1), 0.5)
        network = LesionClassifier(ModelRecipe(backbone="mobilenetv3_large_100"), 7, 0, SIZE)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss, targets = create_loss(LossRecipe(), np.ones(7, np.int64)), torch.zeros(BATCH_SIZE, dtype=torch.int64)
        epoch = microseconds(
            {
                "draw and compose the matrices": lambda: plan(recipe, draw(0, 1, BATCH_SIZE), shapes, SIZE),
                "read from the pack": lambda: [pack.image(row) for row in rows],
                "the same, and the warp (OpenCV)": lambda: [
                    apply(steps, row, pack.image(row), recipe, batch[row]) for row in rows
                ],
                "the warp of an image that lies in memory": lambda: [
                    apply(steps, row, small[row], recipe, batch[row]) for row in rows
                ],
                "normalise": lambda: normalise(torch.from_numpy(batch), mean, std),
                "MobileNetV3-Large, forward and backward": lambda: loss(
                    network(normalise(torch.from_numpy(batch), mean, std)), targets
                ).backward(),
            },
            BATCH_SIZE,
        )
    show(f"packing an image, {origin}", "µs", packing)
    show("the same image in an epoch", "µs", epoch)


if __name__ == "__main__":
    main()
