"""Milliseconds of a photo: the work that is done for it, and not what the machine does besides."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nevus.evaluation import latency


class Worker:
    """A predictor that first loads for long, then takes `work_ms` of work a photo and waits as long as that again."""

    work_ms = 2.0

    def __init__(self, bundle: Any, num_threads: int) -> None:
        assert num_threads == 1
        self.calls = 0

    def logits(self, images: list[np.ndarray], *, cropped: bool) -> None:
        assert len(images) == 1
        assert images[0].shape == (450, 600, 3)
        assert cropped is False
        self.calls += 1
        work_ms = 50.0 if self.calls == 1 else self.work_ms
        until = time.process_time() + work_ms / 1000
        while time.process_time() < until:
            pass
        time.sleep(self.work_ms / 1000)


def test_it_is_the_work_of_one_photo_without_waiting_and_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "Predictor", Worker)
    bundle: Any = SimpleNamespace(document={"preprocessing": {"crop": "none"}})
    assert latency.measure_latency(bundle) == pytest.approx(2, abs=0.8)
