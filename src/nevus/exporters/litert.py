"""From a trained network to LiteRT (formerly TensorFlow Lite), for phones and small devices."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.exporters.parity import check_parity
from nevus.exporters.quiet import quiet
from nevus.exporters.runtimes import import_runtime
from nevus.exporters.source import Source
from nevus.exporters.square import Values, described, one_by_one, squared


def to_litert(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as a float32 .tflite file for one stretched photo, and compare it with the trained model (`check_parity`).

    Raises
    ------
    BundleError
        The bundle looks at a photo at several sizes.
    NotAvailableError
        LiteRT or its converter is not installed.
    """
    square = squared(source)
    os.environ["LITERT_TORCH_SHOW_PROGRESS"] = "n"  # it is read at import
    (converter,) = import_runtime("litert", "litert_torch")
    with quiet():
        converter.convert(square, sample_kwargs=square.example()).export(str(path))
    return {"parity": check_parity(one_by_one(open_litert(path), square.looks), source), "model": described(square)}


def open_litert(path: Path) -> Callable[[Values], NDArray[Any]]:
    """A LiteRT file's probabilities (1, classes) as a function of its inputs, by name."""
    (interpreter,) = import_runtime("litert", "ai_edge_litert.interpreter")
    runner = interpreter.Interpreter(model_path=str(path)).get_signature_runner()
    names = list(runner.get_input_details())
    return lambda given: np.asarray(runner(**{name: given[name] for name in names})["probabilities"])
