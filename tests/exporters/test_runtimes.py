"""Files for other runtimes answer as the trained model does, in those runtimes, or are not written."""

import inspect
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nevus.bundle import Bundle
from nevus.cli.exporting import export as verb
from nevus.data.metadata import MetadataEncoder
from nevus.data.resample import stretch
from nevus.errors import BundleError, NotAvailableError
from nevus.exporters.coreml import convert_coreml
from nevus.exporters.export import TARGETS, export
from nevus.exporters.served import Served
from nevus.exporters.square import Square
from nevus.exporters.trained import load_network, serve
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe

SUFFIXES = {"openvino": "xml", "litert": "tflite", "executorch": "pte"}
MODULES = {"openvino": "openvino", "litert": "litert_torch", "executorch": "executorch"}
SOFT = {"attention": {"kind": "soft"}, "fusion": {"kind": "concat"}}
PLAIN: dict[str, Any] = {}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred, of the shapes that cameras and crops have."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for index in range(200):
        height, width = ((45, 60), (150, 200), (81, 64))[index % 3]
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return folder


def bundle_of(folder: Path, model: dict[str, Any], fields: tuple[str, ...], **preprocessing: Any) -> Bundle:
    """With weights that make its answers depend on all that it is given."""
    torch.manual_seed(0)
    encoder = MetadataEncoder(fields, 50.0, 10.0)
    recipe = ModelRecipe.model_validate({"backbone": "resnet10t", "pretrained": "none", **model})
    network = LesionClassifier(recipe, 3, encoder.num_features, 64)
    for parameter in network.head.parameters():
        torch.nn.init.normal_(parameter)
    settings = {"size": 64, "resolutions": [], "views": 2, "crop": "none", "mean": network.mean, "std": network.std}
    document = {
        "name": "small",
        "task": "diagnosis",
        "classes": ["bkl", "mel", "nv"],
        "preprocessing": {**settings, **preprocessing},
        "metadata": encoder.to_json(),
        "temperature": 1.5,
        "operating_point": None,
        "training_data": {"licences": {}, "attributions": []},
        "recipe": {"model": recipe.model_dump()},
    }
    return Bundle.write(folder, document, {"weights.safetensors": lambda path: save_file(network.state_dict(), path)})


def need(to: str) -> None:
    if find_spec(MODULES[to]) is None:
        pytest.skip(f"{to} is not installed: pip install 'nevus[train,{to}]', in an environment of its own")


@pytest.mark.export
@pytest.mark.slow
@pytest.mark.parametrize("to", SUFFIXES)
@pytest.mark.parametrize(
    ("model", "fields", "central"),
    [(SOFT, ("age", "sex", "site"), [1.0]), (PLAIN, (), [1.0, 0.7])],
    ids=["soft attention and metadata", "image alone, of it the middle too"],
)
def test_a_file_answers_as_the_trained_model_does(
    to: str, model: dict[str, Any], fields: tuple[str, ...], central: list[float], photos: Path, tmp_path: Path
) -> None:
    need(to)
    out = tmp_path / f"model.{SUFFIXES[to]}"
    document = export(bundle_of(tmp_path / "bundle", model, fields, central=central), to, photos, out)
    assert document["parity"]["num_images"] == 200
    assert set(document["parity"]["by"]) == {"metadata present", "metadata partly absent", "metadata absent"}
    assert 0 < document["parity"]["max_difference"] <= 1e-4
    written = {out.name, f"{out.name}.json", *({"model.bin"} if to == "openvino" else ())}
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", *written}


encoded = Served._encoded


def spoiled(self: Served, columns: Any) -> Any:
    metadata, present = encoded(self, columns)
    return metadata.flip(1), present


@pytest.mark.export
@pytest.mark.slow
@pytest.mark.parametrize("to", SUFFIXES)
def test_a_file_that_does_something_else_is_not_written(
    to: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(to)
    monkeypatch.setattr("nevus.exporters.served.Served._encoded", spoiled)
    bundle = bundle_of(tmp_path / "bundle", SOFT, ("age", "sex", "site"))
    with pytest.raises(BundleError, match="not written: it differs from the trained model by"):
        export(bundle, to, photos, tmp_path / f"model.{SUFFIXES[to]}")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle"}


@pytest.mark.parametrize("to", ["litert", "executorch"])
def test_a_bundle_of_several_sizes_is_refused_where_there_is_one_input(to: str, photos: Path, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", PLAIN, (), resolutions=[96], central=[1.0, 0.8])
    with pytest.raises(BundleError, match="looks at a photo at 64, 96 pixels, and a file with a fixed input has one size"):
        export(bundle, to, photos, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(NotAvailableError, match=r"--to litert needs litert_torch.*\n?.*pip install 'nevus\[train,litert\]'"):
        export(bundle_of(tmp_path / "bundle", PLAIN, ()), "litert", photos, tmp_path / "model.tflite")
    assert not (tmp_path / "model.tflite").exists()


def test_the_targets_are_those_that_the_program_names(tmp_path: Path) -> None:
    found = ["onnx", "onnx-int8", "openvino", "litert", "executorch", *(["coreml"] if sys.platform == "darwin" else [])]
    assert list(TARGETS) == found
    named = inspect.signature(verb).parameters["to"].annotation.__metadata__[0].help
    assert all(name in named for name in found)


@pytest.mark.export
@pytest.mark.slow
def test_a_network_becomes_a_core_ml_program_of_named_inputs_and_outputs(tmp_path: Path) -> None:
    """What Linux can see of it; macOS runs it, in the gate that every export passes."""
    tools = pytest.importorskip("coremltools", reason="pip install 'nevus[train,coreml]', in an environment of its own")
    bundle = bundle_of(tmp_path / "bundle", SOFT, ("age", "sex", "site"))
    model = convert_coreml(Square(serve(load_network(bundle), bundle)).eval(), tools, skip_model_load=True)
    described = model.get_spec().description
    assert {value.name for value in described.input} == {"images", "age", "sex", "site"}
    assert [value.name for value in described.output] == ["probabilities", "logits", "features"]
    assert list(described.input[0].type.multiArrayType.shape) == [1, 64, 64, 3]


def test_a_stretched_photo_is_answered_as_the_photo_is(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", SOFT, ("age", "sex", "site"))
    served = serve(load_network(bundle), bundle)
    photo = np.random.default_rng(1).integers(0, 256, (70, 110, 3), np.uint8)
    known = torch.tensor([61.0]), torch.tensor([1]), torch.tensor([-1])
    with torch.no_grad():
        expected = served(torch.from_numpy(photo)[None], *known)
        found = Square(served)(torch.from_numpy(stretch(photo, 64))[None], known[0], known[1].int(), known[2].int())
    for name, value in zip(("probabilities", "logits", "features"), expected, strict=False):
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
