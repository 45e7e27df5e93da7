"""How long one photo takes: the milliseconds that an ensemble or more views are paid with."""

import time

import numpy as np

from nevus.bundle import Bundle
from nevus.predictor import Predictor

# A dermoscopy photo as HAM10000 has them, height and width; each run takes what the median needs, after some that warm up.
_SHAPE = (450, 600)
_NUM_WARM, _NUM_RUNS = 3, 15
LATENCY_METHOD = f"one photo of {_SHAPE[1]} x {_SHAPE[0]} in memory to logits, one thread's processor time, median of {_NUM_RUNS}"


def measure_latency(bundle: Bundle, num_views: int | None = None) -> float:
    """Milliseconds from a decoded photo to its logits: all sizes, the bundle's own views or `num_views`, one thread, the median.

    Processor time, which is the clock's where nothing else runs, and does not grow fourfold where something does.

    >>> measure_latency(Bundle.load("runs/zoome/fold-0/bundle"))  # doctest: +SKIP
    31.4
    """
    predictor = Predictor(bundle, num_threads=1)
    photo = np.random.default_rng(0).integers(0, 256, (*_SHAPE, 3), np.uint8)
    cropped = bundle.document["preprocessing"].get("crop", "none") != "none"
    seconds = []
    for _ in range(_NUM_WARM + _NUM_RUNS):
        started = time.process_time()
        if num_views:
            predictor.view_logits([photo], None, num_views)
        else:
            predictor.logits([photo], cropped=cropped)
        seconds.append(time.process_time() - started)
    return float(1000 * np.median(seconds[_NUM_WARM:]))
