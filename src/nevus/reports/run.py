"""A run folder as the report reads it: the evaluation and predictions must be there, everything else may be gone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.evaluation.predictions import Predictions

# What every evaluation holds; a page without them would not be one.
_REQUIRED = (
    *("protocol", "optimistic", "classes", "positive", "num_images", "operating_point"),
    *("metrics", "per_class", "per_fold", "confusion", "notes", "provenance"),
)
EPOCH_COLUMNS = ["epoch", "train_loss", "validation_loss", "validation_auc", "validation_balanced_accuracy"]


@dataclass(frozen=True)
class Run:
    """What a run left behind.

    `images` has a row an image that was tested or trained on: `image_id`, `target` (the class's name), `fold` (-1 trains
    only) and every manifest column that is known. `missing` says, in sentences, what could not be found and why.
    `pictures_in` is the anchor of an earlier run of the same page and manifest: its photographs are pointed to, not repeated.
    """

    folder: Path
    anchor: str
    evaluation: dict[str, Any]
    predictions: Predictions
    images: pd.DataFrame
    root: Path | None
    epochs: dict[int, pd.DataFrame]
    missing: tuple[str, ...]
    pictures_in: str = ""

    @property
    def provenance(self) -> dict[str, Any]:
        """How the run was made, as far as it was recorded."""
        return dict(self.evaluation["provenance"])

    @property
    def recipe(self) -> dict[str, Any]:
        """The recipe's sections, empty where none was recorded."""
        return dict(self.provenance.get("recipe") or {})

    @property
    def name(self) -> str:
        """The recipe's name, or the folder's."""
        return str(self.recipe.get("name") or self.folder.resolve().name)

    @property
    def protocol(self) -> str:
        """The protocol's name, or "unknown protocol"."""
        return str(self.evaluation["protocol"] or "unknown protocol")

    @property
    def title(self) -> str:
        """What the run is called in headings."""
        return f"{self.name}, {self.protocol}"

    @classmethod
    def read(cls, folder: Path | str, anchor: str = "run-1") -> "Run":
        """Read a run folder.

        Raises
        ------
        DataError
            `evaluation.json` or `predictions.csv` is missing, not what it must be, or not of the same answers.
        """
        folder = Path(folder)
        evaluation = _json(folder / "evaluation.json", "nevus evaluate writes it.")
        if absent := [name for name in _REQUIRED if name not in evaluation]:
            raise DataError(
                f"{folder / 'evaluation.json'}: no evaluation, it has no {', '.join(absent)}. nevus evaluate writes one."
            )
        if (folder / "recipe.json").exists():
            evaluation["provenance"].setdefault("recipe", _json(folder / "recipe.json", "Remove it."))
        predictions = Predictions.read(folder / "predictions.csv").deciding(evaluation.get("decisions"))
        _check_same(folder, evaluation, predictions)
        manifest, problem = _manifest(evaluation["provenance"])
        missing = [problem] if problem else []
        if not (folder / "folds.csv").exists():
            missing.append("The run has no folds.csv: folds are those of its predictions; images that only train are not known.")
        epochs = {number: _epochs(path) for number, path in _logs(folder)}
        if not epochs:
            missing.append("The run has no training log (fold-K/log.jsonl), so there are no learning curves.")
        images = _images(folder, predictions, manifest)
        return cls(folder, anchor, evaluation, predictions, images, manifest.root if manifest else None, epochs, tuple(missing))


def _json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path}: not a JSON document ({error}). {remedy}") from error


def _check_same(folder: Path, evaluation: dict[str, Any], predictions: Predictions) -> None:
    """Curves are drawn from the predictions and figures are read from the evaluation: they must be of the same answers."""
    told = (evaluation["num_images"], evaluation["classes"], evaluation["protocol"])
    found = (len(predictions.test), list(predictions.classes), predictions.protocol)
    for what, one, other in zip(("test images", "classes", "the protocol"), told, found, strict=True):
        if one != other:
            remedy = f"Evaluate again: nevus evaluate {folder / 'predictions.csv'} --out {folder / 'evaluation.json'}"
            raise DataError(f"{folder}: evaluation.json says {what} {one}, predictions.csv {other}. {remedy}")


def _manifest(provenance: dict[str, Any]) -> tuple[Manifest | None, str]:
    """The run's manifest, or why there is none: a changed one would describe other images than those of the run."""
    if not provenance.get("manifest"):
        return None, "The run does not record its manifest, so photographs, sources and licences cannot be shown."
    path = Path(provenance["manifest"])
    if not path.exists():
        return None, f"The manifest {path} is not there any more, so photographs, sources and licences cannot be shown."
    try:
        manifest = Manifest.read(path, check_files=False, without_images=True)
    except DataError as error:
        return None, f"The manifest {path} cannot be used, so photographs, sources and licences cannot be shown: {error}"
    if provenance.get("manifest_sha256") not in (None, manifest.sha256):
        return None, f"The manifest {path} has changed since the run, so photographs, sources and licences cannot be shown."
    return manifest, ""


def _images(folder: Path, predictions: Predictions, manifest: Manifest | None) -> pd.DataFrame:
    tested = predictions.test
    folds = tested[["image_id", "fold"]]
    if (folder / "folds.csv").exists():
        folds = pd.read_csv(folder / "folds.csv", skiprows=1, dtype={"image_id": str, "fold": int})
    if manifest is None:
        known = tested.drop(columns=["fold"])
    else:
        known = manifest.frame.copy()
        malignant = known["target"].map({0: "benign", 1: "malignant"})
        known["target"] = malignant if set(predictions.classes) == {"benign", "malignant"} else known["diagnosis"]
    images: pd.DataFrame = folds.merge(known, on="image_id", how="inner", validate="one_to_one")
    return images


def _logs(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.parent.name.removeprefix("fold-")), path) for path in folder.glob("fold-[0-9]*/log.jsonl"))


def _epochs(path: Path) -> pd.DataFrame:
    """A row an epoch; where a resumed run repeats an epoch, its last line counts."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break  # a kill cut this line; the run rewinds to it when it resumes
    epochs = pd.DataFrame([event for event in events if event["kind"] == "epoch"], columns=EPOCH_COLUMNS)
    return epochs.drop_duplicates("epoch", keep="last").astype(float)
