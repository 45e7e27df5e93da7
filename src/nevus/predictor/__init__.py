"""The only way from an image to an answer: the bundle's preprocessing, its ONNX model, its temperature, its threshold.

No torch and no pandas are imported here. Cross-validation's predictions come through this same path, so what is measured is
what is served, from file to probability.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file

from nevus.bundle import Bundle
from nevus.data.augment import VIEWS, View, centre_matrix, warp
from nevus.data.cases import Case
from nevus.data.crops import split_crop
from nevus.data.images import Pixels, load_image, shrink
from nevus.data.metadata import MetadataEncoder
from nevus.errors import BundleError, DataError
from nevus.metrics.novelty import Novelty
from nevus.predictor.answer import Answer, Probabilities, answer, chosen_point, stated_priors, with_novelty, with_set
from nevus.predictor.stream import Unreadable, predict_stream

__all__ = ["Answer", "Outputs", "Predictor", "Probabilities", "input_sizes", "softmax"]

MetadataColumns = Mapping[str, Sequence[Any] | NDArray[Any]]


@dataclass(frozen=True)
class Outputs:
    """What the network gives: logits (N, num_classes), of all views; features (N, F) of the images as they are, or None."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32] | None


class Predictor:
    """Answers for images with any subset of the metadata, or none.

    Parameters
    ----------
    bundle
        A bundle or the path of one.
    num_threads
        Threads of the ONNX runtime; 0 lets it choose.
    operating_point
        One of the bundle's rules, as in "sensitivity:0.95"; by default its main one.
    prevalence
        Shares of some classes where it is used, as in {"mel": 0.02}; the others keep their proportions. It moves the
        probabilities and the threshold alike, so it changes no decision.

    Raises
    ------
    BundleError
        The bundle cannot be loaded, has no such operating point, or does not say what shares its probabilities belong to.
    DataError
        The prevalence cannot be.

    Examples
    --------
    >>> predictor = Predictor("runs/zoome/bundle")                        # doctest: +SKIP
    >>> predictor.predict(["lesion.jpg"], {"age_years": [61]})[0].decision  # doctest: +SKIP
    'malignant'
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        num_threads: int = 0,
        *,
        operating_point: str | None = None,
        prevalence: Mapping[str, float] | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        document = self.bundle.document
        self._preprocessing = document["preprocessing"]
        self._mean = np.array(self._preprocessing["mean"], np.float32)
        self._std = np.array(self._preprocessing["std"], np.float32)
        self._crop = self._preprocessing.get("crop", "none")
        self._encoder = MetadataEncoder.from_json(document["metadata"])
        self._temperature = float(document["temperature"])
        self._point = chosen_point(self.bundle, operating_point)
        self._priors = stated_priors(self.bundle, prevalence) if prevalence else None
        known = "novelty" in document
        self.novelty = Novelty.from_tensors(load_file(self.bundle.path / "novelty.safetensors")) if known else None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3
        path = self.bundle.path / "model.onnx"
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own, private ones
            raise BundleError(f"{path}: cannot be loaded ({error}). Copy the bundle again.") from error

    @property
    def short_side(self) -> int:
        """The side, in pixels, that an image's shorter one is brought to before it is stretched to the network's input."""
        return int(self._preprocessing["short_side"])

    @property
    def cropped(self) -> bool:
        """Whether the bundle answers for lesions cropped by their masks, and not for whole images."""
        return bool(self._crop != "none")

    @property
    def crop_margin(self) -> float:
        """How much is left about each lesion, for `nevus.data.masks.crop_paths`; a bundle trained on whole images has none."""
        if self._crop == "none":
            self._refuse("masks are given")
        return float(self._preprocessing["crop_margin"])

    def predict(self, images: Sequence[Path | str], metadata: MetadataColumns | None = None) -> list[Answer]:
        """Answer for image files.

        Parameters
        ----------
        images
            Paths; of a bundle that was trained on crops, as `nevus.data.masks.crop_paths` makes them.
        metadata
            Columns `age_years`, `sex`, `site`, each as long as `images`; a column, or a value ("" or NaN), may be missing. What
            a DICOM file says is used where nothing else is known.

        Raises
        ------
        DataError
            An image cannot be read.
        BundleError
            The bundle was trained on crops and whole images are given, or the other way round.
        """
        known = {name: values for name, values in (metadata or {}).items() if name in ("age_years", "sex", "site")}
        cases = [Case.of(image, **{name: values[row] for name, values in known.items()}) for row, image in enumerate(images)]
        answers = []
        for batch in predict_stream(self, cases):
            for said in batch:
                if isinstance(said, Unreadable):
                    raise DataError(said.error)
                answers.append(said)
        return answers

    def answers(self, images: Sequence[Path | str], outputs: Outputs) -> list[Answer]:
        """What is made of a batch's outputs: an answer for each image, which is called by its path."""
        document = self.bundle.document
        probabilities, scores = self.probabilities(outputs.logits), self.novelty_scores(outputs)
        answers = []
        for index, (path, row) in enumerate(zip(images, probabilities, strict=True)):
            said = answer(split_crop(path)[0], row, self.bundle.classes, self._point, self._priors)
            if "conformal" in document:
                said = with_set(said, document["conformal"])
            if scores is not None:
                own = {name: float(values[index]) for name, values in scores.items()}
                said = with_novelty(said, own, document["novelty"])
            answers.append(said)
        return answers

    def novelty_scores(self, outputs: Outputs) -> dict[str, NDArray[np.float64]] | None:
        """Each score of `nevus.metrics.novelty`, (N,), larger for images less like the training images; None of an old bundle."""
        if self.novelty is None or outputs.features is None:
            return None
        return self.novelty.scores(outputs.logits, outputs.features)

    def predict_logits(
        self, images: Sequence[Path | str], metadata: MetadataColumns | None = None, batch_size: int = 32
    ) -> NDArray[np.float32]:
        """Logits (N, num_classes) of many files, before the temperature. Errors are those of `predict_outputs`."""
        return self.predict_outputs(images, metadata, batch_size).logits

    def predict_outputs(
        self, images: Sequence[Path | str], metadata: MetadataColumns | None = None, batch_size: int = 32
    ) -> Outputs:
        """What the network gives for many files, decoded by threads a batch ahead.

        Raises
        ------
        BundleError
            The bundle was trained on crops and whole images are given, or the other way round.
        """
        self.check_crops(images)
        columns = metadata or {}
        starts, short_side = range(0, len(images), batch_size), self._preprocessing["short_side"]
        parts = []
        with ThreadPoolExecutor() as pool:
            for start, batch in zip(starts, _loaded(pool, images, short_side, batch_size), strict=True):
                part = {name: values[start : start + batch_size] for name, values in columns.items()}
                parts.append(self.outputs(batch, part, cropped=self._crop != "none"))
        if not parts:
            return Outputs(np.zeros((0, len(self.bundle.classes)), np.float32), None)
        features = [part.features for part in parts if part.features is not None]
        return Outputs(np.concatenate([part.logits for part in parts]), np.concatenate(features) if features else None)

    def check_crops(self, images: Sequence[Path | str]) -> None:
        """Refuse whole images where the bundle was trained on crops, and the other way round, with a `BundleError`."""
        wrong = [path for path in images if (split_crop(path)[1] is None) == self.cropped]
        if wrong:
            self._refuse(f"{wrong[0]} is {'a whole image' if self.cropped else 'a part of an image'}")

    def probabilities(self, logits: NDArray[np.float32]) -> Probabilities:
        """Calibrated probabilities of logits, at the bundle's temperature."""
        return softmax(logits, self._temperature)

    def logits(
        self, images: Sequence[Pixels], metadata: MetadataColumns | None = None, *, cropped: bool = False
    ) -> NDArray[np.float32]:
        """Logits (N, num_classes) of a batch of images. See `outputs`."""
        return self.outputs(images, metadata, cropped=cropped).logits

    def outputs(self, images: Sequence[Pixels], metadata: MetadataColumns | None = None, *, cropped: bool = False) -> Outputs:
        """What the network gives for a batch of images, uint8 RGB, whole or from `load_image`; logits are means over the views.

        `cropped` says that they are parts, which a bundle trained on crops must have and another may not.
        """
        views = list(self.view_outputs(images, metadata, cropped=cropped))
        total = np.zeros((len(images), len(self.bundle.classes)), np.float32)
        for view in views:
            total += view.logits
        # Features are those of the first view, the image as it is.
        return Outputs(total / np.float32(len(views)), views[0].features)

    def view_outputs(
        self, images: Sequence[Pixels], metadata: MetadataColumns | None = None, *, cropped: bool = False
    ) -> Iterator[Outputs]:
        """What the network gives for each of the bundle's views in turn; `outputs` has the mean of their logits."""
        if cropped != (self._crop != "none"):
            self._refuse(f"these images are {'parts' if cropped else 'whole'}")
        size, short_side = self._preprocessing["size"], self._preprocessing["short_side"]
        small = [shrink(image, short_side) for image in images]
        sizes = input_sizes(size, self._preprocessing.get("resolutions", ()))
        inputs_at = {name: self._normalised(small, side) for name, side in sizes.items()}
        vector, missing = self._encoder.encode(metadata or {}, len(images))
        inputs = {"metadata": vector, "present": ~missing.all(axis=1)}
        # A network without metadata has no use for two of the inputs, and ONNX keeps only what is used.
        used = {value.name: inputs[value.name] for value in self._session.get_inputs() if value.name in inputs}
        # What the network saw is asked for only where something is made of it.
        names = ["logits"] if self.novelty is None else ["logits", "features"]
        for view in VIEWS[: self._preprocessing["views"]]:
            views = {name: _seen(batch, view).transpose(0, 3, 1, 2) for name, batch in inputs_at.items()}
            given = {name: np.ascontiguousarray(view) for name, view in views.items()}
            logits, *seen = self._session.run(names, {**used, **given})
            yield Outputs(np.asarray(logits), seen[0] if seen else None)

    def _refuse(self, found: str) -> None:
        if self._crop == "none":
            raise BundleError(f"{self.bundle.path}: trained on whole images, and {found}. Give no masks.")
        raise BundleError(
            f"{self.bundle.path}: trained on lesions cropped by their masks, and {found}; its answers would mean nothing. "
            "Give the masks: nevus predict --masks FOLDER."
        )

    def _normalised(self, images: Sequence[Pixels], size: int) -> NDArray[np.float32]:
        """The images stretched to `size`, (N, size, size, 3), as the network was trained on them."""
        pixels = np.stack([warp(image, centre_matrix(image.shape[0], image.shape[1], size), size) for image in images])
        return np.asarray((pixels.astype(np.float32) / 255 - self._mean) / self._std)


