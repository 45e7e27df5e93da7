"""From a trained network to Core ML, Apple's runtime, which answers on macOS alone and so is offered there alone."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nevus.exporters.parity import check_parity
from nevus.exporters.quiet import quiet
from nevus.exporters.runtimes import import_runtime
from nevus.exporters.source import Source
from nevus.exporters.square import INPUTS, OUTPUTS, Square, Values, described, one_by_one, squared


def to_coreml(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as a zipped float32 .mlpackage for one stretched photo, and compare it with the trained model.

    A package is a folder, and a zip of it a file that is there whole or not at all; macOS unpacks it. See `check_parity`.

    Raises
    ------
    BundleError
        The bundle looks at a photo at several sizes.
    NotAvailableError
        Core ML Tools are not installed.
    """
    square = squared(source)
    (tools,) = import_runtime("coreml", "coremltools")
    model = convert_coreml(square, tools)
    parity = check_parity(one_by_one(_opened(model), square.looks), source)
    with TemporaryDirectory(prefix="nevus-") as folder:
        package = Path(folder) / "model.mlpackage"
        model.save(str(package))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(package.rglob("*")):
                archive.write(file, file.relative_to(folder))
    return {"parity": parity, "model": described(square)}


def convert_coreml(square: Square, tools: ModuleType, **options: Any) -> Any:
    """The network as a `coremltools.models.MLModel`: float32 on the processor: the Neural Engine has float16."""
    with quiet(), torch.no_grad():
        exported = torch.export.export(square, tuple(square.example()[name] for name in INPUTS)).run_decompositions({})
        return tools.convert(
            exported,
            outputs=[tools.TensorType(name=name) for name in OUTPUTS],
            convert_to="mlprogram",
            minimum_deployment_target=tools.target.iOS16,
            compute_precision=tools.precision.FLOAT32,
            compute_units=tools.ComputeUnit.CPU_ONLY,
            **options,
        )


def _opened(model: Any) -> Callable[[Values], NDArray[Any]]:
    """A Core ML model's probabilities (1, classes) as a function of its inputs, by name."""
    return lambda given: np.asarray(model.predict(dict(given))["probabilities"])
