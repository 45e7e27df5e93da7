"""Claim: while MobileNetV3-Large trains at 224, its steps wait for data no more than 3% of the time.

The training loop of every recipe, from the pack; what it logs of its second epoch.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from nevus.data.images import pack_side
from nevus.data.pack import pack_images
from nevus.recipe import Recipe
from nevus.training.hardware import keep_memory
from nevus.training.loop import train
from nevus.training.run import create_network
from photographs import examples_of, write_jpegs
from result import conclude, finish, show

NUM_IMAGES, BATCH_SIZE = 352, 32
OURS, STEP = "waiting for data", "the epoch's training steps"
SETTINGS = ["model.backbone=mobilenetv3_large_100", "training.epochs=2", f"training.batch_size={BATCH_SIZE}"]


def main() -> None:
    keep_memory()
    torch.set_num_threads(2)
    recipe = Recipe(name="waiting").with_settings(SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        paths, origin = write_jpegs(Path(folder) / "images", NUM_IMAGES)
        examples = examples_of(pack_images(paths, pack_side(recipe.data.size), Path(folder) / "packs"), recipe)
        rows = np.arange(NUM_IMAGES)
        network = create_network(recipe, ("benign", "malignant"))
        train(network, examples, rows[32:], rows[:32], recipe, Path(folder), identity="", precision="float32")
        last = json.loads((Path(folder) / "log.jsonl").read_text().splitlines()[-1])
    seconds = (NUM_IMAGES - 32) / last["images_per_second"]
    measured = {OURS: last["waited_for_data"] * seconds, STEP: seconds}
    show(f"a training epoch of {NUM_IMAGES - 32} images, {origin}", "s", measured)
    conclude("waiting_for_data", measured, ours=OURS, peer=STEP, bar=0.03, unit="s", lower_is_better=True)
    finish()


if __name__ == "__main__":
    main()
