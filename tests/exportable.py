"""A bundle that is quickly made: a small network of which only the last layer was fitted, on the phantoms it is given."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from nevus.bundle import Bundle
from nevus.data.images import read_image
from nevus.data.manifest import Manifest
from nevus.data.metadata import COLUMNS, MetadataEncoder
from nevus.data.resample import stretch
from nevus.files import write
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import Recipe, Task

SIZE = 32
SETTINGS = [
    "data.size=32",
    "data.views=2",
    "model.backbone=resnet10t",
    "model.fusion.kind=concat",
    "model.attention.kind=zoom_se",
]


def exportable(path: Path, manifest: Manifest, task: Task = "malignant") -> Bundle:
    """Write the bundle at `path`."""
    recipe = Recipe(name="small").with_settings([*SETTINGS, f"data.task={task}"])
    rows, classes, targets = manifest.for_task(task)
    columns = {name: rows.frame[name].to_numpy() for name in COLUMNS.values()}
    encoder = MetadataEncoder.fit(columns)
    torch.manual_seed(0)
    network = LesionClassifier(recipe.model, len(classes), encoder.num_features, SIZE).eval()
    images = np.stack([stretch(read_image(name), SIZE) / 255 for name in rows.paths()]).astype(np.float32)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (network.mean, network.std))
    fit_head(network, (batch - mean) / std, torch.from_numpy(encoder.encode(columns, len(rows))[0]), targets)
    document: dict[str, Any] = {
        "name": "small",
        "task": task,
        "classes": classes,
        "preprocessing": {"size": SIZE, "resolutions": [], "views": 2, "crop": "none", "crop_margin": None},
        "metadata": encoder.to_json(),
        "temperature": 0.8,
        "operating_point": {"positive": "mel" if task == "diagnosis" else "malignant", "rule": "youden", "threshold": 0.4},
        "training_data": {"licences": {"CC0-1.0": len(rows)}, "attributions": ["drawn"]},
        "recipe": recipe.model_dump(mode="json"),
    }
    contents = {
        "weights.safetensors": lambda place: save_file(network.state_dict(), place),
        "README.md": lambda place: write(place, "A small one.\n"),
    }
    return Bundle.write(path, document, contents)


@torch.no_grad()
def fit_head(network: LesionClassifier, batch: torch.Tensor, metadata: torch.Tensor, targets: np.ndarray) -> None:
    """Set the last layer by least squares, so that the answers mean something."""
    taken: list[torch.Tensor] = []
    hook = network.head.register_forward_pre_hook(lambda head, inputs: taken.append(inputs[0]))
    network(batch, metadata)
    hook.remove()
    features = torch.cat([taken[0], torch.ones(len(batch), 1)], dim=1).double()
    wanted = 4 * torch.nn.functional.one_hot(torch.from_numpy(targets)).double()
    ridge = 1e-2 * len(batch) * torch.eye(features.shape[1], dtype=torch.float64) * features.square().mean()
    solved = torch.linalg.solve(features.T @ features + ridge, features.T @ wanted).float()
    network.head.weight.copy_(solved[:-1].T)
    network.head.bias.copy_(solved[-1])
