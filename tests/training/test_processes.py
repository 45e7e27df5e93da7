"""Several processes compute what one does: the same gradients, the same weights, killed or not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import batch_norm, dropout

from nevus.data.manifest import Manifest
from nevus.errors import NevusError, RecipeError
from nevus.files import sha256
from nevus.networks.classifier import LesionClassifier
from nevus.networks.losses import LOSSES, create_loss
from nevus.recipe import LossRecipe, ModelRecipe, Recipe
from nevus.training.processes import agreed, check_batch, create_accelerator, is_main, main_first
from nevus.training.whole_batch import WholeBatch

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--num_processes",
    "2",
    "--main_process_port",
    "0",
]

# A step of each of two processes on half of the batch, in double precision.
STEP = """
import sys
import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from nevus.networks.classifier import LesionClassifier
from nevus.recipe import ModelRecipe
from nevus.training.processes import create_accelerator
from nevus.training.whole_batch import WholeBatch

accelerator = create_accelerator()
rank, num_processes = accelerator.process_index, accelerator.num_processes
assert num_processes == 2 and accelerator.device.type == "cpu"
network = LesionClassifier(ModelRecipe.model_validate_json(sys.argv[1]), 2, 0).double().to(memory_format=torch.channels_last)
given = load_file(sys.argv[2])
images, targets = given.pop("images")[rank::2], given.pop("targets")[rank::2]
network.load_state_dict(given)
model = accelerator.prepare(network.train())
with WholeBatch(rank, num_processes, seed=5):
    logits = model(images)
accelerator.backward(torch.nn.functional.cross_entropy(logits, targets))
if accelerator.is_main_process:
    gradients = {f"gradient.{name}": parameter.grad for name, parameter in network.named_parameters()}
    state = gradients | network.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet10t", "tf_efficientnet_lite0"])
