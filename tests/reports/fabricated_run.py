"""A run folder as `cross_validate` leaves it, made from random numbers: no training, the real evaluation."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from nevus.data.manifest import Manifest
from nevus.evaluation.evaluate import evaluate
from nevus.evaluation.predictions import Predictions
from nevus.files import write, write_json
from nevus.recipe import Recipe

SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
TWO = ("benign", "malignant")
SITES = ("head/neck", "torso", "upper extremity", "lower extremity", "palms/soles", "")
SOURCE = ("ham10000", "Tschandl, Rosendahl & Kittler 2018", "CC BY-NC 4.0")


def fabricate(
    folder: Path,
    *,
    classes: tuple[str, ...] = SEVEN,
    protocol: str = "strict",
    name: str = "zoome-small",
    num_images: int = 300,
    num_folds: int = 3,
    num_resamples: int = 30,
    seed: int = 0,
    skill: float = 1.5,
    first_id: str = "IM_0000",
    validation: bool = True,
) -> Path:
    """Write manifest, images, folds, logs, predictions and evaluation; the manifest and images lie in `folder/data`."""
    rng = np.random.default_rng(seed)
    frame, targets = _rows(rng, classes, num_images, first_id)
    write_images(folder / "data", frame["path"])
    frame.to_csv(folder / "data" / "manifest.csv", index=False)
    manifest = Manifest.read(folder / "data" / "manifest.csv")
    frame = manifest.frame
    by = frame["group_id"] if protocol == "strict" else frame["image_id"]
    fold = by.map({key: index % num_folds for index, key in enumerate(rng.permutation(by.unique()))})
    if protocol in ("paper-2022", "paper-datta"):
        fold = fold.where(fold == 0, -1)
    table = pd.DataFrame({"image_id": frame["image_id"], "fold": fold})
    header = f"# nevus folds protocol={protocol} num_folds={num_folds} seed=0 manifest_sha256={manifest.sha256}\n"
    write(folder / "folds.csv", header + table.to_csv(index=False))

    predictions = Predictions.from_frame(_predictions(rng, frame, targets, fold, classes, skill, protocol, validation))
    predictions.write(folder / "predictions.csv")
    for number in sorted(set(fold) - {-1}):
        write(folder / f"fold-{number}" / "log.jsonl", "".join(json.dumps(event) + "\n" for event in _events(rng)))
    recipe = Recipe.model_validate({"name": name, "data": {"protocol": protocol, "num_folds": max(2, num_folds)}})
    origin: dict[str, Any] = {
        "command": f"nevus train recipes/{name}.toml --out {folder.name}",
        "nevus": "0.1.0",
        "packages": {"numpy": "2.4.6", "torch": "2.13.0"},
        "commit": "0123456789ab",
        "manifest": str(folder / "data" / "manifest.csv"),
        "manifest_sha256": manifest.sha256,
        "recipe": recipe.model_dump(mode="json"),
        "hardware": "a processor, 2 threads",
        "training_seconds": 4000.0,
        "date": "2026-01-02T03:04:05+00:00",
    }
    write_json(folder / "evaluation.json", evaluate(predictions, num_resamples=num_resamples, provenance=origin))
    return folder


def write_images(folder: Path, paths: "pd.Series[str]") -> None:
    """A brown ellipse on skin for each path."""
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        image = np.full((48, 64, 3), (170, 190, 225), np.uint8)
        axes = (int(rng.integers(8, 24)), int(rng.integers(8, 18)))
        cv2.ellipse(image, (32, 24), axes, 0, 0, 360, tuple(map(int, rng.integers(30, 120, 3))), -1)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(cv2.imencode(".jpg", image)[1].tobytes())


def _rows(
    rng: np.random.Generator, classes: tuple[str, ...], num_images: int, first_id: str
) -> tuple[pd.DataFrame, "np.ndarray[Any, Any]"]:
    lesions = np.sort(rng.integers(0, max(2, num_images * 2 // 3), num_images))
    weights = np.linspace(1, 2, len(classes))
    of_lesion = rng.choice(len(classes), lesions.max() + 1, p=weights / weights.sum())
    of_lesion[: len(classes)] = np.arange(len(classes))
    targets = of_lesion[lesions]
    ids = [f"{first_id}{number:05d}" for number in range(num_images)]
    ids[0] = first_id
    diagnoses = np.array(["nv", "mel"] if classes == TWO else classes)[targets]
    ages = np.where(rng.random(num_images) < 0.05, np.nan, rng.integers(1, 18, num_images) * 5.0)
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "path": [f"images/{number}.jpg" for number in range(num_images)],
            "dataset": SOURCE[0],
            "diagnosis": diagnoses,
            "target": np.isin(diagnoses, ("mel", "bcc", "akiec")).astype(int),
            "lesion_id": [f"L{lesion}" for lesion in lesions],
            "patient_id": "",
            "group_id": [f"ham10000:L{lesion}" for lesion in lesions],
            "age_years": ages,
            "sex": rng.choice(["male", "female", ""], num_images, p=[0.5, 0.45, 0.05]),
            "site": rng.choice(list(SITES), num_images),
            "attribution": SOURCE[1],
            "license": SOURCE[2],
        }
    )
    return frame, targets


def _predictions(
    rng: np.random.Generator,
    frame: pd.DataFrame,
    targets: "np.ndarray[Any, Any]",
    fold: "pd.Series[int]",
    classes: tuple[str, ...],
    skill: float,
    protocol: str,
    validation: bool,
) -> pd.DataFrame:
    tables = []
    for number in sorted(set(fold) - {-1}):
        others = np.flatnonzero((fold != number) & (fold != -1))
        parts = {"test": np.flatnonzero(fold == number)}
        if validation:
            parts["validation"] = rng.permutation(others)[: len(others) // 3] if len(others) else parts["test"]
        for split, rows in parts.items():
            logits = rng.normal(size=(len(rows), len(classes))) + skill * np.eye(len(classes))[targets[rows]]
            probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            known = frame.iloc[rows][["image_id", "group_id", "lesion_id", "age_years", "sex", "site"]].reset_index(drop=True)
            answers = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
            known = known.assign(fold=number, split=split, protocol=protocol, target=[classes[index] for index in targets[rows]])
            tables.append(pd.concat([known, answers], axis="columns"))
    table: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return table


def _events(rng: np.random.Generator) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"kind": "start", "step": 0}]
    for epoch in range(1, 9):
        noise = rng.normal(scale=0.02, size=4)
        events.append({"kind": "step", "step": 10 * epoch - 5, "loss": 1.0})
        events.append(
            {
                "kind": "epoch",
                "epoch": epoch,
                "step": 10 * epoch,
                "train_loss": 1.9 * float(np.exp(-epoch / 4)) + 0.2 + noise[0],
                "validation_loss": 1.5 * float(np.exp(-epoch / 3)) + 0.5 + 0.01 * epoch + noise[1],
                "validation_auc": 0.9 - 0.4 * float(np.exp(-epoch / 3)) + noise[2],
                "validation_balanced_accuracy": 0.7 - 0.5 * float(np.exp(-epoch / 4)) + noise[3],
            }
        )
    return events
