"""The only way from an image to an answer: the bundle's ONNX graph, its operating point, its limits.

No torch and no pandas are imported here. The graph holds the preprocessing and the temperature; cross-validation's predictions
come through this same path, so what is measured is what is served, from file to probability.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from nevus.bundle import Bundle
from nevus.bundle.schema import check_schema
from nevus.data.cases import Case
from nevus.data.crops import split_crop
from nevus.data.images import Pixels, is_blank
from nevus.data.looks import looks_of, side_for
from nevus.data.metadata import MetadataEncoder, coded
from nevus.data.views import VIEWS, seen
from nevus.errors import BundleError, DataError
from nevus.metrics.novelty import Novelty
from nevus.predictor.answer import (
    Answer,
    Probabilities,
    answer,
    chosen_point,
    decision_weights,
    stated_priors,
    with_novelty,
    with_set,
    without_content,
)
from nevus.predictor.batches import alike, loaded
from nevus.predictor.outputs import Outputs, joined, softmax
from nevus.predictor.session import open_session, ports
from nevus.predictor.stream import Unreadable, predict_stream
from nevus.processors import num_processors

__all__ = ["Answer", "Outputs", "Predictor", "Probabilities", "softmax"]

MetadataColumns = Mapping[str, Sequence[Any] | NDArray[Any]]


class Predictor:
    """Answers for images with any subset of the metadata, or none.

    Parameters
    ----------
    bundle
        A bundle or the path of one.
    num_threads
        Threads that the graph runs on; 0 is one for each core.
    operating_point
        One of the bundle's rules, as in "sensitivity:0.95"; by default its main one.
    prevalence
        Shares of some classes where it is used, as in {"mel": 0.02}; the others keep their proportions. It moves the
        probabilities and the threshold alike, so it changes no decision.
    many
        Whether `predict` shall answer many photos soon and not each at once: then each thread runs the graph for photos of its
        own, and waits for no other's part of the same one.

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
        many: bool = False,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
        check_schema(self.bundle)
        document = self.bundle.document
        self._preprocessing = document["preprocessing"]
        self._crop = self._preprocessing.get("crop", "none")
        MetadataEncoder.from_json(document["metadata"])  # refuses other codes than this version's
        self._temperature = float(document["temperature"])
        self._point = chosen_point(self.bundle, operating_point)
        self._weights = decision_weights(document)
        self._priors = stated_priors(self.bundle, prevalence) if prevalence else None
        self._novelty = _novelty(self.bundle)
        self.num_workers = (num_threads or num_processors()) if many else 1
        self._session = open_session(self.bundle, *ports(self.bundle), 1 if many else num_threads)
        # A network without metadata has no use for three of the inputs, and ONNX keeps only what is used.
        self._inputs = [value.name for value in self._session.get_inputs()]

    @property
    def side(self) -> int:
        """Pixels that a photo's shorter side may be reduced to; see `nevus.data.images.read_reduced`."""
        return side_for(looks_of(self._preprocessing))

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
            said = answer(split_crop(path)[0], row, self.bundle.classes, self._point, self._priors, self._weights)
            said = with_set(said, document["conformal"])
            own = {name: float(values[index]) for name, values in scores.items()}
            said = with_novelty(said, own, document["novelty"])
            answers.append(without_content(said) if outputs.blank[index] else said)
        return answers

    def novelty_scores(self, outputs: Outputs) -> dict[str, NDArray[np.float64]]:
        """Each score of `nevus.metrics.novelty`, (N,), larger for images less like the training images."""
        return self._novelty.scores(outputs.logits, outputs.features)

    @property
    def num_texture_features(self) -> int:
        """How many of `Outputs.features` the Mahalanobis distance is of; they come first, then what the head reads."""
        return int(self._novelty.mahalanobis.means.shape[1])

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
        columns, parts = metadata or {}, []
        with ThreadPoolExecutor() as pool:
            for start, batch in loaded(pool, images, self.side, batch_size):
                part = {name: values[start : start + batch_size] for name, values in columns.items()}
                parts.append(self.outputs(batch, part, cropped=self._crop != "none"))
        return joined(parts, len(self.bundle.classes))

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
        """What the graph gives for a batch of images, uint8 RGB, of any sizes; logits are means over the bundle's views.

        `cropped` says that they are parts, which a bundle trained on crops must have and another may not.
        """
        logits, features = self._run(["logits", "features"], images, metadata, cropped=cropped)
        return Outputs(logits, features, np.array([is_blank(image) for image in images], np.bool_))

    def view_logits(self, images: Sequence[Pixels], metadata: MetadataColumns | None, num_views: int) -> NDArray[np.float32]:
        """Logits (num_views, N, num_classes) of the first views of whole images, whatever number of them the bundle has."""
        (own,) = self._run(["view_logits"], images, metadata, axis=1)
        further = [
            self._run(["view_logits"], [seen(image[None], view)[0] for image in images], metadata, axis=1)[0][0]
            for view in VIEWS[len(own) : num_views]
        ]
        return np.concatenate([own[:num_views], np.array(further, np.float32).reshape(-1, *own.shape[1:])])

    def _run(
        self,
        names: list[str],
        images: Sequence[Pixels],
        metadata: MetadataColumns | None,
        *,
        axis: int = 0,
        cropped: bool = False,
    ) -> list[NDArray[np.float32]]:
        """Outputs of the graph by name, put together along `axis`, the images', in the order that they were given."""
        if cropped != (self._crop != "none"):
            self._refuse(f"these images are {'parts' if cropped else 'whole'}")
        known = coded(metadata or {}, len(images))
        places, parts = [], []
        for rows in alike(images):
            given = {"images": np.stack([images[row] for row in rows]), **{name: values[rows] for name, values in known.items()}}
            parts.append(self._session.run(names, {name: given[name] for name in self._inputs}))
            places.extend(rows)
        order = np.argsort(places)
        return [np.concatenate(each, axis=axis).take(order, axis=axis) for each in zip(*parts, strict=True)]

    def _refuse(self, found: str) -> None:
        if self._crop == "none":
            raise BundleError(f"{self.bundle.path}: trained on whole images, and {found}. Give no masks.")
        raise BundleError(
            f"{self.bundle.path}: trained on lesions cropped by their masks, and {found}; its answers would mean nothing. "
            "Give the masks: nevus predict --masks FOLDER."
        )


def _novelty(bundle: Bundle) -> Novelty:
    try:
        return Novelty.from_tensors(load(bundle.read("novelty.safetensors")))
    except (SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"{bundle.path}: its novelty.safetensors does not hold the scores ({error}).") from error
