"""A teacher for distillation: loaded from its bundle, and refused where it may have seen what is to be tested."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nevus.bundle import Bundle
from nevus.data.looks import Look
from nevus.errors import BundleError, listed
from nevus.exporters.trained import load_network
from nevus.networks.classifier import LesionClassifier
from nevus.networks.distillation import RelationDistillation, divergence
from nevus.recipe import DistillationRecipe, Recipe
from nevus.training.hardware import lay_out
from nevus.training.loader import Batch, Examples, Rows, normalise
from nevus.training.processes import create_accelerator
from nevus.training.validation import predict_logits


def check_teacher(bundle: Bundle, expected: Mapping[str, Any], watches: bool = True) -> None:
    """Refuse a teacher that was not trained on exactly the student's images, or that answers another question.

    What a teacher has learned from a test image it teaches. So not even another split of the same training folds will do: its
    validation images chose its epoch.

    Parameters
    ----------
    bundle
        The teacher's.
    expected
        What the student's own bundle will say under `task`, `classes`, `metadata`, `protocol`, `folds_sha256`, `fold`,
        `preprocessing` (its `size`) and `training_data` (its `manifest_sha256` and `images_sha256`).
    watches
        Whether it will see what the student sees; otherwise it may be of another size.

    Raises
    ------
    BundleError
        Every difference is named.
    """
    one, other = _compared(bundle.document), _compared(expected)
    if not watches:
        del one["size"]
    differences = [
        f"{name}: {_short(one[name])}, the student's is {_short(other[name])}" for name in one if one[name] != other[name]
    ]
    if differences:
        remedy = (
            "It would teach what it has seen of test images. Name its recipe as training.distillation.teacher, and it trains\n"
            "in the student's folds; or train its run on the same manifest, data section and --folds RUN/folds.csv."
        )
        raise BundleError(listed(f"{bundle.path}: cannot teach this student:", differences, remedy=remedy))


def teacher_folder(run: str, fold: int | None) -> Path:
    """Where a run keeps the bundle of a fold, or the one of `nevus fit`."""
    return Path(run) / "bundle" if fold is None else Path(run) / f"fold-{fold}" / "bundle"


def teacher_recipe(recipe: Recipe) -> Recipe:
    """The recipe of a recipe's teacher: its own network and training, on the student's data."""
    teacher = recipe.training.distillation.teacher
    assert teacher is not None
    data = recipe.data.model_copy(update={"size": teacher.size or recipe.data.size})
    # As its loss makes it: that is what its student's loss goes on from.
    named = {"name": f"{recipe.name}-teacher", "data": data, "model": teacher.model, "training": teacher.training}
    return recipe.model_copy(update={**named, "prior": "loss", "decisions": "likeliest"})


def create_distiller(recipe: Recipe, bundle: Bundle, student: LesionClassifier, examples: Examples, rows: Rows) -> "Distiller":
    """What `student` learns from a teacher's bundle about the training rows."""
    distillation, teacher = recipe.training.distillation, load_network(bundle)
    lay_out(teacher, recipe)
    answers = None
    if distillation.views:
        teacher = teacher.to(create_accelerator().device)
        look = Look(bundle.document["preprocessing"]["size"])
        answers = predict_logits(teacher, teacher.state_dict(), examples, rows, [look], distillation.views)
    return Distiller(distillation, teacher, student, rows, examples.targets[rows], recipe.training.seed, answers)


class Distiller(nn.Module):
    """The frozen teacher beside a student: what distillation adds to the loss of a step.

    Parameters
    ----------
    recipe
        Weights and sizes.
    teacher
        Frozen here; no part of this module's state.
    student
        Its penultimate features, what its last layer reads, are taken as they go by.
    rows, targets
        int64 (M,), the training rows and their classes.
    seed
        Of the first values.
    answers
        Float32 (M, C), logits that stand for the teacher's in the prediction term.
    """

    def __init__(
        self,
        recipe: DistillationRecipe,
        teacher: LesionClassifier,
        student: LesionClassifier,
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        seed: int,
        answers: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self._recipe = recipe
        self._teacher = (teacher.eval().requires_grad_(False),)
        self.relations = None
        if recipe.relates:
            self.relations = RelationDistillation(
                recipe, student.head.in_features, teacher.head.in_features, targets, student.num_classes, seed
            )
        self.register_buffer("_answers", answers, persistent=False)
        places = np.full(int(rows.max()) + 1, -1)
        places[rows] = np.arange(len(rows))
        self.register_buffer("_places", torch.from_numpy(places), persistent=False)
        self._features: list[torch.Tensor] = []
        self._hook = student.head.register_forward_pre_hook(self._take)

    def to_device(self, device: torch.device) -> "Distiller":
        """Teacher and memory on `device`."""
        self._teacher[0].to(device)
        return self.to(device)

    def forward(self, batch: Batch, logits: torch.Tensor, done: float) -> torch.Tensor:
        """What is added to the loss, after the student has answered `batch` with `logits`; `done` is the share of all steps."""
        features = self._features.pop()
        assert not self._features, "the student has answered once"
        places: torch.Tensor = self._places[batch.rows]  # type: ignore[index]
        answers, seen = self._ask(batch, places)
        late = done >= self._recipe.begin
        if self.relations:
            added: torch.Tensor = self.relations(features.float(), seen.float(), logits.float(), answers.float(), places, late)
            return added
        return self._recipe.prediction * divergence(logits.float(), answers.float()) if late else logits.new_zeros(())

    def _ask(self, batch: Batch, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's logits (N, C), and its penultimate features (N, F) where anything reads them."""
        answers: torch.Tensor | None = self._answers  # type: ignore[assignment]
        if answers is not None and not self.relations:
            return answers[places], answers[:0]
        teacher = self._teacher[0]
        taken: list[torch.Tensor] = []
        mean, std = (torch.tensor(values, device=places.device).view(1, 3, 1, 1) for values in (teacher.mean, teacher.std))
        with torch.no_grad(), teacher.head.register_forward_pre_hook(lambda head, inputs: taken.append(inputs[0])):
            said = teacher(normalise(batch.images, mean, std), batch.metadata, batch.present)
        return (said if answers is None else answers[places]), taken[0]

    def _take(self, head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if head.training:  # validation has no teacher
            self._features.append(inputs[0])

    def detach(self) -> None:
        """Let go of the student: it is exported without anybody looking on."""
        self._hook.remove()
        self._features.clear()


def _compared(document: Mapping[str, Any]) -> dict[str, Any]:
    data = document["training_data"]
    return {
        "manifest": data["manifest_sha256"],
        "protocol": document["protocol"],
        "folds.csv": document["folds_sha256"],
        "fold": document.get("fold"),
        "training images": data.get("images_sha256"),
        "task": document["task"],
        "classes": list(document["classes"]),
        "size": document["preprocessing"]["size"],
        "metadata": document["metadata"],
    }


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
