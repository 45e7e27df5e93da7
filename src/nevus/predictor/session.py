"""A bundle's ONNX model in ONNX Runtime, opened only where it is what bundle.json says it is."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import onnxruntime

from nevus.bundle import Bundle
from nevus.errors import BundleError, listed


class Port(NamedTuple):
    """An input or output of a model: ONNX Runtime's name of its type, and its dimensions, None for one that is left open."""

    type: str
    shape: tuple[int | None, ...]


def ports(bundle: Bundle) -> tuple[dict[str, Port], dict[str, Port]]:
    """All inputs that a bundle's model may have, the image first, and all outputs that it must have. See `export_onnx`."""
    codes = Port("tensor(int64)", (None,))
    inputs = {
        "images": Port("tensor(uint8)", (None, None, None, 3)),
        "age": Port("tensor(float)", (None,)),
        "sex": codes,
        "site": codes,
    }
    classes = Port("tensor(float)", (None, len(bundle.classes)))
    views = Port("tensor(float)", (None, None, len(bundle.classes)))
    features = Port("tensor(float)", (None, None))
    return inputs, {"probabilities": classes, "logits": classes, "features": features, "view_logits": views}


def open_session(bundle: Bundle, inputs: Mapping[str, Port], outputs: Mapping[str, Port], num_threads: int = 0) -> Any:
    """The session of a bundle's model.onnx.

    Parameters
    ----------
    bundle
        Its `model.onnx` is read into memory; a model that keeps weights in files beside it is refused.
    inputs
        All inputs that a model may have, the image first, which it must have; the others it may lack.
    outputs
        All outputs that a model must have; others are left alone.
    num_threads
        Threads of the ONNX runtime; 0 lets it choose.

    Raises
    ------
    BundleError
        It cannot be loaded, or is a model of something else.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    # Weights outside the model would be read from the working directory, and no hash covers them. Nothing can lie in this folder.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        session = onnxruntime.InferenceSession(bundle.read("model.onnx"), options, providers=["CPUExecutionProvider"])
    except BundleError:
        raise
    except Exception as error:  # onnxruntime raises classes of its own, private ones
        raise BundleError(f"{bundle.path}: its model.onnx cannot be loaded ({error}). Copy the bundle again.") from error
    problems = port_problems(
        {value.name: (value.type, value.shape) for value in session.get_inputs()},
        {value.name: (value.type, value.shape) for value in session.get_outputs()},
        inputs,
        outputs,
    )
    if problems:
        remedy = "It is no model that nevus exported for these classes. Use the bundle that belongs to it."
        raise BundleError(listed(f"{bundle.path}: its model.onnx is not what its bundle.json says:", problems, remedy=remedy))
    return session


# A port as ONNX Runtime describes it: the type's name, and of each dimension its size, its name, or None.
Described = tuple[str, Sequence[int | str | None]]


def port_problems(
    found_inputs: Mapping[str, Described],
    found_outputs: Mapping[str, Described],
    inputs: Mapping[str, Port],
    outputs: Mapping[str, Port],
) -> list[str]:
    """How a model's ports differ from those expected. See `open_session`.

    >>> port_problems({"x": ("tensor(float)", ["n"])}, {}, {"images": Port("tensor(uint8)", (None, 3))}, {})
    ['no input images', 'input x: expected one of images']
    """
    first = next(iter(inputs))
    problems = [] if first in found_inputs else [f"no input {first}"]
    problems += [f"no output {name}" for name in outputs if name not in found_outputs]
    for name, (kind, shape) in found_inputs.items():
        if name not in inputs:
            problems.append(f"input {name}: expected one of {', '.join(inputs)}")
        elif kind != inputs[name].type or not _fits(shape, inputs[name].shape, fixed=False):
            problems.append(f"input {name}: {_words(kind, shape)}, expected {_words(*inputs[name])}")
    for name, port in outputs.items():
        # What comes out is seldom described in full: only what contradicts is refused.
        if name in found_outputs and not (
            found_outputs[name][0] == port.type and _fits(found_outputs[name][1], port.shape, fixed=True)
        ):
            problems.append(f"output {name}: {_words(*found_outputs[name])}, expected {_words(*port)}")
    return problems


def _fits(shape: Sequence[int | str | None], expected: Sequence[int | None], *, fixed: bool) -> bool:
    """Whether sizes agree where both are known; `fixed` allows a size where any is expected."""
    if len(shape) != len(expected):
        return False
    return all(
        (fixed or not isinstance(size, int)) if wanted is None else (not isinstance(size, int) or size == wanted)
        for size, wanted in zip(shape, expected, strict=True)
    )


def _words(kind: str, shape: Sequence[int | str | None]) -> str:
    return (
        f"{kind.removeprefix('tensor(').removesuffix(')')} ({', '.join(str(s) if isinstance(s, int) else 'any' for s in shape)})"
    )
