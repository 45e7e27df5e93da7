"""ONNX models with any inputs and outputs, made by hand: quick, and wrong in whatever way a test wants."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nevus.predictor.session import Port

_TYPES = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(uint8)": TensorProto.UINT8,
    "tensor(bool)": TensorProto.BOOL,
    "tensor(int64)": TensorProto.INT64,
    "tensor(double)": TensorProto.DOUBLE,
}


def small_model(inputs: Mapping[str, Port], outputs: Mapping[str, Port], scale: float = 1.0) -> onnx.ModelProto:
    """A model of the mean of its first input: outputs (N, C) and (1, N, C) are it times fixed numbers, or their softmax."""
    first, port = next(iter(inputs.items()))
    axes = numpy_helper.from_array(np.arange(1, len(port.shape), dtype=np.int64), "axes")
    nodes = [
        helper.make_node("Cast", [first], ["number"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["number", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
    ]
    places = (numpy_helper.from_array(np.array([place], np.int64), name) for place, name in enumerate(("zero", "one")))
    constants = [axes, *places]
    for name, wanted in outputs.items():
        width = wanted.shape[-1] or 3
        constants.append(numpy_helper.from_array(np.linspace(-scale, scale, width, dtype=np.float32)[None], f"{name}_weights"))
        to = f"{name}_raw" if name == "probabilities" or len(wanted.shape) == 3 else name
        nodes.append(helper.make_node("MatMul", ["column", f"{name}_weights"], [to]))
        if name == "probabilities":
            nodes.append(helper.make_node("Softmax", [to], [name], axis=1))
        elif to != name:
            nodes.append(helper.make_node("Unsqueeze", [to, "zero"], [name]))
    graph = helper.make_graph(nodes, "small", values(inputs), values(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def values(ports: Mapping[str, Port]) -> list[onnx.ValueInfoProto]:
    """Ports as ONNX writes them, each open dimension with a name of its own."""
    return [
        helper.make_tensor_value_info(
            name, _TYPES[port.type], [f"{name}_{index}" if size is None else size for index, size in enumerate(port.shape)]
        )
        for name, port in ports.items()
    ]
