"""What a recipe lets one choose is what there is."""

from collections.abc import Iterable
from typing import get_args

import pytest
from pydantic import BaseModel

from nevus.data.randaugment import POLICIES
from nevus.networks.backbones import PLACEMENTS
from nevus.networks.classifier import POOLINGS
from nevus.networks.fusion import ACTIVATIONS, FUSIONS
from nevus.networks.losses import ABNORMAL, LOSSES
from nevus.networks.soft_attention import LOGITS, Mode
from nevus.networks.spectral import MATRICES
from nevus.networks.zoom_se import GATES, Gate
from nevus.recipe import AttentionRecipe, FusionRecipe, LossRecipe, ModelRecipe, RandAugmentRecipe


@pytest.mark.parametrize(
    ("section", "setting", "choices"),
    [
        (AttentionRecipe, "gate", GATES),
        (AttentionRecipe, "gate", get_args(Gate)),
        (AttentionRecipe, "mode", LOGITS),
        (AttentionRecipe, "mode", get_args(Mode)),
        (AttentionRecipe, "placement", PLACEMENTS),
        (FusionRecipe, "kind", FUSIONS),
        (FusionRecipe, "activation", ACTIVATIONS),
        (LossRecipe, "kind", LOSSES),
        (LossRecipe, "abnormal", ABNORMAL),
        (ModelRecipe, "pooling", POOLINGS),
        (RandAugmentRecipe, "kind", ["none", *POLICIES]),
        (ModelRecipe, "transform", ["none", *MATRICES]),
        (ModelRecipe, "map_transform", ["none", *MATRICES]),
    ],
)
def test_a_recipe_offers_what_there_is(section: type[BaseModel], setting: str, choices: Iterable[str]) -> None:
    assert set(get_args(section.model_fields[setting].annotation)) == set(choices)
