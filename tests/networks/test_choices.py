"""What a recipe lets one choose is what there is."""

from collections.abc import Iterable
from typing import get_args

import pytest
from pydantic import BaseModel

from nevus.networks.backbones import PLACEMENTS
from nevus.networks.classifier import POOLINGS
from nevus.networks.fusion import ACTIVATIONS, FUSIONS
from nevus.networks.losses import LOSSES
from nevus.networks.soft_attention import LOGITS, Mode
from nevus.networks.zoom_se import GATES, Gate
from nevus.recipe import AttentionRecipe, FusionRecipe, LossRecipe, ModelRecipe


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
        (ModelRecipe, "pooling", POOLINGS),
    ],
)
def test_a_recipe_offers_what_there_is(section: type[BaseModel], setting: str, choices: Iterable[str]) -> None:
    assert set(get_args(section.model_fields[setting].annotation)) == set(choices)