def test_a_step_of_two_processes_is_the_step_of_one(tmp_path: Path, backbone: str) -> None:
    recipe = ModelRecipe.model_validate({"backbone": backbone, "attention": {"kind": "soft"}, "dropout": 0.3})
    torch.manual_seed(0)
    network = LesionClassifier(recipe, 2, 0).double().to(memory_format=torch.channels_last)
    images = torch.randn(8, 3, 64, 64, dtype=torch.float64)
    # Halves that differ much: statistics of one half are not those of the whole.
    images[::2] = 3 * images[::2] + 1
    targets = torch.tensor([0, 1, 1, 1, 0, 0, 1, 0])
    given = {"images": images, "targets": targets, **network.state_dict()}
    save(given, tmp_path / "given.safetensors")
    script = tmp_path / "step.py"
    script.write_text(STEP)
    command = [
        *TORCHRUN,
        str(script),
        recipe.model_dump_json(),
        str(tmp_path / "given.safetensors"),
        str(tmp_path / "found.safetensors"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    network.train()
    torch.manual_seed(5)
    torch.nn.functional.cross_entropy(network(images), targets).backward()
    found = load_file(tmp_path / "found.safetensors")
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(found[f"gradient.{name}"], parameter.grad, rtol=1e-7, atol=1e-9), name
    for name, buffer in network.named_buffers():
        assert torch.allclose(found[name].double(), buffer.double(), rtol=1e-9, atol=1e-12), name


def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_mean_of_the_processes_losses_is_the_loss_of_the_batch(kind: str) -> None:
    """Averaged gradients are the batch's only then: a weighted mean would have to be divided by all processes' weights."""
    loss = create_loss(LossRecipe.model_validate({"kind": kind}), np.array([70, 20, 10]))
    logits, targets = torch.randn(12, 3, dtype=torch.float64), torch.tensor([0, 0, 0, 2, 0, 1] * 2)
    halves = [loss(logits[rank::2], targets[rank::2]).item() for rank in range(2)]
    assert halves[0] != pytest.approx(halves[1])
    assert np.mean(halves) == pytest.approx(loss(logits, targets).item())


@pytest.mark.parametrize(
    ("batch_size", "num_rows", "num_processes", "said"),
    [
        (32, 1000, 3, r"batch_size = 32 .* does not divide by 3.*--set training.batch_size=33"),
        (15, 1000, 2, "--set training.batch_size=16"),
        (32, 31, 2, "31 training images are fewer than a batch of 32 and do not divide by 2"),
    ],
)
def test_a_batch_that_cannot_be_dealt_out_evenly_is_refused(
    batch_size: int, num_rows: int, num_processes: int, said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        check_batch(batch_size, num_rows, num_processes)
    check_batch(batch_size, num_rows, 1)


def test_processes_that_accelerate_was_asked_for_and_did_not_start_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(NevusError, match=r"started this one by itself.*torchrun --nproc-per-node 2"):
        create_accelerator()


def test_a_process_alone_is_the_main_one() -> None:
    assert is_main()
    assert agreed("mine") == "mine"
    with main_first():
        pass


def test_one_process_keeps_torchs_own_functions() -> None:
    images = torch.randn(4, 3, 5, 5)
    with WholeBatch(rank=0, num_processes=1, seed=9):
        torch.manual_seed(1)
        found = dropout(images, 0.5), batch_norm(images, torch.zeros(3), torch.ones(3), training=True)
    torch.manual_seed(1)
    assert torch.equal(found[0], dropout(images, 0.5))
    assert torch.equal(found[1], batch_norm(images, torch.zeros(3), torch.ones(3), training=True))


def test_drop_out_of_two_processes_is_that_of_one_dealt_out() -> None:
    features = torch.randn(6, 7)
    torch.manual_seed(4)
    whole = dropout(features, 0.4)
    for rank in range(2):
        with WholeBatch(rank, 2, seed=4):
            assert torch.equal(dropout(features[rank::2], 0.4), whole[rank::2])
            assert torch.equal(dropout(features[rank::2], 0.4, training=False), features[rank::2])


@pytest.fixture
def recipe_file(tiny: Recipe, tmp_path: Path) -> Path:
    """The tiny recipe as a file, with enough steps to be killed in."""
    recipe = tiny.with_settings(["training.epochs=6", "training.checkpoint_steps=1", "training.monitor=last"])
    model, training = recipe.model, recipe.training
    path = tmp_path / "tiny.toml"
    path.write_text(
        f'name = "tiny"\n[data]\nmanifest = "{recipe.data.manifest}"\ntask = "malignant"\nsize = 32\n'
        f'[model]\nbackbone = "{model.backbone}"\ndropout = {model.dropout}\nattention = {{ kind = "zoom_se" }}\n'
        f'fusion = {{ kind = "multiply" }}\n[training]\nepochs = {training.epochs}\nbatch_size = 16\nprecision = "float32"\n'
        f'ema = 0.9\nclip_norm = 5.0\nmonitor = "last"\ncheckpoint_steps = 1\nloss = {{ kind = "class_weighted" }}\n'
    )
    return path


def running(process: int) -> bool:
    """Whether it is there and no zombie: where nobody waits for an orphan, that is what stays of it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_two_processes_killed_go_on_to_the_same_weights(phantoms: Manifest, recipe_file: Path, tmp_path: Path) -> None:
    def command(out: str) -> list[str]:
        return [*ACCELERATE, "-m", "nevus", "fit", str(recipe_file), "--out", str(tmp_path / out)]

    done = subprocess.run(command("whole"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("bundle") == 1, "one process speaks"
    assert (tmp_path / "whole" / "log.jsonl").read_text().count("\n") == 6, "one process writes"

    launcher = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "killed" / "log.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 2):
        assert launcher.poll() is None, "ended before it was killed"
        time.sleep(0.05)
    workers = [int(pid) for task in Path(f"/proc/{launcher.pid}/task").glob("*/children") for pid in task.read_text().split()]
    assert len(workers) >= 2
    for process in (launcher.pid, *workers):
        os.kill(process, signal.SIGKILL)
    launcher.wait()
    while any(running(worker) for worker in workers):
        time.sleep(0.05)
    assert not (tmp_path / "killed" / "bundle" / "bundle.json").exists()

    done = subprocess.run(command("killed"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    hashes = [sha256(tmp_path / run / "bundle" / "weights.safetensors") for run in ("whole", "killed")]
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_what_several_processes_cannot_do_is_said(phantoms: Manifest, recipe_file: Path, tmp_path: Path) -> None:
    for setting, said in (
        ("training.batch_size=15", "training.batch_size = 15 is the batch of all processes together"),
        ("training.distillation.teacher_run=runs/x", "training.distillation remembers every image in one process"),
    ):
        command = [*TORCHRUN, "-m", "nevus", "fit", str(recipe_file), "--out", str(tmp_path / "run"), "--set", setting]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode != 0
        assert said in done.stderr
