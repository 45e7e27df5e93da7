"""What runs leave behind that have ended, without any training."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.files import write_json
from nevus.reproduce.job import DONE, Job

CLASSES = {"malignant": ("benign", "malignant"), "diagnosis": ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}


@cache
def evaluation_of(task: str, protocol: str, folds_run: str = "2 of 2", seed: int = 0) -> dict[str, Any]:
    """A real evaluation of made-up predictions on two folds."""
    classes = CLASSES[task]
    rng = np.random.default_rng(seed)
    # Classes of 20, 30, 40 … images, half of each in either fold.
    targets = np.repeat(np.arange(len(classes)), 20 + 10 * np.arange(len(classes)))
    num_images = len(targets)
    probabilities = rng.dirichlet(np.ones(len(classes)), num_images) + 0.5 * np.eye(len(classes))[targets]
    frame = pd.DataFrame({f"p_{name}": probabilities[:, index] / 1.5 for index, name in enumerate(classes)})
    frame["image_id"] = [f"image-{index}" for index in range(num_images)]
    frame["fold"] = np.arange(num_images) % 2
    frame["split"] = "test"
    frame["target"] = [classes[target] for target in targets]
    frame["protocol"] = protocol
    both = pd.concat([frame, frame.assign(split="validation")], ignore_index=True)
    origin = {"folds_run": folds_run, "training_seconds": 1.0}
    return evaluate(Predictions.from_frame(both), num_resamples=20, provenance=origin)


def end(job: Job, status: str = DONE, reason: str = "") -> None:
    """Leave what a job leaves that has ended so."""
    facts = {"parameters": 2_666_922, "size_mb": 10.2, "depth": 103, "seconds_per_epoch": 61.0} if status == DONE else {}
    claim = [job.recipe.model_dump(mode="json"), job.manifest_sha256]
    outcome = {"status": status, "reason": reason, "facts": facts}
    write_json(job.folder / "outcome.json", {"claim": claim, "outcome": outcome})
    if status == DONE:
        write_json(job.folder / "evaluation.json", evaluation_of(job.recipe.data.task, job.protocol))
