"""Whether a bundle works: its hashes, what it says, and that it answers, shown on a phantom."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from nevus.bundle import Bundle
from nevus.bundle.schema import check_schema
from nevus.data.crops import Crop
from nevus.data.lesions import Lesion
from nevus.errors import BundleError, NevusError
from nevus.files import writing
from nevus.predictor import Predictor

# Height and width of the phantom; with all metadata, then with none.
_SHAPE = (150, 200)
_METADATA: dict[str, list[object]] = {"age_years": [61.0], "sex": ["female"], "site": ["torso"]}


def verify(path: Path | str) -> Iterator[str]:
    """Check a bundle, and say of each check that held what was seen.

    Parameters
    ----------
    path
        The bundle, a folder or a .nevus file.

    Yields
    ------
    One sentence a check.

    Raises
    ------
    BundleError
        The first check that does not hold.

    Examples
    --------
    >>> for line in verify("runs/zoome/bundle"):  # doctest: +SKIP
    ...     print(line)
    5 files are as they were written
    ...
    """
    bundle = Bundle.load(path)
    yield f"{len(bundle.names)} files are as they were written, each by its SHA-256"
    check_schema(bundle)
    yield "bundle.json says all that an answer needs"
    for name in bundle.names:
        if name.endswith(".safetensors"):
            yield f"{name} holds {_num_tensors(bundle, name)} arrays and no code"
    predictor = Predictor(bundle, num_threads=1)
    yield "model.onnx loads, and its inputs and outputs are those that bundle.json says"
    for words, metadata in {"with metadata": _METADATA, "of the image alone": None}.items():
        answer = _answer(predictor, metadata)
        ranked = sorted(answer.items(), key=lambda item: -item[1])
        yield f"it answers {words}: " + ", ".join(f"{name} {probability:.3f}" for name, probability in ranked)


def _num_tensors(bundle: Bundle, name: str) -> int:
    try:
        return len(load(bundle.read(name)))
    except SafetensorError as error:
        raise BundleError(f"{bundle.path}: its {name} is no safetensors file ({error}). Train it again.") from error


def _answer(predictor: Predictor, metadata: dict[str, list[object]] | None) -> dict[str, float]:
    """The probabilities for a phantom lesion, from file to answer."""
    bundle = predictor.bundle
    image = Lesion.create("nv", np.random.default_rng(0)).paint(np.random.default_rng(1), *_SHAPE)
    with tempfile.TemporaryDirectory(prefix="nevus-") as folder:
        path = Path(folder) / "phantom.png"
        with writing(path):
            path.write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
        if bundle.document["preprocessing"].get("crop", "none") != "none":
            path = Crop(20, 20, 130, 180, *_SHAPE).of(path)
        try:
            (answer,) = predictor.predict([path], metadata)
        except NevusError:
            raise
        except Exception as error:  # onnxruntime raises classes of its own, private ones: the graph loads and cannot run
            raise BundleError(f"{bundle.path}: its model.onnx fails on a phantom ({error}). Train it again.") from error
    values = np.array(list(answer.probabilities.values()))
    if not (np.isfinite(values).all() and abs(values.sum() - 1) < 1e-5):
        raise BundleError(f"{bundle.path}: its probabilities for a phantom sum to {values.sum():g}, not 1. Train it again.")
    return answer.probabilities
