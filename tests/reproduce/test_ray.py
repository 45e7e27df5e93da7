"""Rows on a real Ray cluster of two workers, one of which is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROWS = ("alexnet", "alexnet-metadata", "kaur2020", "resnet50")


def workers() -> list[int]:
    """The processes in which Ray runs a job; it writes the task's name where a process's command stands."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cmdline").read_bytes().startswith(b"ray::run_job"):
                found.append(int(process.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
def test_four_rows_on_two_workers_survive_the_death_of_one(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is the extra scale")
    words = [word for row in ROWS for word in ("--rows", row)]
    command = [sys.executable, "-m", "nevus", "reproduce", "zoome", "--budget", "smoke", "--protocol", "paper", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    before = set(workers())
    process = subprocess.Popen(
        [*command, "--ray", "--workers", str(os.cpu_count()), "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    killed = None
    while process.poll() is None and killed is None:
        time.sleep(0.2)
        ours = sorted(set(workers()) - before)
        if len(ours) > 1 and list(tmp_path.glob("runs/*/run.json")):
            killed = ours[0]
            os.kill(killed, signal.SIGKILL)
    words_said, _ = process.communicate(timeout=400)
    assert killed is not None, "two rows ran at a time"
    assert process.returncode == 0, words_said
    outcomes = [json.loads(path.read_text())["outcome"]["status"] for path in tmp_path.glob("runs/*/outcome.json")]
    assert outcomes == ["done"] * len(ROWS)
    assert len(list(tmp_path.glob("runs/*/evaluation.json"))) == len(ROWS)
    assert "smoke" in next(tmp_path.glob("*.md")).read_text().lower()
