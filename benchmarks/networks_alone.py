"""The shipped model as `nevus predict` runs it, for bench_networks.py: in a process of its own, and without torch."""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from nevus.predictor import Predictor
from nevus.predictor.shipped import DEFAULT, shipped_bundle, shipped_names


def shipped_call(predictor: Predictor, num_calls: int) -> Callable[[], object]:
    """All that is asked of the graph for an answer: logits, and features to know unlike photos by."""
    photo = np.random.default_rng(0).integers(0, 256, (predictor.side, predictor.side, 3), np.uint8)
    metadata = {"age_years": [50.0], "sex": ["female"], "site": ["torso"]}

    def call() -> None:
        for _ in range(num_calls):
            predictor.outputs([photo], metadata)

    return call


def milliseconds(num_calls: int, num_rounds: int, model: str = DEFAULT) -> float:
    """A photo's, the median of rounds of so many calls; the first round is not counted."""
    assert "torch" not in sys.modules, "prediction needs none"
    call, rounds = shipped_call(Predictor(shipped_bundle(model), num_threads=2), num_calls), []
    for _ in range(num_rounds + 1):
        started = time.perf_counter()
        call()
        rounds.append((time.perf_counter() - started) / num_calls)
    return 1000 * statistics.median(rounds[1:])


if __name__ == "__main__":
    for model in shipped_names():
        print(f"{model:20}{milliseconds(20, 25, model):8.2f} ms a photo")
