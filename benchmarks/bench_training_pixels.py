"""Claims: augmented training pixels at 224 reach the network from the pack ten times as fast as from JPEGs by Pillow and
torchvision's chain, five times as fast as by OpenCV and albumentations, and at 85% of the rate of the bare warp, the limit.

All rotate by ±30°, crop the middle 0.8 to 1, mirror and resize, on two cores, from images of 600×450; uint8 batches of 32.
"""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch

from nevus.data.augment import draw, plan
from nevus.data.images import pack_side
from nevus.data.pack import pack_images
from nevus.recipe import Recipe
from nevus.training.hardware import keep_memory
from nevus.training.loader import training_batches
from peers import BATCH_SIZE, PEERS, SIZE, WORKERS, loader
from photographs import examples_of, write_jpegs
from result import conclude, finish, rates, show

NUM_IMAGES, ROUNDS_A_CALL = 384, 6
OURS, LIMIT = "nevus, from the pack", "the bare warp"


def main() -> None:
    keep_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES)
        pack = pack_images(paths, pack_side(SIZE), Path(folder) / "packs")
        recipe = Recipe(name="pixels").with_settings([f"training.batch_size={BATCH_SIZE}", f"data.size={SIZE}"])
        examples = examples_of(pack, recipe)
        rows = np.arange(NUM_IMAGES)
        images = [pack.image(row) for row in rows]
        warps = plan(recipe.data.augment, draw(0, 1, NUM_IMAGES), pack.shapes, SIZE).warps
        outs = [np.empty((SIZE, SIZE, 3), np.uint8) for _ in range(WORKERS)]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

        def bare(worker: int) -> None:
            out = outs[worker]
            for row in range(worker, NUM_IMAGES, WORKERS):
                # In order into the processor's cache first, as reading from the pack does: a rotated walk through memory is slow.
                image = images[row].copy()
                cv2.warpAffine(image, warps[row], (SIZE, SIZE), dst=out, flags=flags, borderMode=cv2.BORDER_REFLECT_101)

        def limit() -> None:
            for _ in range(ROUNDS_A_CALL):
                list(pool.map(bare, range(WORKERS)))

        def ours() -> None:
            for batch in training_batches(examples, np.tile(rows, ROUNDS_A_CALL), recipe, epoch=0):
                assert len(batch.images) == BATCH_SIZE

        many = ROUNDS_A_CALL * NUM_IMAGES
        contenders = {OURS: (many, ours), LIMIT: (many, limit)}
        for name, read in PEERS.items():
            batches = loader(paths, read)
            contenders[name] = (NUM_IMAGES, lambda batches=batches: [len(batch) for batch in batches])  # type: ignore[misc]
        measured = rates(contenders)
    show(f"training pixels, {origin}", "images/s", measured)
    torchvision, albumentations, _ = PEERS
    conclude("training_pixels_torchvision", measured, ours=OURS, peer=torchvision, bar=10.0, unit="images/s")
    conclude("training_pixels_albumentations", measured, ours=OURS, peer=albumentations, bar=5.0, unit="images/s")
    conclude("training_pixels_limit", measured, ours=OURS, peer=LIMIT, bar=0.85, unit="images/s")
    finish()


if __name__ == "__main__":
    main()
