"""A disk that fills up in the middle of a run: one message, nothing half-written, and the run goes on when there is room."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nevus.data.manifest import Manifest

SETTINGS = (
    "data.task=malignant data.size=32 data.num_folds=2 model.backbone=resnet10t training.epochs=1 training.precision=float32"
)


@pytest.mark.slow
def test_a_run_on_a_disk_that_fills_up_says_so_and_goes_on_later(
    small_disk: Callable[[int], Path], phantoms: Manifest, tmp_path: Path
) -> None:
    disk = small_disk(40 * 1024)  # one fold's checkpoint and bundle fit, two do not
    recipe, out = tmp_path / "r.toml", disk / "run"
    recipe.write_text('name = "tiny"\n')
    words: list[str | Path] = [sys.executable, "-m", "nevus", "cross-validate", recipe, "--out", out, "--manifest", phantoms.path]
    words += [part for setting in SETTINGS.split() for part in ("--set", setting)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for room in range(40, 400, 40):
        subprocess.run(["mount", "-o", f"remount,size={room}m", disk], check=True)
        done = subprocess.run(words, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert done.returncode == 2
        assert "the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert "fault in nevus" not in done.stderr
        assert not list(out.rglob("*.part"))
    assert room > 40, "the disk never filled up"
    assert done.returncode == 0
    assert (out / "report.html").exists()