def input_sizes(size: int, resolutions: Sequence[int]) -> dict[str, int]:
    """The side, in pixels, of each input of an exported network that takes the photo.

    >>> input_sizes(128, [96, 160])
    {'images': 128, 'images_96': 96, 'images_160': 160}
    """
    return {"images": size, **{f"images_{side}": side for side in resolutions}}


def _seen(batch: NDArray[np.float32], view: View) -> NDArray[np.float32]:
    """The batch (N, H, W, 3) in another view."""
    return np.flip(batch.swapaxes(1, 2) if view.transposed else batch, view.axes)


def softmax(logits: NDArray[np.float32], temperature: float) -> Probabilities:
    """Softmax of logits / temperature over the last axis, in float64."""
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def _loaded(pool: ThreadPoolExecutor, images: Sequence[Path | str], short_side: int, batch_size: int) -> Iterator[list[Pixels]]:
    """Batches of images as a pack holds them; the next one is being decoded while the caller works on this one."""
    waiting = [pool.submit(load_image, path, short_side) for path in images[:batch_size]]
    for start in range(0, len(images), batch_size):
        ahead = [pool.submit(load_image, path, short_side) for path in images[start + batch_size : start + 2 * batch_size]]
        yield [future.result() for future in waiting]
        waiting = ahead
