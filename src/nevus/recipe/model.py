"""The model section: the network and its parts."""

from typing import Annotated, Literal

from pydantic import Field

from nevus.recipe.section import Section


class AttentionRecipe(Section):
    """Zoom-SE after every residual block, or soft attention on the last feature map."""

    kind: Literal["none", "zoom_se", "soft"] = "none"
    zoom_size: int = Field(4, ge=1, le=16)
    reduction: int = Field(16, ge=1)
    gate: Literal["sigmoid", "literal"] = "sigmoid"
    placement: Literal["post", "pre"] = "post"
    num_heads: int = Field(16, ge=1)
    mode: Literal["intended", "code"] = "intended"


class FusionRecipe(Section):
    """How metadata meets the image's features; `hidden` is the width of its first layer (its default is the kind's own).

    `activation` is of "multiply" alone, on its factors: ZooME's equation 4 leaves open whether there is one.
    """

    kind: Literal["none", "multiply", "concat", "mlp", "film", "metablock"] = "none"
    hidden: int | None = Field(None, ge=1)
    activation: Literal["none", "sigmoid", "one_plus_tanh"] = "none"


class ModelRecipe(Section):
    """The network. `pretrained` is "none", "package", "hub" or a path: of a safetensors file of ImageNet weights, or of a bundle.

    Of a bundle, which must have been trained on other data sets, the backbone is taken.
    `bgr` shows it blue where it expects red and red where it expects blue, as the 2022 paper's notebooks did.
    """

    backbone: str = "resnext50_32x4d"
    tap: str = "last"
    pretrained: str = "none"
    attention: AttentionRecipe = AttentionRecipe()
    fusion: FusionRecipe = FusionRecipe()
    pooling: Literal["average", "flatten"] = "average"
    transform: Literal["none", "dct", "dft"] = Field("none", description="trainable matrix of the features that begins so")
    map_transform: Literal["none", "dct", "dft"] = Field("none", description="the same of the last map's rows and columns")
    hidden: int | None = Field(
        None, ge=1, description="width of a dense layer with ReLU before the last one; None has no such layer"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    bgr: bool = False
    drop_block: float = Field(0.0, ge=0, lt=1, description="share of the last feature map that is dropped in blocks, at the end")
    drop_block_side: int = Field(5, ge=1, description="side of a dropped block, places of the feature map")
