"""From a trained network to ExecuTorch, PyTorch's runtime for phones, with its layers lowered to XNNPACK."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.exporters.parity import check_parity
from nevus.exporters.quiet import quiet
from nevus.exporters.runtimes import import_runtime
from nevus.exporters.source import Source
from nevus.exporters.square import INPUTS, Values, described, one_by_one, squared


def to_executorch(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as a float32 .pte file for one stretched photo, and compare it with the trained model; see `check_parity`.

    Inputs and outputs have places and no names there: `images`, `age`, `sex`, `site`; `probabilities`, `logits`, `features`.

    Raises
    ------
    BundleError
        The bundle looks at a photo at several sizes.
    NotAvailableError
        ExecuTorch is not installed.
    """
    square = squared(source)
    exir, xnnpack = import_runtime("executorch", "executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner")
    with quiet(), torch.no_grad():
        exported = torch.export.export(square, tuple(square.example()[name] for name in INPUTS))
        lowered = exir.to_edge_transform_and_lower(exported, partitioner=[xnnpack.XnnpackPartitioner()])
        path.write_bytes(lowered.to_executorch().buffer)
    return {"parity": check_parity(one_by_one(open_executorch(path), square.looks), source), "model": described(square)}


def open_executorch(path: Path) -> Callable[[Values], NDArray[Any]]:
    """An ExecuTorch file's probabilities (1, classes) as a function of its inputs, by name."""
    (runtime,) = import_runtime("executorch", "executorch.runtime")
    program = runtime.Runtime.get().load_program(path)
    method = program.load_method("forward")

    def answer(given: Values) -> NDArray[Any]:
        # The program owns the memory that the method runs in.
        assert program is not None
        return np.asarray(method.execute([torch.from_numpy(given[name]) for name in INPUTS])[0].clone())

    return answer
