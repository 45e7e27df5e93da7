"""The training section: optimiser, schedule, loss, what an epoch shows, when it ends, and who teaches."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nevus.recipe.model import ModelRecipe
from nevus.recipe.section import Probability, Section


class OptimiserRecipe(Section):
    """Adam or AdamW. `keras_epsilon` adds epsilon where Keras does, to sqrt(v) before its bias correction."""

    kind: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    epsilon: float = Field(1e-8, gt=0)
    keras_epsilon: bool = False
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999


class ScheduleRecipe(Section):
    """The learning rate over time: constant, cosine with a linear warm-up, or reduced when validation loss stands still."""

    kind: Literal["constant", "cosine", "plateau"] = "cosine"
    warmup_epochs: float = Field(0.5, ge=0)
    factor: float = Field(0.2, gt=0, lt=1)
    patience: int = Field(5, ge=0)
    minimum: float = Field(1e-7, ge=0)


class LossRecipe(Section):
    """The loss on logits. `alpha_for` says which class focal loss gives `alpha` to (the paper leaves it open).

    `label_smoothing` is the share of each target that is spread over all classes; focal loss has none. `class_weights` are of
    "class_weighted": where any is given by its class's name they stand for those of the counts, and the other classes have 1.
    `validation` is the loss that validation rows are given, for schedule, stopping and choice: Keras leaves class weights out.
    What follows is of the multi-weighted loss (Yao et al. 2021), whose `cumulative` learning lets the class weights grow from
    none to full between two shares of training: 20 and 60 of 70 epochs there.
    """

    kind: Literal["cross_entropy", "class_weighted", "logit_adjusted", "focal", "multi_weighted"] = "cross_entropy"
    alpha: Probability = 0.25
    gamma: float = Field(2.0, ge=0)
    alpha_for: Literal["positive", "negative"] = "positive"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    validation: Literal["same", "cross_entropy"] = "same"
    weight_power: float = Field(1.2, ge=0, description="power of 1 / N_c in the weight of class c")
    abnormal_below: float = Field(0.1, ge=0, le=0.4, description="probability of the truth that counts as abnormal; 0 never does")
    abnormal: Literal["constant", "zero", "decreasing"] = Field("constant", description="how the loss goes on below that")
    cumulative: tuple[Probability, Probability] | None = None

    @field_validator("cumulative")
    @classmethod
    def _in_order(cls, shares: tuple[float, float] | None) -> tuple[float, float] | None:
        if shares and shares[0] > shares[1]:
            raise ValueError("the first share of training lies after the second")
        return shares


class GrowthRecipe(Section):
    """The input's side while training (Tan and Le 2021): from `first_size` to `data.size`, in steps of 16 pixels.

    Small images first cost a fraction of the time. `until` is the share of the epochs after which the size is the final one.
    """

    first_size: int = Field(0, ge=0, le=1024, description="side in the first epoch, pixels; 0 is data.size from the start")
    until: Probability = 0.7

    def size(self, epoch: int, epochs: int, final: int) -> int:
        """The side in an epoch from 1 to `epochs`.

        >>> [GrowthRecipe(first_size=96, until=0.5).size(epoch, 8, 160) for epoch in range(1, 9)]
        [96, 112, 128, 144, 160, 160, 160, 160]
        """
        share = (epoch - 1) / (self.until * epochs) if self.until else 1.0
        if not self.first_size or share >= 1:
            return final
        return min(final, self.first_size + int(share * (final - self.first_size)) // 16 * 16)


class TrainingRecipe(Section):
    """How long, how fast, and what is kept."""

    epochs: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=2)
    seed: int = Field(0, ge=0)
    sampler: Literal["once", "augmented", "augmented_code", "balanced"] = Field(
        "once",
        description="what an epoch shows: every image once; 18,015 views for 10,015 images; about 8,000 views of each class; "
        "as many views of each class as of another",
    )
    epoch_steps: int = Field(0, ge=0, description="an epoch ends after so many steps at the latest; 0 is a whole pass")
    optimiser: OptimiserRecipe = OptimiserRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    loss: LossRecipe = LossRecipe()
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the gradient; 0 leaves it alone")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    channels_last: bool = True
    metadata_dropout: Probability = 0.1
    mixup: float = Field(0.0, ge=0, description="α of Beta(α, α), which pairs of images are mixed by; 0 mixes none")
    cutmix: float = Field(
        0.0,
        ge=0,
        description="α of Beta(α, α), the share of an image that its partner's part leaves; beside mixup every other step",
    )
    growth: GrowthRecipe = GrowthRecipe()
    monitor: Literal["auc", "balanced_accuracy", "accuracy", "loss", "last"] = Field(
        "auc",
        description="validation figure that chooses the epoch; last keeps the last one, where a small split would choose noise",
    )
    early_stopping: int = Field(0, ge=0, description="epochs without improvement before stopping; 0 never stops early")
    stop_monitor: Literal["monitor", "auc", "balanced_accuracy", "accuracy", "loss"] = Field(
        "monitor",
        description="validation figure whose standstill stops training early; monitor is the one that chooses the epoch",
    )
    stop_min_delta: float = Field(0.0, ge=0, description="a smaller improvement of that figure than this is none")
    checkpoint_steps: int = Field(200, ge=1)
    distillation: "DistillationRecipe" = Field(default_factory=lambda: DistillationRecipe())

    @model_validator(mode="after")
    def _teaches_whole_images(self) -> "TrainingRecipe":
        if self.distillation.teaches and (self.mixup or self.cutmix):
            raise ValueError("distillation compares images; mixup and cutmix mix them; choose one of the two")
        return self


class TeacherRecipe(Section):
    """A teacher's network and training. Its data are the student's, but that it may be trained on images of another side."""

    size: int = Field(0, ge=0, le=1024, description="side of the images that it is trained on; 0 is the student's")
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = Field(default_factory=TrainingRecipe)

    @model_validator(mode="after")
    def _has_no_teacher(self) -> "TeacherRecipe":
        if self.training.distillation.on:
            raise ValueError("a teacher has no teacher of its own")
        return self


class DistillationRecipe(Section):
    """CRCKD (Xing et al., MICCAI 2021): the class relations of a teacher, learned beside the task. Off without a teacher.

    `teacher` is the path of a recipe's .toml, or a section with `model` and `training`: it is trained first, inside each fold.
    `teacher_run` is the folder of a run on the same folds instead. The defaults are the authors' code's; `start` and `views` are
    not theirs. With `start` and all weights 0 the teacher is no more than the first stage of the training.
    """

    teacher: TeacherRecipe | None = None
    teacher_run: str = ""
    start: bool = Field(False, description="the student begins with its teacher's weights: one network, trained on")
    views: int = Field(
        0,
        ge=0,
        le=8,
        description="the teacher's probabilities are of so many views of each whole photo, once; 0: of what the student sees",
    )
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

    @property
    def relates(self) -> bool:
        """Whether relations between images are taught."""
        return self.on and self.contrast + self.relation > 0

    @property
    def teaches(self) -> bool:
        """Whether anything of the teacher's counts in the loss."""
        return self.relates or (self.on and self.prediction > 0)

    @property
    def watches(self) -> bool:
        """Whether the teacher sees what the student sees, at the student's size."""
        return self.relates or (self.teaches and not self.views)

    @model_validator(mode="after")
    def _has_one_teacher(self) -> "DistillationRecipe":
        if self.teacher is not None and self.teacher_run:
            raise ValueError("give teacher or teacher_run, not both")
        if self.teacher and self.teacher.size and self.watches:
            raise ValueError("a teacher that sees what the student sees has its size; leave teacher.size out, or set views")
        return self
