"""What a stranger installs: the wheel has the models, and answers on a real photograph without anything of training."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nevus.bundle import Bundle
from nevus.predictor.shipped import DEFAULT, shipped_bundle

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
# As good as not installed: none of them is a base dependency.
ABSENT = ("torch", "torchvision", "timm", "accelerate", "onnx", "onnxscript", "sklearn")
ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import nevus
assert nevus.__file__.startswith({folder!r}), nevus.__file__
from nevus.__main__ import main
main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("nevus-*.whl")
    with zipfile.ZipFile(path) as file:
        file.extractall(folder / "content")
    return folder / "content"


def _nevus(wheel: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """`nevus` of the wheel, in a process of its own."""
    script = ALONE.format(absent=ABSENT, folder=str(wheel))
    # Not measured: the lines of an unpacked wheel would count as files of their own, most of them never run.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | {"PYTHONPATH": str(wheel)}
    return subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, env=environment)


def test_the_models_are_in_it_and_small(wheel: Path) -> None:
    models = {path.stem: path.stat().st_size for path in (wheel / "nevus" / "models").glob("*.nevus")}
    assert set(models) == {"mobile", DEFAULT}
    assert sum(models.values()) <= 25_000_000
    assert models[DEFAULT] <= 6_000_000


@pytest.mark.parametrize("bundle", [(), ("--bundle", "mobile")], ids=["default", "mobile"])
def test_it_answers_on_a_real_photograph_without_torch(wheel: Path, real_data: Path, bundle: tuple[str, ...]) -> None:
    # A melanoma and a nevus that the model was trained on: what is tested is that it works, not how well.
    photos = [real_data / "ham10000" / "images" / f"{name}.jpg" for name in ("ISIC_0024310", "ISIC_0024306")]
    done = _nevus(wheel, "predict", *photos, *bundle, "--age", 61, "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [answer["unlike"] for answer in answers] == [False, False]
    melanoma, nevus = (answer["probabilities"] for answer in answers)
    assert sum(melanoma.values()) == pytest.approx(1)
    assert melanoma["mel"] > nevus["mel"]
    assert nevus["nv"] > melanoma["nv"]


@pytest.mark.parametrize("name", ["mobile", DEFAULT])
def test_the_card_says_what_a_stranger_must_know(wheel: Path, name: str) -> None:
    done = _nevus(wheel, "bundle", "verify", wheel / "nevus" / "models" / f"{name}.nevus")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(wheel / "nevus" / "models" / f"{name}.nevus") as file:
        (card,) = (file.read(member).decode() for member in file.namelist() if member.endswith("README.md"))
    for words in ("CC-BY-NC-4.0", "non-commercial", "not for diagnosis", "Tschandl", "strict", "95%"):
        assert words in card, words


def test_the_demo_on_real_photographs_needs_no_torch(wheel: Path, real_data: Path, tmp_path: Path) -> None:
    photo = real_data / "ham10000" / "images" / "ISIC_0024310.jpg"
    done = _nevus(wheel, "demo", "--real", "--images", photo, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "data:image/jpeg" in (tmp_path / "real.html").read_text()


def test_the_readme_says_of_the_model_what_was_measured() -> None:
    bundle = Bundle.load(shipped_bundle())
    metrics = bundle.document["evaluation"]["metrics"]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words, name in (
        ("macro AUC", "macro_auc"),
        ("balanced accuracy", "balanced_accuracy"),
        ("sensitivity", "sensitivity"),
        ("specificity", "specificity"),
    ):
        figure = metrics[name]
        assert f"{words} {figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]" in text
    assert f"{metrics['macro_auc']['n']:,} photos" in text
