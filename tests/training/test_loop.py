"""What the loop hands to the parts of a step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nevus.data.manifest import Manifest
from nevus.networks.drop_block import DropBlock
from nevus.networks.losses import create_loss as create_real_loss
from nevus.recipe import Recipe
from nevus.training.fit import fit


@pytest.mark.slow
def test_loss_and_drop_block_are_told_how_much_of_training_is_done(
    phantoms: Manifest, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[float]] = {"loss": [], "drop_block": []}

    class Recorded(DropBlock):
        def forward(self, feature_map: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen["drop_block"].append(self.share)
            return super().forward(feature_map)

    def create_loss(*arguments: Any) -> Any:
        loss = create_real_loss(*arguments)

        def recorded(logits: torch.Tensor, targets: torch.Tensor, share: float = 1.0) -> torch.Tensor:
            seen["loss"].append(share)
            return loss(logits, targets, share)

        return recorded

    monkeypatch.setattr("nevus.training.loop.create_loss", create_loss)
    monkeypatch.setattr("nevus.networks.classifier.DropBlock", Recorded)
    fit(tiny, phantoms, tmp_path)
    # Two epochs; validation asks for the loss at the end of training after each.
    steps = (len(seen["loss"]) - 2) // 2
    shares = (np.arange(2 * steps) / (2 * steps)).tolist()
    assert steps > 2
    assert seen["drop_block"] == shares
    assert seen["loss"] == [*shares[:steps], 1.0, *shares[steps:], 1.0]


SETTINGS = [
    "training.loss.cumulative=[0.5, 1.0]",
    "training.mixup=0.4",
    "training.cutmix=1.0",
    "training.growth.first_size=48",
    "model.drop_block=0.4",
    "model.transform=dct",
    "model.map_transform=dft",
    "data.augment.randaugment.kind=cubuk",
]


@pytest.mark.slow
def test_each_setting_changes_what_is_learned(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    plain = tiny.with_settings(["training.epochs=1", "training.loss.kind=multi_weighted", "data.size=64"])
    recipes = {"plain": plain, **{setting: plain.with_settings([setting]) for setting in SETTINGS}}
    heads = {}
    for name, recipe in recipes.items():
        fit(recipe, phantoms, tmp_path / name)
        weights = load_file(tmp_path / name / "best.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in weights.values()), name
        heads[name] = weights["head.weight"].numpy().tobytes()
    assert len(set(heads.values())) == len(recipes)
