"""A model is opened where it is the bundle's own, and from no file but the bundle's."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data
from small_model import small_model, values

from nevus.bundle import Bundle
from nevus.errors import BundleError
from nevus.files import write
from nevus.predictor.session import Port, open_session

INPUTS = {"images": Port("tensor(float)", (None, 3, 8, 8)), "metadata": Port("tensor(float)", (None, 5))}
OUTPUTS = {"logits": Port("tensor(float)", (None, 2))}


def bundle_of(folder: Path, model: bytes) -> Bundle:
    return Bundle.write(folder / "bundle", {"classes": ["a", "b"]}, {"model.onnx": lambda path: write(path, model)})


def test_a_model_of_the_bundles_own_opens_and_may_lack_an_input(tmp_path: Path) -> None:
    for inputs in (INPUTS, {"images": INPUTS["images"]}):
        session = open_session(bundle_of(tmp_path, small_model(inputs, OUTPUTS).SerializeToString()), INPUTS, OUTPUTS)
        assert [value.name for value in session.get_inputs()] == list(inputs)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"pixels": INPUTS["images"]}, OUTPUTS, r"(?s)no input images.*input pixels: expected one of images, metadata"),
        ({"images": Port("tensor(double)", (None, 3, 8, 8))}, OUTPUTS, r"input images: double .*expected float"),
        ({"images": Port("tensor(float)", (None, 3, 9, 8))}, OUTPUTS, r"input images: float \(any, 3, 9, 8\), expected float"),
        ({"images": Port("tensor(float)", (1, 3, 8, 8))}, OUTPUTS, r"input images: float \(1, 3, 8, 8\), expected float \(any"),
        ({"images": Port("tensor(float)", (None, 3, 8))}, OUTPUTS, r"input images: float \(any, 3, 8\)"),
        ({**INPUTS, "metadata": Port("tensor(float)", (None, 6))}, OUTPUTS, r"input metadata: float \(any, 6\), expected"),
        (INPUTS, {"scores": OUTPUTS["logits"]}, "no output logits"),
        (INPUTS, {"logits": Port("tensor(float)", (None, 3))}, r"output logits: float \(any, 3\), expected float \(any, 2\)"),
    ],
)
def test_a_model_of_something_else_is_refused(
    tmp_path: Path, inputs: dict[str, Port], outputs: dict[str, Port], message: str
) -> None:
    bundle = bundle_of(tmp_path, small_model(inputs, outputs).SerializeToString())
    with pytest.raises(BundleError, match=message):
        open_session(bundle, INPUTS, OUTPUTS)


@pytest.mark.parametrize("content", [b"", b"model", b"\x08\x07" * 50, bytes(range(256)) * 8])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BundleError, match=r"its model\.onnx (cannot be loaded|is not what)"):
        open_session(bundle_of(tmp_path, content), INPUTS, OUTPUTS)


def test_weights_outside_of_the_model_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From memory ONNX Runtime would look for them in the working directory, where no hash covers them."""
    num = 4096  # smaller ones are folded on the way, which needs a place
    inputs, outputs = ({name: Port("tensor(float)", (None, num))} for name in ("images", "logits"))
    graph = helper.make_graph([helper.make_node("Add", ["images", "w"], ["logits"])], "g", *map(values, (inputs, outputs)))
    graph.initializer.append(numpy_helper.from_array(np.ones(num, np.float32), "w"))
    (tmp_path / "stray.bin").write_bytes(graph.initializer[0].raw_data)
    set_external_data(graph.initializer[0], "stray.bin")
    graph.initializer[0].ClearField("raw_data")
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    monkeypatch.chdir(tmp_path)
    open_freely = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert (open_freely.run(None, {"images": np.zeros((1, num), np.float32)})[0] == 1).all(), "what must not happen"
    with pytest.raises(BundleError, match="External data"):
        open_session(bundle_of(tmp_path, content), inputs, outputs)
