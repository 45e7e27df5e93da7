"""Does soft attention help, does metadata help, does the weighted loss balance the classes? All eight combinations, paired.

The backbone stays frozen: its feature maps of every image are made once, and the eight heads are trained on them by the
package's own attention, fusion and losses, each from the same seed, for as many epochs, its epoch chosen by the same validation
figure. Under `strict` all folds are tested, under `paper-2022` its one split; every combination answers for the same images.

    python experiments/factorial.py data/ham10000.csv --out runs/factorial

leaves predictions.csv for each combination, which `nevus evaluate` and `nevus compare` read, and factorial.json and factorial.md.
What is finished is kept: run again after an interruption, it goes on.
"""

import argparse
import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from effects import render, summarise
from nevus.data.augment import draw, hidden
from nevus.data.manifest import Manifest
from nevus.data.metadata import MetadataEncoder
from nevus.data.splits import Parts
from nevus.errors import NevusError
from nevus.evaluation.cross_validate import answers, assign_folds
from nevus.evaluation.predictions import Predictions
from nevus.files import replacing, write, write_json
from nevus.metrics.calibration import fit_temperature
from nevus.metrics.classification import macro_auc
from nevus.networks.backbones import create_backbone
from nevus.networks.classifier import LesionClassifier
from nevus.networks.losses import create_loss
from nevus.predictor import softmax
from nevus.progress import CountProgress
from nevus.provenance import provenance
from nevus.recipe import Recipe
from nevus.training.features import frozen_features
from nevus.training.optimiser import Schedule, create_optimiser
from nevus.training.run import COLUMNS, Run, begin_run

# Each factor, and the recipe's setting without it.
FACTORS = {
    "attention": "model.attention.kind=none",
    "metadata": "model.fusion.kind=none",
    "weighted loss": "training.loss.kind=cross_entropy",
}
PROTOCOLS = ("strict", "paper-2022")
CELLS = [frozenset(itertools.compress(FACTORS, there)) for there in itertools.product((1, 0), repeat=len(FACTORS))]


def name_of(cell: frozenset[str]) -> str:
    """The factors that a combination has.

    >>> name_of(frozenset(["metadata", "attention"]))
    'attention + metadata'
    """
    return " + ".join(factor for factor in FACTORS if factor in cell) or "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="HAM10000's, as nevus prepare writes it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_suffix(".toml"), help="the full system")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="change one setting of it; repeatable")
    words = parser.parse_args()
    recipe, manifest = Recipe.read(words.recipe, words.set), Manifest.read(words.manifest)
    run = begin_run(recipe, manifest, words.out, partial(print, file=sys.stderr))
    maps = feature_maps(run)
    documents = {}
    for protocol in PROTOCOLS:
        tables = {name_of(cell): predictions(run, maps, protocol, cell) for cell in CELLS}
        documents[protocol] = summarise(tables, list(FACTORS))
    origin = {**provenance(), "manifest_sha256": manifest.sha256, "recipe": recipe.model_dump(mode="json")}
    write_json(words.out / "factorial.json", {"protocols": documents, "provenance": origin})
    page = "\n\n".join(render(protocol, document) for protocol, document in documents.items())
    write(words.out / "factorial.md", page + "\n")
    print(page)


def feature_maps(run: Run) -> torch.Tensor:
    """float16 (N, C, h, w) of all images, from the run's folder where they are."""
    path = run.folder / "maps.npy"
    if not path.exists():
        model = run.recipe.model
        backbone = create_backbone(model.backbone, model.tap, model.pretrained)
        with CountProgress("looking", "images") as progress, replacing(path) as beside, beside.open("wb") as file:
            np.save(file, frozen_features(backbone, run.pack, run.recipe.data.size, maps=True, progress=progress))
    return torch.from_numpy(np.load(path)).contiguous(memory_format=torch.channels_last)


