"""A recipe says all that a run needs beside the images: data, model and training, frozen, read from TOML.

>>> recipe = Recipe(name="example", model=ModelRecipe(backbone="resnet50"))
>>> recipe.with_settings(["training.epochs=3"]).training.epochs
3
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nevus.errors import RecipeError, listed

Protocol = Literal["strict", "paper-zoome", "paper-2022", "paper-datta"]
Task = Literal["diagnosis", "malignant"]
MetadataField = Literal["age", "sex", "site"]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AugmentRecipe(_Section):
    """Random geometry, composed into one affine warp. The defaults are ZooME's: ±30°, central crop 0.8 to 1, mirror.

    What follows the flips is off unless asked for: colour, CutOut, and drawn hair and rulers, each with its probability.
    """

    rotation_degrees: float = Field(30.0, ge=0, le=180)
    min_crop: float = Field(0.8, gt=0, le=1)
    horizontal_flip: Probability = 0.5
    vertical_flip: Probability = 0.0
    brightness: float = Field(0.0, ge=0, lt=1, description="largest relative change of the image's brightness")
    contrast: float = Field(0.0, ge=0, lt=1, description="largest relative change of the image's contrast")
    saturation: float = Field(0.0, ge=0, lt=1, description="largest relative change of the image's saturation")
    hue_degrees: float = Field(0.0, ge=0, le=180, description="largest turn of the image's hues")
    cutout: Probability = 0.0
    cutout_side: float = Field(0.25, gt=0, le=1, description="side of the square that is cut out, of the input's side")
    hair: Probability = 0.0
    ruler: Probability = 0.0


class DataRecipe(_Section):
    """Which images, which question, how they are split, how large the network sees them."""

    manifest: str = ""
    task: Task = "diagnosis"
    protocol: Protocol = "strict"
    num_folds: int = Field(5, ge=2, le=20)
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="of the training folds, held out by group")
    size: int = Field(224, ge=16, le=1024, description="side of the network's square input, pixels")
    views: Literal[1, 2, 4] = Field(
        1,
        description="how many mirror images of a photo are predicted and their logits averaged; each costs a run of the network",
    )
    unreadable: Literal["refuse", "skip"] = Field("refuse", description="images that cannot be read: an error, or left out")
    metadata: tuple[MetadataField, ...] = ("age", "sex", "site")
    augment: AugmentRecipe = AugmentRecipe()


class AttentionRecipe(_Section):
    """Zoom-SE after every residual block, or soft attention on the last feature map."""

    kind: Literal["none", "zoom_se", "soft"] = "none"
    zoom_size: int = Field(4, ge=1, le=16)
    reduction: int = Field(16, ge=1)
    gate: Literal["sigmoid", "literal"] = "sigmoid"
    placement: Literal["post", "pre"] = "post"
    num_heads: int = Field(16, ge=1)
    mode: Literal["intended", "code"] = "intended"


class FusionRecipe(_Section):
    """How metadata meets the image's features; `hidden` is the width of its first layer (its default is the kind's own)."""

    kind: Literal["none", "multiply", "concat", "mlp", "film", "metablock"] = "none"
    hidden: int | None = Field(None, ge=1)


class ModelRecipe(_Section):
    """The network. `pretrained` is "none", "package", "hub" or the path of a safetensors file of ImageNet weights."""

    backbone: str = "resnext50_32x4d"
    tap: str = "last"
    pretrained: str = "none"
    attention: AttentionRecipe = AttentionRecipe()
    fusion: FusionRecipe = FusionRecipe()
    pooling: Literal["average", "flatten"] = "average"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class OptimiserRecipe(_Section):
    """Adam or AdamW. `keras_epsilon` adds epsilon where Keras does, to sqrt(v) before its bias correction."""

    kind: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epsilon: float = Field(1e-8, gt=0)
    keras_epsilon: bool = False
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999


class ScheduleRecipe(_Section):
    """The learning rate over time: constant, cosine with a linear warm-up, or reduced when validation loss stands still."""

    kind: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_epochs: float = Field(0.5, ge=0)
    factor: float = Field(0.2, gt=0, lt=1)
    patience: int = Field(5, ge=0)
    minimum: float = Field(1e-7, ge=0)


class LossRecipe(_Section):
    """The loss on logits. `alpha_for` says which class focal loss gives `alpha` to (the paper leaves it open).

    `label_smoothing` is the share of each target that is spread over all classes; focal loss has none.
    """

    kind: Literal["cross_entropy", "class_weighted", "logit_adjusted", "focal"] = "cross_entropy"
    alpha: Probability = 0.25
    gamma: float = Field(2.0, ge=0)
    alpha_for: Literal["positive", "negative"] = "positive"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class TrainingRecipe(_Section):
    """How long, how fast, and what is kept."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=2)
    seed: int = Field(0, ge=0)
    optimiser: OptimiserRecipe = OptimiserRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    loss: LossRecipe = LossRecipe()
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the gradient; 0 leaves it alone")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool = True
    metadata_dropout: Probability = 0.1
    monitor: Literal["auc", "balanced_accuracy", "accuracy", "loss", "last"] = Field(
        "auc",
        description="validation figure that chooses the epoch; last keeps the last one, where a small split would choose noise",
    )
    early_stopping: int = Field(0, ge=0, description="epochs without improvement before stopping; 0 never stops early")
    checkpoint_steps: int = Field(200, ge=1)
    distillation: "DistillationRecipe" = Field(default_factory=lambda: DistillationRecipe())


class TeacherRecipe(_Section):
    """A teacher's network and training. Its data are the student's: both see the same pixels of the same rows."""

    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = Field(default_factory=TrainingRecipe)

    @model_validator(mode="after")
    def _has_no_teacher(self) -> "TeacherRecipe":
        if self.training.distillation.on:
            raise ValueError("a teacher has no teacher of its own")
        return self


class DistillationRecipe(_Section):
    """CRCKD (Xing et al., MICCAI 2021): the class relations of a teacher, learned beside the task. Off without a teacher.

    `teacher` is the path of a recipe's .toml, or a section with `model` and `training`: it is trained first, inside each fold.
    `teacher_run` is the folder of a run on the same folds instead. The defaults are the authors' code's.
    """

    teacher: TeacherRecipe | None = None
    teacher_run: str = ""
    contrast: float = Field(0.1, ge=0, description="weight of the class-guided contrast (CCD)")
    relation: float = Field(1.0, ge=0, description="weight of the relations to the classes' centroids (CRP)")
    prediction: float = Field(1.0, ge=0, description="weight of the divergence from the teacher's probabilities")
    begin: Probability = Field(0.25, description="share of the steps after which the last two count")
    dimensions: int = Field(128, ge=2)
    temperature: float = Field(0.07, gt=0)
    num_positives: int = Field(20, ge=1)
    num_negatives: int = Field(4096, ge=1)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5

    @property
    def on(self) -> bool:
        """Whether there is a teacher."""
        return self.teacher is not None or bool(self.teacher_run)

    @model_validator(mode="after")
    def _has_one_teacher(self) -> "DistillationRecipe":
        if self.teacher is not None and self.teacher_run:
            raise ValueError("give teacher or teacher_run, not both")
        return self


class Recipe(_Section):
    """Data, model and training. Read one with `Recipe.read`; change one with `with_settings`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = TrainingRecipe()
    operating_point: str = Field("youden", pattern=r"^(youden|sensitivity:0?\.\d+)$")

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
