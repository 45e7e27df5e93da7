"""From float32 to int8: weights per channel, activations by ranges seen on calibration photos; in quantise-dequantise form."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from nevus.exporters.quiet import quiet

# How an activation's range is made of what was seen.
CALIBRATIONS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# An activation is quantised behind its bounds (Clip, Relu), not before: between -20 and 30, say, eight bits say little of 0 to 6.
# Of the network alone: the stretch is made of products of matrices (MatMul), the metadata's encoding of neither.
_LAYERS = ("Conv", "Gemm", "Clip", "Relu")
# The share of the convolutions, from the photo on, that stay in float32. In a network for phones most of the error comes from
# them and little of the speed: their maps are large and their products few.
_FIRST = 0.5


def quantise(float32: Path, calibration: Sequence[Mapping[str, NDArray[Any]]], method: str, path: Path) -> None:
    """Write `float32`, an ONNX file, in int8.

    Parameters
    ----------
    float32
        The file to quantise, as `prepare` writes it.
    calibration
        The inputs of one run for each photo.
    method
        Of `CALIBRATIONS`.
    path
        Where to write.
    """
    convolutions = [node.name for node in onnx.load(str(float32)).graph.node if node.op_type == "Conv"]
    with quiet():
        quantize_static(
            str(float32),
            str(path),
            _Reader(calibration),
            op_types_to_quantize=list(_LAYERS),
            nodes_to_exclude=convolutions[: round(_FIRST * len(convolutions))],
            per_channel=True,
            # Seven bits: without VNNI a processor adds products of eight bits in sixteen, which overflow. So the file that passed
            # its gate on one machine answers alike on another.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CALIBRATIONS[method],
            # One photo's activations at a time: of all at once they are gigabytes.
            extra_options={"CalibStridedMinMax": 1},
        )


def prepare(float32: Path, path: Path) -> None:
    """Write an ONNX file with the shapes and types that `quantise` needs."""
    with quiet():
        quant_pre_process(str(float32), str(path), skip_symbolic_shape=True)


class _Reader:
    """Inputs one after another, or those of a range, as onnxruntime asks for them."""

    def __init__(self, inputs: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._inputs = inputs
        self._left: Iterator[Mapping[str, NDArray[Any]]] = iter(inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._inputs[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        following = next(self._left, None)
        return None if following is None else dict(following)
