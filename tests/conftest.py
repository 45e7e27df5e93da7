"""What several tests share: a small set of phantoms, a recipe that trains in seconds, and the real images where at hand."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from nevus.data.manifest import Manifest
from nevus.data.phantom import write_phantoms
from nevus.recipe import Recipe

# No clock decides a test: a busy machine is not a fault.
settings.register_profile("nevus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nevus")

# A shell without job control starts what runs in its background with Ctrl-C ignored; processes that tests start would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Packs of the tests never land in the user's cache."""
    os.environ["NEVUS_CACHE"] = str(tmp_path_factory.mktemp("packs"))


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A few dozen phantom lesions, small."""
    return Manifest.read(write_phantoms(tmp_path_factory.mktemp("phantoms"), num_lesions=60, size=(48, 64)))


@pytest.fixture
def tiny(phantoms: Manifest) -> Recipe:
    """ZooME on 32 pixels: seconds a fold, and every part of it in use."""
    settings = [
        f"data.manifest={phantoms.path}",
        "data.task=malignant",
        "data.num_folds=2",
        "data.size=32",
        "model.backbone=resnet10t",
        "model.attention.kind=zoom_se",
        "model.fusion.kind=multiply",
        "model.dropout=0.2",
        "training.epochs=2",
        "training.batch_size=16",
        "training.precision=float32",
        "training.loss.kind=focal",
        "training.ema=0.9",
        "training.clip_norm=5.0",
        "training.checkpoint_steps=2",
    ]
    return Recipe(name="tiny").with_settings(settings)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images (`NEVUS_DATA`, or shared/data beside the checkout); the test is skipped without it."""
    folder = Path(os.environ.get("NEVUS_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "ham10000" / "HAM10000_metadata.csv").exists():
        pytest.skip(f"the real images are not at {folder}; set NEVUS_DATA to their folder")
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of some KiB in memory, to be filled up."""
    disk = tmp_path / "disk"

    def mount(num_kib: int) -> Path:
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={num_kib}k", "tmpfs", disk], capture_output=True).returncode:
            pytest.skip("a small file system cannot be mounted here: this needs root")
        return disk

    yield mount
    if disk.is_mount():
        # Lazily: where a test fails, its frames keep files of the disk open.
        subprocess.run(["umount", "--lazy", disk], check=True)
