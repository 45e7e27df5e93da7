"""`nevus export`: what passes its gate is written and says what it is; what does not leaves no file."""

import copy
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.numpy import save

from command_line import nevus
from exportable import exportable
from nevus.bundle import Bundle
from nevus.bundle.description import description
from nevus.data.image_ids import images_sha256
from nevus.data.images import read_image
from nevus.data.manifest import Manifest
from nevus.data.metadata import coded
from nevus.data.phantom import write_phantoms
from nevus.errors import BundleError, DataError
from nevus.exporters import int8, parity, served, trained
from nevus.exporters.export import export
from nevus.exporters.int8 import check_accepted, deal
from nevus.exporters.onnx import export_onnx
from nevus.exporters.photos import read_photos
from nevus.exporters.quantise import quantise
from nevus.exporters.served import Served
from nevus.exporters.source import Source
from nevus.files import write
from nevus.predictor import Predictor
from nevus.training.novelty import fit_novelty

pytestmark = [pytest.mark.export, pytest.mark.slow]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return Manifest.read(write_phantoms(tmp_path_factory.mktemp("photos"), num_lesions=240, size=(24, 32)))


@pytest.fixture(scope="module")
def bundle(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exportable(tmp_path_factory.mktemp("export") / "bundle", manifest)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Six photos are enough for a fault to show."""
    monkeypatch.setattr(parity, "MIN_IMAGES", 6)
    return {"num_images": 6}


def test_what_is_written_answers_as_the_model_and_says_what_it_is(
    bundle: Bundle, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small.onnx"
    words = ("export", bundle.path, "--to", "onnx", "--images", manifest.root, "--out", out, "--json")
    code, printed, said = nevus(monkeypatch, capsys, *words)
    assert code == 0, said
    found = json.loads(printed)["parity"]
    assert found["num_images"] == 200
    assert 0 < found["max_difference"] <= 1e-4
    assert set(found["by"]) == {"metadata present", "metadata partly absent", "metadata absent"}
    assert "200 photos" in said
    account = json.loads((tmp_path / "small.onnx.json").read_text())
    assert account["parity"] == found
    props = {prop.key: json.loads(prop.value) for prop in onnx.load(str(out)).metadata_props}
    assert props["nevus.classes"] == ["benign", "malignant"]
    assert props["nevus.codes"]["sex"] == ["female", "male"]
    assert props["nevus.temperature"] == 0.8
    assert props["nevus.operating_point"]["threshold"] == 0.4
    assert props["nevus.licences"] == {"CC0-1.0": len(manifest)}
    assert props["nevus.weights_sha256"] == bundle.document["files"]["weights.safetensors"]
    assert account["model"] == {key.removeprefix("nevus."): value for key, value in props.items()}


def test_a_changed_weight_is_refused(bundle: Bundle, manifest: Manifest, tmp_path: Path, few: Any, monkeypatch: Any) -> None:
    def serve(network: Any, opened: Bundle) -> Served:
        served = original(copy.deepcopy(network), opened)
        served.network.head.bias.data[0] += 0.05
        return served

    original = trained.serve
    monkeypatch.setattr("nevus.exporters.source.serve", serve)
    refused(bundle, manifest, tmp_path, few)


def no_antialiasing(length: int, size: int, share: float) -> torch.Tensor:
    assert share == 1
    places, scale = torch.arange(length).float(), torch.ones(length).sum() / size
    nearest = ((torch.arange(size).float() + 0.5) * scale).floor()[:, None]
    return (places == nearest).float()


weights = served._weights


def another_share(length: int, size: int, share: float) -> torch.Tensor:
    return weights(length, size, share * 0.9)


def other_codes(columns: Any, num_rows: int) -> dict[str, Any]:
    known = coded(columns, num_rows)
    return {**known, "sex": np.where(known["sex"] < 0, -1, 1 - known["sex"])}


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("nevus.exporters.served._weights", no_antialiasing),
        ("nevus.exporters.served._weights", another_share),
        ("nevus.exporters.parity.coded", other_codes),
        ("nevus.exporters.served.VIEWS", ((True, ()), (False, (1,)))),
    ],
    ids=["resize", "share", "code table", "views"],
)
def test_another_preprocessing_is_refused(
    place: str, fault: Any, bundle: Bundle, manifest: Manifest, tmp_path: Path, few: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, fault)
    refused(bundle, manifest, tmp_path, few)


def test_another_temperature_is_refused(
    bundle: Bundle, manifest: Manifest, tmp_path: Path, few: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hotter = replace(bundle, document={**bundle.document, "temperature": 0.81})
    original = trained.serve
    monkeypatch.setattr("nevus.exporters.source.serve", lambda network, opened: original(network, hotter))
    refused(bundle, manifest, tmp_path, few)


def refused(bundle: Bundle, manifest: Manifest, folder: Path, few: dict[str, Any]) -> None:
    out = folder / "small.onnx"
    out.write_text("an older one")
    with pytest.raises(BundleError, match=r"small\.onnx: not written: it differs from the trained model by .*6 photos of"):
        export(bundle, "onnx", manifest.path, out, **few)
    assert out.read_text() == "an older one"
    assert [path.name for path in folder.iterdir()] == ["small.onnx"]


def test_the_same_without_a_fault_is_written(bundle: Bundle, manifest: Manifest, tmp_path: Path, few: dict[str, Any]) -> None:
    export(bundle, "onnx", manifest.path, tmp_path / "small.onnx", **few)
    assert (tmp_path / "small.onnx").is_file()


def test_int8_is_small_quantises_the_network_alone_and_says_its_cost(
    bundle: Bundle, manifest: Manifest, tmp_path: Path, few: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "MAX_DROP", {"balanced_accuracy": 0.1, "auc": 0.1})
    monkeypatch.setattr(int8, "NUM_CALIBRATION", 8)
    out = tmp_path / "small-int8.onnx"
    document = export(bundle, "onnx-int8", manifest.path, out, **few)
    weights = (bundle.path / "weights.safetensors").stat().st_size
    assert out.stat().st_size < weights / 3
    calibration, gate = document["calibration"], document["int8"]
    assert calibration["classes"] == {"benign": 4, "malignant": 4}
    assert calibration["method"] == min(calibration["moved"], key=calibration["moved"].__getitem__)
    assert len(set(calibration["moved"].values())) == 3, "the methods differ"
    assert gate["num_images"] >= 200
    assert gate["balanced_accuracy"]["before"] > 0.6, "the answers mean something"
    graph = onnx.load(str(out)).graph
    readers = {name: node.op_type for node in graph.node for name in node.input}
    quantised = {
        readers[node.output[0]] for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] in readers
    }
    assert {"Conv", "Gemm"} <= quantised
    assert "MatMul" not in quantised, "the stretch stays as it is"
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["images", "age", "sex", "site"]
    assert {prop.key for prop in onnx.load(str(out)).metadata_props} >= {"nevus.classes", "nevus.weights_sha256"}


def test_photos_that_were_trained_on_are_called_so(bundle: Bundle, manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_photos(manifest.path, bundle).trained_on
    monkeypatch.setitem(bundle.document["training_data"], "images_sha256", images_sha256(manifest.frame["image_id"]))
    assert read_photos(manifest.path, bundle).trained_on
    figure = {"before": 0.9, "after": 0.9}
    gate = {"balanced_accuracy": figure, "auc": figure, "num_images": 240, "decisions_changed": 1}
    found = {"to": "onnx-int8", "weights_sha256": "0" * 64, "parity": {"num_images": 200, "max_difference": 1e-6}}
    words = {
        known: description({"export": {**found, "int8": {**gate, "trained_on": known}}})["Exported"] for known in (True, False)
    }
    assert "240 photos of those it was trained on, which say what int8 costs and not how good it is" in words[True]
    assert "trained on" not in words[False]


def test_int8_that_costs_too_much_is_refused(
    bundle: Bundle, manifest: Manifest, tmp_path: Path, few: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "NUM_CALIBRATION", 8)
    original = quantise

    def spoiled(float32: Path, calibration: Any, method: str, path: Path) -> None:
        """Scales eight times too small: activations are cut off."""
        original(float32, calibration, method, path)
        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            if tensor.name.endswith("_output_0_scale"):
                scale = onnx.numpy_helper.to_array(tensor) / np.float32(8)
                tensor.CopyFrom(onnx.numpy_helper.from_array(scale, tensor.name))
        onnx.save(model, str(path))

    monkeypatch.setattr("nevus.exporters.int8.quantise", spoiled)
    out = tmp_path / "small-int8.onnx"
    with pytest.raises(BundleError, match=r"small-int8\.onnx: not written: in int8 .*falls by .* is allowed"):
        export(bundle, "onnx-int8", manifest.path, out, **few)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def knowing(bundle: Bundle, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The bundle with a distance of its photos, of which 97 of 100 are accepted."""
    folder = tmp_path_factory.mktemp("knowing")
    export_onnx(Source(bundle, read_photos(manifest.path, bundle), folder / "x", 200).served, folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    photos = np.stack([read_image(path) for path in manifest.paths()])
    unknown = np.full(len(photos), -1)
    given = {"images": photos, "age": np.full(len(photos), np.nan, np.float32), "sex": unknown, "site": unknown}
    (features,) = session.run(["features"], given)
    novelty = fit_novelty(features[:, :64])
    limit = float(np.quantile(novelty.scores(np.zeros((len(features), 2)), features)["mahalanobis"], 0.97))
    document = {key: value for key, value in bundle.document.items() if key not in ("format", "files", "checksum")}
    document["novelty"] = {"thresholds": {"mahalanobis": {"0.97": limit}}, "decides": "mahalanobis", "accepted": "0.97"}
    document["conformal"] = {"decides": None, "reason": "there are too few"}
    contents = {name: partial(write, content=bundle.read(name)) for name in ("weights.safetensors", "README.md")}
    contents["novelty.safetensors"] = partial(write, content=save(novelty.tensors()))
    contents["model.onnx"] = partial(write, content=(folder / "model.onnx").read_bytes())
    return Bundle.write(folder / "bundle", document, contents)


def test_int8_says_how_many_photos_it_still_accepts(
    knowing: Bundle, manifest: Manifest, tmp_path: Path, few: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "MAX_DROP": {"balanced_accuracy": 1.0, "auc": 1.0},
        "NUM_CALIBRATION": 8,
        "MAX_ACCEPTED_CHANGE": 1.0,
    }.items():
        monkeypatch.setattr(int8, name, value)
    document = export(knowing, "onnx-int8", manifest.path, tmp_path / "small.onnx", **few)
    assert document["int8"]["accepted"]["before"] == pytest.approx(0.97, abs=0.02)
    convolutions = [node for node in onnx.load(str(tmp_path / "small.onnx")).graph.node if node.op_type == "Conv"]
    quantised = ["DequantizeLinear" in node.input[1] for node in convolutions]
    num_float = round(len(convolutions) / 2)
    assert quantised == [place >= num_float for place in range(len(convolutions))], "the first half stays in float32"


def test_int8_must_still_know_photos_like_the_training_images(knowing: Bundle, manifest: Manifest, tmp_path: Path) -> None:
    source = Source(knowing, read_photos(manifest.path, knowing), tmp_path / "x", 200)
    float32, other = knowing.path / "model.onnx", tmp_path / "other.onnx"
    rows = np.arange(len(manifest))
    found = check_accepted(float32, float32, source, rows)
    assert found["before"] == found["after"] == pytest.approx(0.97, abs=0.01)
    # A little noise on what the network sees in the middle, which hardly moves an answer.
    model = onnx.load(str(float32))
    names = [node.input[1] for node in model.graph.node if node.op_type == "Conv"][:8]
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if tensor.name in names:
            values = onnx.numpy_helper.to_array(tensor)
            noise = rng.normal(0, 0.2 * values.std(), values.shape).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values + noise, tensor.name))
    onnx.save(model, str(other))
    with pytest.raises(BundleError, match=r"photos .* are accepted as like the training images, in float32 0\.9"):
        check_accepted(float32, other, source, rows)


