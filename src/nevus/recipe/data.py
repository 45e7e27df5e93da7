"""The data section: which images, which question, how they are split and augmented."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from nevus.recipe.section import Probability, Section

Protocol = Literal["strict", "paper-zoome", "paper-2022", "paper-datta"]
Task = Literal["diagnosis", "malignant"]
MetadataField = Literal["age", "sex", "site"]


class RandAugmentRecipe(Section):
    """Operations drawn anew for every image: Cubuk et al. 2020, or Yao et al. 2021's, of which every other one is geometry.

    `magnitude` is M, 10 the strongest; Yao et al. draw each strength between 0 and it, and tune `probability` (0.7 for HAM10000).
    """

    kind: Literal["none", "cubuk", "yao"] = "none"
    num_operations: int = Field(2, ge=1, le=6)
    magnitude: float = Field(9.0, ge=0, le=10)
    probability: Probability = Field(1.0, description="of each operation that is drawn to be done")


class AugmentRecipe(Section):
    """Random geometry, composed into one affine warp. The defaults are ZooME's: ±30°, central crop 0.8 to 1, mirror.

    What follows the flips is off unless asked for: colour, CutOut, drawn hair and rulers, and RandAugment.
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
    randaugment: RandAugmentRecipe = RandAugmentRecipe()


class DataRecipe(Section):
    """Which images, which question, how they are split, how large the network sees them."""

    manifest: str = ""
    task: Task = "diagnosis"
    protocol: Protocol = "strict"
    num_folds: int = Field(5, ge=2, le=20)
    validation_share: float = Field(0.15, gt=0, lt=0.5, description="of the training folds, held out by group")
    size: int = Field(224, ge=16, le=1024, description="side of the network's square input, pixels")
    views: Literal[1, 2, 4, 8] = Field(
        1,
        description="how many views of a photo, mirrored, then turned, have their logits averaged; each costs a run",
    )
    resolutions: tuple[Annotated[int, Field(ge=16, le=1024)], ...] = Field(
        (),
        description="further input sizes that a photo is predicted at, with the logits averaged; trained is at `size` alone",
    )
    central: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0,),
        min_length=1,
        description="central shares of a photo's sides that it is predicted from, each at every size, with the logits averaged; "
        "what training shows is augment.min_crop's",
    )
    crop: Literal["none", "mask"] = Field("none", description="show the network the whole image, or the lesion by its mask")
    masks: str = Field("", description='folder of the masks that crop = "mask" goes by: ID.png or ID_segmentation.png')
    crop_margin: float = Field(0.1, ge=0, le=1, description="of the lesion's extent, left on each side of it")
    unreadable: Literal["refuse", "skip"] = Field("refuse", description="images that cannot be read: an error, or left out")
    metadata: tuple[MetadataField, ...] = ("age", "sex", "site")
    augment: AugmentRecipe = AugmentRecipe()

    @property
    def sizes(self) -> tuple[int, ...]:
        """All input sizes at prediction, that of training first."""
        return (self.size, *self.resolutions)

    @property
    def side(self) -> int:
        """Pixels that a photo's shorter side should have, for the smallest central share to be stretched without enlarging it."""
        return math.ceil(max(self.sizes) / min(self.central))

    @field_validator("resolutions")
    @classmethod
    def _no_size_twice(cls, resolutions: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if len({info.data.get("size"), *resolutions}) <= len(resolutions):
            raise ValueError("a size stands here twice, or is data.size, which is among them by itself")
        return resolutions

    @field_validator("central")
    @classmethod
    def _no_share_twice(cls, central: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(central)) < len(central):
            raise ValueError("a share stands here twice")
        return central
