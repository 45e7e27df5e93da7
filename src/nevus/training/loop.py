"""The training loop, from top to bottom. Killed at any moment, it goes on from its last checkpoint to the same weights."""

import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from nevus.errors import DataError, NevusError
from nevus.networks.classifier import LesionClassifier
from nevus.networks.losses import create_loss
from nevus.recipe import LossRecipe, Recipe
from nevus.training.checkpoint import Progress, State, header_of, load_checkpoint, progress_of, save_checkpoint, save_weights
from nevus.training.hardware import lay_out
from nevus.training.loader import Examples, Rows, Timed, normalise, num_steps, training_batches
from nevus.training.log import Log, Report
from nevus.training.mixup import Mixture
from nevus.training.optimiser import Schedule, create_optimiser
from nevus.training.processes import agreed, check_batch, create_accelerator
from nevus.training.resident import ResidentPack
from nevus.training.sampler import epoch_counts
from nevus.training.stopping import stands_still, watched
from nevus.training.teacher import Distiller
from nevus.training.validation import update_average, validate
from nevus.training.whole_batch import WholeBatch


def train(
    network: LesionClassifier,
    examples: Examples,
    training_rows: Rows,
    validation_rows: Rows,
    recipe: Recipe,
    folder: Path,
    *,
    identity: str,
    precision: str,
    report: Report = lambda event: None,
    distiller: Distiller | None = None,
) -> State:
    """Train `network` and return the weights (or their moving average) of the epoch that was best on the validation rows.

    Parameters
    ----------
    network
        Changed in place.
    examples
        The pack, targets and metadata of all rows.
    training_rows, validation_rows
        Which rows train, and which choose the epoch; the loop sees no other row. A recipe that keeps the last epoch, whatever its
        figures, needs none to choose it.
    folder
        Holds `last.safetensors`, `best.safetensors` and `log.jsonl`; a `last.safetensors` of the same identity is gone on from.
    identity
        A hash of everything that must not change between a kill and its resumption.
    precision
        "float32" or "bfloat16" (autocast).
    report
        Called with each event that is logged.
    distiller
        A teacher's part of the loss, where there is one; its own weights are trained and saved beside the network's.

    Raises
    ------
    RecipeError
        The batch does not divide by the number of processes.
    DataError
        The folder holds another run.
    NevusError
        The loss became NaN or infinite.
    """
    training = recipe.training
    accelerator = create_accelerator()
    rank, num_processes = accelerator.process_index, accelerator.num_processes
    device = accelerator.device
    network = network.to(device)
    lay_out(network, recipe)
    trained: nn.Module = nn.ModuleList([network, distiller.to_device(device)]) if distiller else network
    optimiser = create_optimiser(trained, training.optimiser)
    # Of what an epoch shows: weights by these counts do not make up again for what a sampler has made up for.
    class_counts = epoch_counts(
        training.sampler, np.bincount(examples.targets[training_rows], minlength=network.num_classes).astype(np.int64)
    )
    check_batch(training.batch_size, int(class_counts.sum()), num_processes)
    loss_function = create_loss(training.loss, class_counts, examples.classes)
    validation_loss = loss_function if training.loss.validation == "same" else create_loss(LossRecipe(), class_counts)
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (network.mean, network.std))
    steps_per_epoch = num_steps(int(class_counts.sum()), training.batch_size, training.epoch_steps)
    schedule = Schedule(training.schedule, training.optimiser.learning_rate, training.epochs * steps_per_epoch, steps_per_epoch)
    progress = Progress()
    log = Log(folder / "log.jsonl", report, writes=accelerator.is_main_process)
    if (folder / "last.safetensors").exists():
        header = load_checkpoint(folder / "last.safetensors", network, average, optimiser, distiller)
        if header["identity"] != identity:
            raise DataError(f"{folder}: holds a run of another recipe or other data. Choose another folder, or delete this one.")
        progress, schedule = progress_of(header), replace(schedule, **header["schedule"])
        log.rewind(progress.step)
    model = accelerator.prepare(network)
    resident = ResidentPack.where_it_fits(examples.pack, device, recipe.data.augment)
    started = time.monotonic() - progress.seconds

    def checkpoint() -> None:
        if accelerator.is_main_process:
            header = header_of(replace(progress, seconds=time.monotonic() - started), schedule.state(), identity)
            save_checkpoint(folder / "last.safetensors", network, average, optimiser, header, distiller)

    while not progress.finished:
        epoch_started, first_step = time.monotonic(), progress.epoch_step
        network.train()
        batches = Timed(
            training_batches(examples, training_rows, recipe, progress.epoch, first_step, rank, num_processes, resident)
        )
        for batch in batches:
            batch = batch.to(device)
            share = network.drop_block.share = progress.step / schedule.num_steps
            rate = schedule.rate(progress.step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            # Seeding every step makes drop-out a function of the step: nothing random has to be saved to resume exactly.
            torch.manual_seed(_seed(training.seed, progress.step, rank))
            shape = batch.images.shape[:3]
            mixture = Mixture.draw(training.mixup, training.cutmix, training.seed, progress.step, shape, device)
            images, metadata = mixture.blend_images(normalise(batch.images, mean, std)), mixture.blend(batch.metadata)
            whole = (
                WholeBatch(rank, num_processes, _seed(training.seed, progress.step, 0)) if num_processes > 1 else nullcontext()
            )
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"), whole:
                logits = model(images, metadata, mixture.either(batch.present)).float()
                taught = distiller(batch, logits, share) if distiller else 0.0
            loss = mixture.loss(partial(loss_function, logits, share=share), batch.targets) + taught
            accelerator.backward(loss)
            if training.clip_norm:
                accelerator.clip_grad_norm_(network.parameters(), training.clip_norm)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            update_average(average, network, training.ema, progress.step)
            value = accelerator.reduce(loss.detach(), "mean").item()
            progress = replace(
                progress,
                step=progress.step + 1,
                epoch_step=progress.epoch_step + 1,
                loss_sum=progress.loss_sum + value,
            )
            if not np.isfinite(value):
                raise NevusError(f"{folder}: the loss became {value} at step {progress.step}. Try a smaller learning rate.")
            report({"kind": "step", "epoch": progress.epoch, "step": progress.step, "of": schedule.num_steps, "loss": value})
            if progress.step % training.checkpoint_steps == 0 and progress.epoch_step < steps_per_epoch:
                checkpoint()

        size = recipe.data.size
        figures, scores = {}, {"last": float(progress.epoch)}
        if len(validation_rows):
            figures = agreed(validate(network, average, examples, validation_rows, size, validation_loss, rank, num_processes))
            schedule = schedule.after_epoch(figures["loss"])
            scores |= {**figures, "loss": -figures["loss"]}
        score = scores[training.monitor]
        progress = watched(progress, scores, training)
        improved = progress.best is None or score > progress.best
        if improved:
            progress = replace(progress, best=score, best_epoch=progress.epoch)
            if accelerator.is_main_process:
                save_weights(folder / "best.safetensors", average)
        num_images = (progress.epoch_step - first_step) * training.batch_size
        log.write(
            {
                "kind": "epoch",
                "epoch": progress.epoch,
                "step": progress.step,
                "train_loss": progress.loss_sum / progress.epoch_step,
                **{f"validation_{name}": value for name, value in figures.items()},
                "learning_rate": rate,
                "waited_for_data": batches.seconds / (time.monotonic() - epoch_started),
                "images_per_second": num_images / (time.monotonic() - epoch_started),
                "seconds": time.monotonic() - started,
                "best": improved,
            }
        )
        last = progress.epoch == training.epochs or stands_still(progress, training)
        progress = replace(progress, epoch=progress.epoch + 1, epoch_step=0, loss_sum=0.0, finished=last)
        checkpoint()

    accelerator.wait_for_everyone()
    return load_file(folder / "best.safetensors")


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
