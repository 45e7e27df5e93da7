from pathlib import Path

import pytest
import torch
from torch import nn

from nevus.errors import DataError
from nevus.recipe import OptimiserRecipe
from nevus.training.checkpoint import Progress, header_of, load_checkpoint, progress_of, save_checkpoint
from nevus.training.optimiser import create_optimiser


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
    return layers.to(memory_format=torch.channels_last)


def step(layers: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    layers(images).square().mean().backward()
    optimiser.step()
    optimiser.zero_grad()


@pytest.mark.parametrize("kind", ["adam", "adamw", "keras"])
def test_going_on_from_a_checkpoint_is_going_on(tmp_path: Path, kind: str) -> None:
    recipe = OptimiserRecipe(kind="adamw" if kind == "adamw" else "adam", keras_epsilon=kind == "keras", learning_rate=0.01)
    whole = network()
    optimiser = create_optimiser(whole, recipe)
    for seed in range(6):
        if seed == 3:
            average = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
            save_checkpoint(tmp_path / "last", whole, average, optimiser, header_of(Progress(step=3), {}, "x"))
        step(whole, optimiser, seed)

    resumed = network()
    for parameter in resumed.parameters():
        nn.init.zeros_(parameter)
    optimiser = create_optimiser(resumed, recipe)
    average = {name: torch.zeros_like(tensor) for name, tensor in resumed.state_dict().items()}
    header = load_checkpoint(tmp_path / "last", resumed, average, optimiser)
    assert progress_of(header).step == 3
    for name, tensor in resumed.state_dict().items():
        assert torch.equal(average[name], tensor)
    for seed in range(3, 6):
        step(resumed, optimiser, seed)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_damaged_checkpoint_and_one_of_another_network_are_said(tmp_path: Path) -> None:
    layers = network()
    optimiser = create_optimiser(layers, OptimiserRecipe())
    save_checkpoint(tmp_path / "last", layers, {}, optimiser, header_of(Progress(), {}, "x"))
    other = nn.Linear(2, 2)
    with pytest.raises(DataError, match="of another network"):
        load_checkpoint(tmp_path / "last", other, {}, create_optimiser(other, OptimiserRecipe()))
    (tmp_path / "last").write_bytes((tmp_path / "last").read_bytes()[:500])
    with pytest.raises(DataError, match="damaged"):
        load_checkpoint(tmp_path / "last", layers, {}, optimiser)