def predictions(run: Run, maps: torch.Tensor, protocol: str, cell: frozenset[str]) -> Predictions:
    """The out-of-fold answers of one combination, from its folder where they are finished."""
    folder = run.folder / protocol
    path = folder / name_of(cell).replace(" + ", "+").replace(" ", "-") / "predictions.csv"
    if path.exists():
        return Predictions.read(path)
    settings = [f"data.protocol={protocol}", *(setting for factor, setting in FACTORS.items() if factor not in cell)]
    recipe = run.recipe.with_settings(settings)
    folds = assign_folds(recipe, run.manifest, folder, None)
    if recipe.model.attention.kind == "none":
        maps = maps.float().mean(dim=(2, 3), keepdim=True)  # what average pooling would make of them at every step
    tables = []
    for fold in folds.tested:
        print(f"{protocol}, {name_of(cell)}: fold {fold}", file=sys.stderr, flush=True)
        parts = folds.parts(run.manifest, fold)
        probabilities = train_head(run, recipe, maps, parts)
        for name, rows in (("validation", parts.validation), ("test", parts.test)):
            named = [run.classes[index] for index in run.targets[rows]]
            columns = dict(zip(run.classes, probabilities[name].T, strict=True))
            tables.append(answers(run.manifest.frame.iloc[rows], fold, name, protocol, named, columns))
    table = Predictions.from_frame(pd.concat(tables, ignore_index=True))
    table.write(path)
    return table


def train_head(run: Run, recipe: Recipe, maps: torch.Tensor, parts: Parts) -> dict[str, np.ndarray]:
    """Probabilities of validation and test rows, of the epoch with the largest macro AUC on the validation rows."""
    training = recipe.training
    columns = {name: run.manifest.frame[name].to_numpy() for name in COLUMNS}
    encoder = MetadataEncoder.fit({name: values[parts.train] for name, values in columns.items()}, recipe.data.metadata)
    metadata, missing = encoder.encode(columns, len(run.manifest))
    torch.manual_seed(training.seed)
    blank = recipe.with_settings(["model.pretrained=none"])
    network = LesionClassifier(blank.model, len(run.classes), encoder.num_features, recipe.data.size)
    network.backbone = nn.Identity()
    loss_function = create_loss(training.loss, np.bincount(run.targets[parts.train], minlength=len(run.classes)))
    optimiser = create_optimiser(network, training.optimiser)
    steps = len(parts.train) // training.batch_size
    schedule = Schedule(training.schedule, training.optimiser.learning_rate, steps * training.epochs, steps)

    def answer(rows: np.ndarray, unknown: np.ndarray) -> torch.Tensor:
        known = encoder.drop(metadata[rows], unknown)
        present = torch.from_numpy(~unknown.all(axis=1))
        return network(maps[torch.from_numpy(rows)].float(), torch.from_numpy(known), present)

    @torch.no_grad()
    def logits_of(rows: np.ndarray) -> np.ndarray:
        network.eval()
        return torch.cat([answer(part, missing[part]) for part in np.array_split(rows, max(1, len(rows) // 256))]).numpy()

    best, kept = -1.0, {}
    step = 0
    for epoch in range(1, training.epochs + 1):
        network.train()
        order = np.random.default_rng([training.seed, epoch]).permutation(parts.train)
        draws = draw(training.seed, epoch, len(maps))
        for chosen in order[: steps * training.batch_size].reshape(steps, -1):
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step)
            unknown = missing[chosen] | hidden(draws[chosen], training.metadata_dropout, missing.shape[1])
            loss = loss_function(answer(chosen, unknown), torch.from_numpy(run.targets[chosen]))
            if not torch.isfinite(loss):
                raise NevusError(f"the loss became {loss.item()} at step {step}. Try a smaller learning rate.")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
        score = macro_auc(run.targets[parts.validation], logits_of(parts.validation))
        if score > best:
            best, kept = score, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    validation = logits_of(parts.validation)
    temperature = fit_temperature(validation, run.targets[parts.validation])
    return {"validation": softmax(validation, temperature), "test": softmax(logits_of(parts.test), temperature)}


if __name__ == "__main__":
    main()
