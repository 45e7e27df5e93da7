"""Claim: the shipped model answers 30 times as fast as Inception-ResNet-v2 with soft attention as published, in eager torch.

Beside it the trimmed MobileNetV3-Large and DenseNet-201, both with soft attention, all built from nevus's own recipes of the
paper: eager against eager and ONNX against ONNX, one image, two threads, from pixels of the input's size to probabilities. Their
weights are drawn, which changes no time; the accuracies beside them are the paper's own, under its protocol, and are called so.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch.utils.flop_counter import FlopCounterMode

from networks_alone import shipped_call
from nevus.data.metadata import CATEGORIES, MetadataEncoder
from nevus.exporters.onnx import write_onnx
from nevus.exporters.served import Served
from nevus.networks.classifier import LesionClassifier
from nevus.predictor import Predictor
from nevus.predictor.shipped import shipped_bundle
from nevus.recipe import Recipe
from nevus.reproduce.published import published
from nevus.reproduce.systems import systems
from result import conclude, finish, rates, show

# Warm is what is asked for: of 20 calls the first, whose weights are no longer in the cache, counts for little.
CALLS, ROUNDS = 20, 5
# Threads of a runtime spin for a while after a call, and would take a core from the next one.
REST = 0.5
# Ours, and the paper's by the system of `nevus reproduce` and the row of its table 11.
OURS = "nevus"
PUBLISHED = {
    "MobileNetV3-Large, cut, soft attention": ("mobilenetv3large-240", "MobileNetV3Large"),
    "DenseNet-201, soft attention": ("densenet201", "DenseNet201"),
    "Inception-ResNet-v2, soft attention": ("inception-resnet-v2", "InceptionResnetV2"),
}


def main() -> None:
    torch.set_num_threads(2)
    shipped = Predictor(shipped_bundle(), num_threads=2)
    document = shipped.bundle.document
    evaluation = document["evaluation"]
    accuracy = {OURS: f"{evaluation['metrics']['accuracy']['value']:.3f} {evaluation['protocol']}, out of fold"}
    recipes = {OURS: Recipe.model_validate(document["recipe"]).with_settings(["model.pretrained=none"])}
    (table,) = (table for table in published("soft-attention") if table.name == "Table 11")
    for name, (system, row) in PUBLISHED.items():
        settings = [*systems("soft-attention")[system].settings, "model.pretrained=none"]
        recipes[name] = Recipe(name=system).with_settings(settings)
        accuracy[name] = f"{table.rows[row]['accuracy'][0]} as published, optimistic"
    eager: dict[str, tuple[int, Callable[[], object]]] = {}
    onnx: dict[str, tuple[int, Callable[[], object]]] = {}
    print(f"{'':42}{'parameters':>12}{'multiply-adds':>16}{'ONNX, MB':>10}  accuracy")
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in recipes.items():
            encoder = MetadataEncoder.fit({"age_years": [20.0, 60.0], "sex": ["female", "male"], "site": ["torso", "torso"]})
            network = LesionClassifier(recipe.model, 7, encoder.num_features, recipe.data.size).eval()
            served = Served(network, encoder, {"size": recipe.data.size, "resolutions": [], "views": 1}, 1.0)
            photo = np.random.default_rng(0).integers(0, 256, (1, recipe.data.size, recipe.data.size, 3), np.uint8)
            given = {"images": photo, "age": np.array([50], np.float32), **{key: np.array([0]) for key in CATEGORIES}}
            path = Path(folder) / f"{len(onnx)}.onnx"
            write_onnx(served, path)
            eager[f"{name}, eager"] = (CALLS, _eager(served, given))
            onnx[f"{name}, ONNX"] = (CALLS, _onnx(path, given))
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                served(*(torch.from_numpy(given[key]) for key in ("images", "age", "sex", "site")))
            parameters, size = sum(each.numel() for each in network.parameters()), path.stat().st_size / 1e6
            print(f"{name:42}{parameters:>12,}{counter.get_total_flops() // 2:>16,}{size:>10.1f}  {accuracy[name]}")
        onnx["nevus, as shipped"] = (CALLS, shipped_call(shipped, CALLS))
        measured = rates({**eager, **onnx}, rounds=ROUNDS, clear=partial(time.sleep, REST))
    show("published networks beside ours", "images/s, batch 1, two threads", measured)
    slowest = "Inception-ResNet-v2, soft attention, eager"
    conclude("networks", measured, ours="nevus, as shipped", peer=slowest, bar=30, unit="images/s, batch 1")
    milliseconds = {"nevus predict's process, one photo": _alone(), "6 ms": 6.0}
    show("one photo at the model's size, warm", "ms", milliseconds)
    conclude(
        "latency", milliseconds, ours="nevus predict's process, one photo", peer="6 ms", bar=1, unit="ms", lower_is_better=True
    )
    finish()


def _alone() -> float:
    """Milliseconds of a photo where nothing else is loaded, as in `nevus predict`: torch and other sessions take their part."""
    script = f"from networks_alone import milliseconds; print(milliseconds({CALLS}, {5 * ROUNDS}))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return float(done.stdout.splitlines()[-1])


def _eager(served: Served, given: dict[str, Any]) -> Callable[[], object]:
    tensors = [torch.from_numpy(given[name]) for name in ("images", "age", "sex", "site")]

    def call() -> None:
        with torch.inference_mode():
            for _ in range(CALLS):
                served(*tensors)

    return call


def _onnx(path: Path, given: dict[str, Any]) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    asked = {value.name: given[value.name] for value in session.get_inputs()}

    def call() -> None:
        for _ in range(CALLS):
            session.run(["probabilities"], asked)

    return call


if __name__ == "__main__":
    main()
