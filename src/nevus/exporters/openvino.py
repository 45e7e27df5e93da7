"""From a trained network to OpenVINO's own format, for Intel's processors: the ONNX graph's inputs and outputs, any photo."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nevus.data.images import Pixels
from nevus.errors import DataError
from nevus.exporters.label import label
from nevus.exporters.onnx import write_onnx
from nevus.exporters.parity import Run, check_parity
from nevus.exporters.runtimes import import_runtime
from nevus.exporters.source import Source
from nevus.files import replacing, sha256


def to_openvino(source: Source, path: Path) -> dict[str, Any]:
    """Write `source` as OpenVINO IR in float32, which says what it is, and compare it with the trained model; see `check_parity`.

    The format is two files, NAME.xml and NAME.bin. `path` takes the first; the second goes beside `source.out` once the gate has
    passed, and its SHA-256 is in the returned document, so that halves of two exports are known.

    Raises
    ------
    DataError
        `source.out` does not end in .xml, by which OpenVINO knows the format.
    NotAvailableError
        OpenVINO is not installed.
    """
    (openvino,) = import_runtime("openvino", "openvino")
    if source.out.suffix != ".xml":
        raise DataError(f"--out {source.out}: OpenVINO's format is a NAME.xml with a NAME.bin beside it. Give a name in .xml.")
    with TemporaryDirectory(prefix="nevus-") as folder:
        graph, written = Path(folder) / "model.onnx", Path(folder) / source.out.name
        # By way of ONNX: OpenVINO's own tracing of a torch module takes minutes, and its Python converter sends usage statistics.
        write_onnx(source.served, graph)
        model = openvino.Core().read_model(str(graph))
        for name, value in label(source.bundle).items():
            model.set_rt_info(json.dumps(value, ensure_ascii=False), ["nevus", name])
        openvino.save_model(model, str(written), compress_to_fp16=False)
        parity = check_parity(open_openvino(written), source)
        content, beside = written.with_suffix(".bin").read_bytes(), source.out.with_suffix(".bin")
        with replacing(beside) as part:
            part.write_bytes(content)
        path.write_bytes(written.read_bytes())
    return {"parity": parity, "weights": {"file": beside.name, "sha256": sha256(beside), "bytes": len(content)}}


def open_openvino(path: Path) -> Run:
    """An OpenVINO file's probabilities as a function of its inputs, on the processor, in float32 wherever it runs.

    Left to itself OpenVINO computes in bfloat16 where the processor has it, which no gate of 1e-4 would pass.
    """
    (openvino,) = import_runtime("openvino", "openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [value.any_name for value in compiled.inputs]

    def run(images: Pixels, known: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        given = {"images": images, **known}
        return np.array(compiled({name: given[name] for name in names})["probabilities"])

    return run
