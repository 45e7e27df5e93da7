"""A recipe says all that a run needs beside the images: data, model and training, frozen, read from TOML.

>>> recipe = Recipe(name="example", model=ModelRecipe(backbone="resnet50"))
>>> recipe.with_settings(["training.epochs=3"]).training.epochs
3
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from nevus.errors import RecipeError, listed
from nevus.recipe.data import AugmentRecipe, DataRecipe, MetadataField, Protocol, RandAugmentRecipe, Task
from nevus.recipe.model import AttentionRecipe, FusionRecipe, ModelRecipe
from nevus.recipe.section import Section
from nevus.recipe.training import (
    DistillationRecipe,
    GrowthRecipe,
    LossRecipe,
    OptimiserRecipe,
    ScheduleRecipe,
    TeacherRecipe,
    TrainingRecipe,
)

Prior = Literal["loss", "data"]
Decisions = Literal["likeliest", "balanced"]

__all__ = [
    "AttentionRecipe",
    "AugmentRecipe",
    "DataRecipe",
    "Decisions",
    "DistillationRecipe",
    "FusionRecipe",
    "GrowthRecipe",
    "LossRecipe",
    "MetadataField",
    "ModelRecipe",
    "OptimiserRecipe",
    "Prior",
    "Protocol",
    "RandAugmentRecipe",
    "Recipe",
    "ScheduleRecipe",
    "Task",
    "TeacherRecipe",
    "TrainingRecipe",
]


class Recipe(Section):
    """Data, model and training. Read one with `Recipe.read`; change one with `with_settings`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = TrainingRecipe()
    prior: Prior = Field(
        "loss",
        description="which shares of the classes the probabilities belong to: those that sampler and loss made equal or not, or "
        "those of the training images",
    )
    decisions: Decisions = Field(
        "likeliest",
        description="which of several classes is decided: the most probable one, or the one whose probability is largest for its "
        "share of the training images; the latter with prior data",
    )
    operating_point: str = Field("youden", pattern=r"^(youden|sensitivity:0?\.\d+|cost:\d+(\.\d+)?(@0?\.\d+)?)$")

    @model_validator(mode="after")
    def _divides_by_its_shares(self) -> "Recipe":
        if self.decisions == "balanced" and self.prior != "data":
            raise ValueError('decisions = "balanced" divides by the shares of the data: it needs prior = "data"')
        return self

    @model_validator(mode="after")
    def _grows_to_its_size(self) -> "Recipe":
        if self.training.growth.first_size > self.data.size:
            raise ValueError(f"training.growth.first_size is larger than data.size, {self.data.size}")
        if self.training.growth.first_size and (self.model.pooling == "flatten" or self.model.map_transform != "none"):
            raise ValueError("training.growth needs a network for any size: model.pooling average, model.map_transform none")
        teacher = self.training.distillation.teacher
        if teacher and teacher.training.growth.first_size > (teacher.size or self.data.size):
            raise ValueError("the teacher's training.growth.first_size is larger than its images")
        return self

    @classmethod
    def read(cls, path: Path | str, settings: Sequence[str] = ()) -> "Recipe":
        """Read a TOML file, then apply `a.b=c` settings.

        Raises
        ------
        RecipeError
            The file is missing, is not TOML, or names every unknown, missing or impossible value at once.
        """
        return cls._build(_with_settings(_read_document(Path(path)), settings), str(path))

    def with_settings(self, settings: Sequence[str]) -> "Recipe":
        """A copy with `a.b=c` settings applied; values are read as TOML, and as text where they are not TOML."""
        return self._build(_with_settings(self.model_dump(mode="json", exclude_none=True), settings), f"recipe {self.name}")

    @classmethod
    def _build(cls, document: dict[str, Any], source: str) -> "Recipe":
        try:
            return cls.model_validate(_with_teacher(document))
        except ValidationError as error:
            problems = [_explain(problem) for problem in error.errors()]
            raise RecipeError(listed(f"{source}: {len(problems)} wrong in the recipe:", problems)) from error


def _read_document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}). Give the path of a recipe's .toml file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}.") from error


def _with_teacher(document: dict[str, Any]) -> dict[str, Any]:
    """A teacher that is named by its recipe's path becomes a section: a run's recipe.json says all there is to say."""
    training = document.get("training")
    distillation = training.get("distillation") if isinstance(training, dict) else None
    path = distillation.get("teacher") if isinstance(distillation, dict) else None
    if not isinstance(training, dict) or not isinstance(distillation, dict) or not isinstance(path, str):
        return document
    teacher = _read_document(Path(path))
    section = {name: teacher[name] for name in ("model", "training") if name in teacher}
    return {**document, "training": {**training, "distillation": {**distillation, "teacher": section}}}


def _with_settings(document: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    for setting in settings:
        key, equals, text = setting.partition("=")
        names = key.strip().split(".")
        if not equals or not all(names):
            raise RecipeError(f"--set {setting}: expected a.b=value, as in --set training.epochs=3.")
        section = document
        for name in names[:-1]:
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                raise RecipeError(f"--set {setting}: {name} is a value, not a section.")
        section[names[-1]] = _value(text.strip())
    return document


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(problem: Any) -> str:
    """One line a problem: where, what is wrong, what was given, and the names that would have been right."""
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *above, _ = problem["loc"]
        return f"{place}: no such setting; {'.'.join(map(str, above)) or 'a recipe'} has {', '.join(_settings_at(above))}"
    return f"{place}: {problem['msg']}, not {problem['input']!r}"


def _settings_at(place: Sequence[str | int]) -> list[str]:
    section: type[BaseModel] = Recipe
    for name in place:
        annotation = section.model_fields[str(name)].annotation
        section = next((part for part in get_args(annotation) if isinstance(part, type)), annotation)  # type: ignore[assignment]
    return list(section.model_fields)
