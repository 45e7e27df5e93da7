"""What `verify` finds in a bundle whose hashes are all right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from small_model import small_model

from nevus.bundle import Bundle
from nevus.bundle.pack import pack
from nevus.errors import BundleError
from nevus.files import write
from nevus.predictor import Predictor
from nevus.predictor.session import ports
from nevus.predictor.verify import verify

DOCUMENT: dict[str, Any] = {
    "name": "small",
    "task": "malignant",
    "classes": ["benign", "malignant"],
    "preprocessing": {"size": 32, "resolutions": [], "views": 1, "crop": "none"},
    "metadata": {"fields": [], "age_mean": 50.0, "age_sd": 10.0, "categories": {}},
    "temperature": 1.25,
    "operating_point": {"positive": "malignant", "rule": "youden", "threshold": 0.5},
    "conformal": {"decides": None, "reason": "there are no validation images"},
    "novelty": {"decides": "energy", "accepted": None, "thresholds": {}},
}
INPUTS, OUTPUTS = ports(Bundle(Path("small"), DOCUMENT))


class NoScores:
    def scores(self, logits: object, features: object) -> dict[str, object]:
        return {}


@pytest.fixture
def _no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept to know unlike images by has tests of its own."""
    monkeypatch.setattr("nevus.predictor._novelty", lambda bundle: NoScores())


def bundle_of(path: Path, *, scale: float = 1.0, weights: bytes | None = None, **changes: Any) -> Bundle:
    contents = {"model.onnx": small_model(INPUTS, OUTPUTS, scale).SerializeToString()}
    contents["weights.safetensors"] = save({"w": np.zeros(3, np.float32)}) if weights is None else weights
    return Bundle.write(path, {**DOCUMENT, **changes}, {name: lambda path: write(path, contents[path.name]) for name in contents})


@pytest.mark.usefixtures("_no_scores")
def test_a_whole_bundle_says_what_it_saw(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle")
    for path in (bundle.path, pack(bundle, tmp_path / "small.nevus").path):
        lines = list(verify(path))
        assert "3 files are as they were written" in lines[0]
        assert "weights.safetensors holds 1 arrays" in lines[2]
        assert [line.split(":")[0] for line in lines[-2:]] == ["it answers with metadata", "it answers of the image alone"]
        assert "malignant" in lines[-1]


@pytest.mark.usefixtures("_no_scores")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": "hot"}, "temperature: hot, expected a number above 0"),
        ({"classes": ["benign", "benign"]}, "classes: .*expected two or more different names"),
        ({"operating_point": {"positive": "mel", "rule": "youden", "threshold": 0.5}}, "mel, which is none of the classes"),
        ({"classes": ["benign", "malignant", "unsure"]}, r"output logits: float \(any, 2\), expected float \(any, 3\)"),
        ({"preprocessing": {"size": 32, "views": 1, "central": [0.8, 1.2]}}, r"central: \[0\.8, 1\.2\], expected a list of"),
        ({"preprocessing": {"size": 32, "views": 1, "central": []}}, r"central: \[\], expected a list of shares above 0"),
        (
            {"preprocessing": {"size": 32, "views": 1, "resolutions": [48.5]}},
            r"resolutions: \[48\.5\], expected a list of",
        ),
        ({"preprocessing": {"size": 32, "views": 1, "crop": "lesion"}}, "crop: lesion, expected none or mask"),
        ({"decisions": "best"}, "decisions: best, expected likeliest or balanced"),
        ({"weights": b"no safetensors"}, r"its weights\.safetensors is no safetensors file"),
        ({"scale": float("nan")}, "its probabilities for a phantom sum to nan, not 1"),
    ],
)
def test_what_hashes_do_not_find(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    bundle = bundle_of(tmp_path / "bundle", **changes)
    with pytest.raises(BundleError, match=message):
        list(verify(bundle.path))


@pytest.mark.parametrize("weights", [b"no safetensors", save({"w": np.zeros(3, np.float32)})])
def test_scores_that_are_none_are_an_error_of_the_bundle(tmp_path: Path, weights: bytes) -> None:
    contents = {"model.onnx": small_model(INPUTS, OUTPUTS).SerializeToString(), "novelty.safetensors": weights}
    path = tmp_path / "bundle"
    Bundle.write(path, DOCUMENT, {name: lambda path: write(path, contents[path.name]) for name in contents})
    with pytest.raises(BundleError, match=r"its novelty\.safetensors does not hold the scores"):
        Predictor(path)
