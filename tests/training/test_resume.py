"""Killed at any moment and started again, training ends with the same weights, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nevus.data.manifest import Manifest
from nevus.errors import DataError
from nevus.files import sha256
from nevus.recipe import Recipe
from nevus.training.fit import fit
from nevus.training.log import LiveProgress, Report


class Killed(BaseException):
    """Not an Exception: nothing may catch it, as nothing catches a kill."""


def killed_at(step: int) -> Report:
    def report(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == step:
            raise Killed

    return report


# Whatever draws numbers or depends on how far training is.
REGULARISED = [
    "training.loss.kind=multi_weighted",
    "training.loss.cumulative=[0.1, 0.8]",
    "training.mixup=0.4",
    "training.cutmix=1.0",
    "model.drop_block=0.4",
    "model.drop_block_side=1",
    "model.transform=dct",
    "data.augment.randaugment.kind=yao",
]
SAMPLED = ["training.sampler=augmented", "training.early_stopping=9", "training.stop_monitor=loss"]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [[], SAMPLED, REGULARISED], ids=["zoome", "sampled", "regularised"])
def test_a_run_stopped_within_epochs_and_between_them_ends_with_the_same_weights(
    phantoms: Manifest, tiny: Recipe, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny.with_settings(settings)
    whole = fit(tiny, phantoms, tmp_path / "whole")
    # Step 3 lies between checkpoints, so step 3 is done twice; the last kill falls into the second epoch.
    for step in (3, 5, 7):
        monkeypatch.setattr(LiveProgress, "__call__", lambda self, event, step=step: killed_at(step)(event))
        with pytest.raises(Killed):
            fit(tiny, phantoms, tmp_path / "killed")
    monkeypatch.undo()
    resumed = fit(tiny, phantoms, tmp_path / "killed")
    assert sha256(resumed.path / "weights.safetensors") == sha256(whole.path / "weights.safetensors")
    assert resumed.document["temperature"] == whole.document["temperature"]
    logs = [(folder / "log.jsonl").read_text().count("\n") for folder in (tmp_path / "whole", tmp_path / "killed")]
    assert logs == [2, 2]


@pytest.mark.slow
def test_a_folder_of_another_run_is_refused(phantoms: Manifest, tiny: Recipe, tmp_path: Path) -> None:
    fit(tiny.with_settings(["training.epochs=1"]), phantoms, tmp_path)
    with pytest.raises(DataError, match="holds a run of another recipe"):
        fit(tiny, phantoms, tmp_path)
    with pytest.raises(DataError, match="holds a run of another manifest"):
        fit(tiny.with_settings(["training.epochs=1"]), phantoms.where(phantoms.frame["sex"] != "male"), tmp_path)


@pytest.mark.slow
def test_kill_minus_nine_again_and_again(tiny: Recipe, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text('name = "tiny"\n')
    document = tiny.model_dump(mode="json", exclude_none=True)
    settings: list[str] = []

    def flatten(prefix: str, section: dict[str, Any]) -> None:
        for name, value in section.items():
            if isinstance(value, dict):
                flatten(f"{prefix}{name}.", value)
            elif prefix or name != "name":
                settings.extend(["--set", f"{prefix}{name}={str(value).lower() if isinstance(value, bool) else value}"])

    flatten("", document)

    def command(out: Path) -> list[str]:
        return [sys.executable, "-m", "nevus", "cross-validate", str(recipe), "--out", str(out), *settings]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    subprocess.run(command(tmp_path / "whole"), check=True, env=environment, capture_output=True)
    whole_seconds = time.monotonic() - started
    for kills in range(30):
        process = subprocess.Popen(
            command(tmp_path / "killed"), env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            # Longer each time, so that it ends however slow the machine is.
            process.wait(timeout=whole_seconds * (0.5 + 0.04 * kills))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            continue
        assert process.returncode == 0
        break
    else:
        pytest.fail("thirty runs of growing length did not finish")
    assert kills > 0, "nothing was killed"
    for name in ("fold-0/bundle/weights.safetensors", "fold-1/bundle/weights.safetensors", "predictions.csv", "folds.csv"):
        assert sha256(tmp_path / "whole" / name) == sha256(tmp_path / "killed" / name), name
