"""An exported network answers as the trained one does, at any batch size, and is refused where it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from nevus.data.metadata import MetadataEncoder
from nevus.data.views import VIEWS, seen
from nevus.errors import BundleError
from nevus.exporters.onnx import export_onnx
from nevus.exporters.served import Served
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe

pytestmark = pytest.mark.export

ZOOME = {"backbone": "tf_efficientnet_lite0", "attention": {"kind": "zoom_se"}, "fusion": {"kind": "multiply"}}
SOFT = {"attention": {"kind": "soft"}, "fusion": {"kind": "concat"}}
PUBLISHED = {"attention": {"kind": "soft", "mode": "code"}, "fusion": {"kind": "mlp"}, "pooling": "flatten"}
TRANSFORMED = {"transform": "dct", "map_transform": "dft", "drop_block": 0.5, "drop_block_side": 2}
PLAIN: dict[str, Any] = {"attention": {"kind": "zoom_se", "placement": "pre", "gate": "literal"}}
TURNED: dict[str, Any] = {"bgr": True, "fusion": {"kind": "multiply", "activation": "one_plus_tanh"}}


def network_of(settings: dict[str, Any], size: int) -> LesionClassifier:
    """As after training: gates and embeddings that depend on their input."""
    torch.manual_seed(0)
    network = LesionClassifier(ModelRecipe.model_validate({"backbone": "resnet10t", **settings}), 7, num_metadata=5, size=size)
    for name, parameter in network.named_parameters():
        if "excite" in name or "second.weight" in name or "bn2.weight" in name:
            nn.init.normal_(parameter)
    return network.eval()


def served_of(settings: dict[str, Any], size: int, **preprocessing: Any) -> Served:
    encoder = MetadataEncoder(("age", "sex"), 50.0, 10.0)
    return Served(network_of(settings, size), encoder, {"size": size, "resolutions": [], "views": 1, **preprocessing}, 1.5)


def run(path: Path, names: list[str], **inputs: Any) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # A fusion of kind "none" reads no metadata, and the exporter leaves out what is not read.
    return session.run(names, {node.name: inputs[node.name] for node in session.get_inputs()})


def photos(num: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, height, width, 3), np.uint8)


# 80 pixels make maps of 3×3 and 5×5, whose four windows overlap.
@pytest.mark.parametrize(
    ("settings", "size"),
    [(ZOOME, 64), (ZOOME, 80), (SOFT, 80), (PUBLISHED, 64), (PLAIN, 80), (TURNED, 64), (TRANSFORMED, 80)],
    ids=["zoome-64", "zoome-80", "soft", "published", "plain", "bgr", "transformed"],
)
def test_the_exported_graph_gives_the_networks_probabilities(settings: dict[str, Any], size: int, tmp_path: Path) -> None:
    served = served_of(settings, size)
    export_onnx(served, tmp_path / "model.onnx")
    for num, height, width in ((1, 100, 75), (4, 31, 57)):
        images, sex = photos(num, height, width), np.array([1, -1, 0, 7], np.int64)[:num]
        age, site = np.array([70, np.nan, np.nan, 30], np.float32)[:num], np.full(num, -1, np.int64)
        found, logits = run(tmp_path / "model.onnx", ["probabilities", "logits"], images=images, age=age, sex=sex, site=site)
        columns: dict[str, Any] = {"age_years": age, "sex": [{0: "female", 1: "male"}.get(code, "") for code in sex.tolist()]}
        metadata, missing = served.encoder.encode(columns, num)
        # By torch's own resize, layer by layer.
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        small = torch.nn.functional.interpolate(batch, (size, size), mode="bilinear", antialias=True) / 255
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (served.network.mean, served.network.std))
        with torch.no_grad():
            expected = served.network((small - mean) / std, torch.from_numpy(metadata), torch.from_numpy(~missing.all(axis=1)))
        np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
        np.testing.assert_allclose(found, torch.softmax(expected / 1.5, dim=1).numpy(), atol=1e-4)


@pytest.mark.slow
def test_a_photo_at_several_sizes_and_in_several_views_is_one_graph_with_one_set_of_weights(tmp_path: Path) -> None:
    settings = {"fusion": {"kind": "multiply"}}
    export_onnx(served_of(settings, 64), tmp_path / "one")
    export_onnx(served_of(settings, 48), tmp_path / "small")
    export_onnx(served_of(settings, 64, resolutions=[48], views=8), tmp_path / "both")
    export_onnx(served_of(settings, 64, central=[0.5]), tmp_path / "middle")
    export_onnx(served_of(settings, 64, central=[1.0, 0.5]), tmp_path / "whole and middle")
    given = {"images": photos(2, 50, 60), "age": np.array([40, np.nan], np.float32)}
    given |= {"sex": np.array([0, -1]), "site": np.array([-1, -1])}
    logits, view_logits, features = run(tmp_path / "both", ["logits", "view_logits", "features"], **given)
    seen_as = [{**given, "images": np.ascontiguousarray(seen(given["images"], view))} for view in VIEWS]
    apart = [[run(tmp_path / name, ["logits", "features"], **one) for name in ("one", "small")] for one in seen_as]
    by_view = np.array([[outputs[0] for outputs in one] for one in apart]).mean(axis=1)
    np.testing.assert_allclose(view_logits, by_view, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, by_view.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(features, np.mean([outputs[1] for outputs in apart[0]], axis=0), rtol=1e-4, atol=1e-4)
    whole, middle, mean = (run(tmp_path / name, ["logits"], **given)[0] for name in ("one", "middle", "whole and middle"))
    np.testing.assert_allclose(mean, (whole + middle) / 2, rtol=1e-4, atol=1e-4)
    assert np.abs(whole - middle).max() > 1e-3
    weights = sum(parameter.numel() for parameter in network_of(settings, 64).parameters()) * 4
    assert (tmp_path / "both").stat().st_size - (tmp_path / "one").stat().st_size < weights / 10


def spoiled_resize(length: int, size: int, share: float) -> torch.Tensor:
    """As a graph without antialiasing would have it, of the whole photo."""
    assert share == 1
    places, scale = torch.arange(length).float(), torch.ones(length).sum() / size
    triangle = (1 - (places - ((torch.arange(size) + 0.5) * scale - 0.5)[:, None]).abs()).clamp(min=0)
    return triangle / triangle.sum(dim=1, keepdim=True)


def spoiled_metadata(self: Served, columns: Any) -> Any:
    metadata, present = encoded(self, columns)
    return metadata.flip(1), present


encoded = Served._encoded


@pytest.mark.parametrize(
    ("place", "fault"),
    [("_weights", spoiled_resize), ("Served._encoded", spoiled_metadata), ("VIEWS", ((True, ()), (False, (1,))))],
    ids=["resize", "metadata", "views"],
)
def test_a_graph_that_does_something_else_is_refused(
    place: str, fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"nevus.exporters.served.{place}", fault)
    with pytest.raises(BundleError, match=r"model\.onnx: differs from the trained network by .*; at most 0.0001 is allowed"):
        export_onnx(served_of(SOFT, 64), tmp_path / "model.onnx")
