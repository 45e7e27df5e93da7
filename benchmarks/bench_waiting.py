"""Claim: while MobileNetV3-Large trains at 224, its steps wait for data no more than 3% of the time.

The training loop of every recipe, on phantoms of 600×450 from the pack; what it logs after its second epoch.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.data.splits import Parts
from nevus.recipe import Recipe
from nevus.training.fit import begin_run, fit_rows
from result import conclude, finish, show

SETTINGS = [
    "data.task=malignant",
    "data.size=224",
    "model.backbone=mobilenetv3_large_100",
    "model.fusion.kind=multiply",
    "training.epochs=2",
    "training.batch_size=32",
]
OURS, STEP = "waiting for data", "the epoch's training steps"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NEVUS_CACHE"] = folder + "/packs"
        manifest = Manifest.read(write_phantoms(Path(folder) / "phantoms", num_lesions=260, size=(450, 600)))
        run = begin_run(Recipe(name="waiting").with_settings(SETTINGS), manifest, Path(folder) / "run")
        rows = np.arange(len(run.manifest))
        fit_rows(run, Parts(rows[:320], rows[320:352], rows[:0]), Path(folder) / "fold", "waiting", protocol=None)
        epochs = [json.loads(line) for line in (Path(folder) / "fold" / "log.jsonl").read_text().splitlines()]
    last = epochs[-1]
    seconds = 320 / last["images_per_second"]
    measured = {OURS: last["waited_for_data"] * seconds, STEP: seconds}
    show("a training epoch of 320 images", "s", measured)
    conclude("waiting_for_data", measured, ours=OURS, peer=STEP, bar=0.03, unit="s", lower_is_better=True)
    finish()


if __name__ == "__main__":
    main()
