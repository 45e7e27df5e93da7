"""A predictor whose answers are a plain function of the pixels and of the batch they are in, for tests of what lies around it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from nevus.data.cases import Case
from nevus.predictor.answer import Answer

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


class StubPredictor:
    """`asked` has the metadata of every batch that was predicted."""

    cropped = False
    side = 40
    num_workers = 1

    def __init__(self, classes: Sequence[str] = CLASSES, checksum: str = "0" * 64) -> None:
        document = {"checksum": checksum, "novelty": {"decides": "mahalanobis"}}
        self.bundle = SimpleNamespace(classes=tuple(classes), document=document, path=Path("stub"))
        self.asked: list[Mapping[str, Sequence[Any]]] = []

    def check_crops(self, images: Sequence[Path | str]) -> None:
        """All are whole."""

    def outputs(self, images: Sequence[Any], metadata: Mapping[str, Sequence[Any]], *, cropped: bool) -> np.ndarray:
        self.asked.append(metadata)
        means = np.array([image.reshape(-1, 3).mean(axis=0).sum() for image in images])
        # As in a real session, an image's last digits depend on its batch.
        return np.outer(means, np.arange(1, len(self.bundle.classes) + 1)) + means.sum() * 1e-9

    def answers(self, images: Sequence[Path], outputs: np.ndarray) -> list[Answer]:
        shares = outputs / outputs.sum(axis=1, keepdims=True)
        rows = [dict(zip(self.bundle.classes, row.tolist(), strict=True)) for row in shares]
        return [
            Answer(str(image), row, row["mel"], "nv", False, ["no reason, with a comma"])
            for image, row in zip(images, rows, strict=True)
        ]


def stub() -> Any:
    """One that the type checker takes for a `Predictor`."""
    return StubPredictor()


def write_images(folder: Path, num_images: int) -> list[Case]:
    """Small noisy PNGs and their cases."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    paths = [folder / f"ISIC_{number:07d}.png" for number in range(num_images)]
    for path in paths:
        cv2.imwrite(str(path), rng.integers(0, rng.integers(100, 256), (20, 24, 3), dtype=np.uint8))
    return [Case(path) for path in paths]
