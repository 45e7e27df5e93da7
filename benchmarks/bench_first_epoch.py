"""Claim: the first epoch from the pack, packing included, is not slower than the first epoch of the field's own loaders.

Training pixels at 224 from JPEGs of 600×450 on two cores; every loader starts anew in each round, and nothing is packed before.
"""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from nevus.data.images import pack_side
from nevus.data.pack import pack_images
from nevus.recipe import Recipe
from nevus.training.hardware import keep_memory
from nevus.training.loader import training_batches
from peers import BATCH_SIZE, PEERS, SIZE, loader
from photographs import examples_of, write_jpegs
from result import conclude, finish, rates, show

NUM_IMAGES, COPIES, ROUNDS = 512, 3, 3
OURS = "nevus: pack, then one epoch from it"


def main() -> None:
    keep_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES, COPIES)
        recipe = Recipe(name="first").with_settings([f"training.batch_size={BATCH_SIZE}", f"data.size={SIZE}"])

        packs = Path(folder) / "packs"

        def ours() -> None:
            pack = pack_images(paths, pack_side(SIZE), packs)
            examples = examples_of(pack, recipe)
            for batch in training_batches(examples, np.arange(len(paths)), recipe, 1):
                assert len(batch.images) == BATCH_SIZE

        def peer(read: Callable[[Path], torch.Tensor]) -> None:
            for batch in loader(paths, read):
                assert len(batch)

        contenders: dict[str, tuple[int, Callable[[], object]]] = {OURS: (len(paths), ours)}
        for name, read in PEERS.items():
            contenders[name] = (len(paths), partial(peer, read))
        measured = rates(contenders, ROUNDS, partial(shutil.rmtree, packs, ignore_errors=True))
    show(f"first epoch of {len(paths)} images, {origin}", "images/s", measured)
    torchvision, albumentations, resized_first = PEERS
    for name, peer_name in (("torchvision", torchvision), ("albumentations", albumentations), ("resized_first", resized_first)):
        conclude(f"first_epoch_{name}", measured, ours=OURS, peer=peer_name, bar=1.0, unit="images/s")
    finish()


if __name__ == "__main__":
    main()