def test_an_export_named_nevus_answers_without_weights_and_says_what_it_is(
    knowing: Bundle, manifest: Manifest, tmp_path: Path, few: dict[str, Any]
) -> None:
    out = tmp_path / "small.nevus"
    export(knowing, "onnx", manifest.path, out, **few)
    light = Bundle.load(out)
    assert light.names == ("README.md", "bundle.json", "model.onnx", "novelty.safetensors")
    assert light.document["export"]["weights_sha256"] == knowing.document["files"]["weights.safetensors"]
    assert light.document["export"]["parity"]["num_images"] == 6
    assert "on 6 photos" in description(light.document)["Exported"]
    assert "## Without weights" in light.read("README.md").decode()
    paths = manifest.paths()[:3]
    for one, other in zip(Predictor(light).predict(paths), Predictor(knowing).predict(paths), strict=True):
        assert one.decision == other.decision
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    with pytest.raises(BundleError, match=r"has no weights\.safetensors"):
        export(light, "onnx", manifest.path, tmp_path / "again.onnx", **few)
    with pytest.raises(DataError, match=r"a \.nevus file holds an ONNX model"):
        export(knowing, "litert", manifest.path, out, **few)


def test_groups_are_dealt_out_apart_and_evenly(bundle: Bundle, manifest: Manifest) -> None:
    photos = read_photos(manifest.path, bundle)
    parts = deal(Source(bundle, photos, Path("x"), 200))
    assert photos.groups is not None
    assert photos.targets is not None
    groups = [set(photos.groups[rows]) for rows in (parts.calibration, parts.choice, parts.gate)]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    assert set().union(*groups) == set(photos.groups)
    assert len(groups[0]) == len(parts.calibration), "a photo of each group"
    counts = np.bincount(photos.targets[parts.calibration])
    assert abs(counts[0] - counts[1]) <= 0.3 * counts.sum()


def test_what_cannot_be_compared_is_refused_with_a_remedy(bundle: Bundle, manifest: Manifest, tmp_path: Path) -> None:
    for words, match in [
        (("tflite", manifest.path, "x"), r"--to tflite: there is no such format. There are onnx, onnx-int8"),
        (("onnx-int8", manifest.root, "x"), "a folder names no diagnoses, and int8 is measured by them. Give a manifest"),
        (("onnx", manifest.path, bundle.path / "model.onnx"), "lies in the bundle"),
    ]:
        with pytest.raises(DataError, match=match):
            export(bundle, words[0], words[1], tmp_path / words[2])
    some = manifest.where(np.arange(len(manifest)) < 50).write(tmp_path / "some.csv")
    with pytest.raises(DataError, match=r"50 photos; an export is compared .* on at least 200\. Give more"):
        export(bundle, "onnx", some.path, tmp_path / "x")
    with pytest.raises(DataError, match=r"photos would be left to measure int8 on.*; at least 200 of all classes"):
        export(bundle, "onnx-int8", some.path, tmp_path / "x")
    bare = replace(bundle, document={**bundle.document, "files": {}})
    with pytest.raises(BundleError, match=r"has no weights\.safetensors"):
        export(bare, "onnx", manifest.path, tmp_path / "x")
    assert not (tmp_path / "x").exists()
