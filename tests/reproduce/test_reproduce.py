"""`nevus reproduce` from end to end on drawings: a subset of the rows, a kill, and a process that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command_line import nevus
from nevus.data.manifest import Manifest
from nevus.reproduce.grid import plan
from nevus.reproduce.job import DONE, FAILED, REFUSED, finish_job, start_job

SMOKE = ("--budget", "smoke", "--protocol", "paper")


def started(out: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "nevus", "reproduce", "zoome", "--out", str(out), *SMOKE, *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


@pytest.mark.slow
def test_rows_run_side_by_side_and_one_that_fails_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ("--rows", "resnet50", "--rows", "zoome-no-metadata", "--set", "model.backbone=resnet10t", "--workers", "2", *SMOKE)
    code, out, err = nevus(monkeypatch, capsys, "reproduce", "zoome", "--out", tmp_path, *words)
    assert code == 0, err
    assert out.split() == [str(tmp_path / "zoome-smoke.md"), str(tmp_path / "zoome-smoke.html")]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["zoome-smoke.html", "zoome-smoke.md"]
    page = (tmp_path / "zoome-smoke.md").read_text(encoding="utf-8")
    assert "| Maron et al. | paper-zoome (optimistic) | ran |" in page
    folder = tmp_path / "runs" / "zoome-resnet50-paper-zoome-smoke"
    assert json.loads((folder / "evaluation.json").read_text())["provenance"]["folds_run"] == "1 of 2"
    assert not list(folder.rglob("*.safetensors"))
    before = (folder / "evaluation.json").stat().st_mtime_ns

    # Again, with a row more, whose network does not fit: what is done stays, the new one fails and the table is written.
    more = (*words, "--rows", "alexnet-metadata", "--set", "model.tap=nowhere")
    code, out, err = nevus(monkeypatch, capsys, "reproduce", "zoome", "--out", tmp_path, *more)
    assert code == 1
    assert "alexnet-metadata, paper-zoome: failed: model.tap = 'nowhere'" in err
    assert "failed[^" in (tmp_path / "zoome-smoke.md").read_text(encoding="utf-8")
    code, out, err = nevus(monkeypatch, capsys, "reproduce", "zoome", "--out", tmp_path, *words)
    assert (code, (folder / "evaluation.json").stat().st_mtime_ns >= before) == (0, True)


@pytest.mark.slow
def test_a_killed_grid_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    words = ("--rows", "resnet50", "--rows", "resnet50-zoom-se", "--set", "model.backbone=resnet10t")
    process = started(tmp_path, *words)
    # The second job has begun, so the first is done.
    second = tmp_path / "runs" / "zoome-resnet50-zoom-se-paper-zoome-smoke"
    while not (second / "job.log").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    first = tmp_path / "runs" / "zoome-resnet50-paper-zoome-smoke" / "outcome.json"
    done = first.stat().st_mtime_ns
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while str(second) in _commands():
        assert time.monotonic() < deadline, "the job outlives the grid"
        time.sleep(0.1)
    assert not (second / "outcome.json").exists()
    process = started(tmp_path, *words)
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert b"2 runs, 1 of them done before" in err
    assert first.stat().st_mtime_ns == done
    assert json.loads((second / "outcome.json").read_text())["outcome"]["status"] == DONE


@pytest.mark.slow
def test_a_job_whose_process_is_killed_is_a_failed_row(phantoms: Manifest, tmp_path: Path) -> None:
    grid = plan("zoome", tmp_path, phantoms, rows=["resnet50"], protocols=["paper"], budget_name="smoke")
    (job,) = grid.jobs
    job.write()
    process = start_job(job.folder, 1)
    os.kill(process.pid, signal.SIGKILL)
    finish_job(job.folder, process)
    outcome = job.outcome()
    assert outcome is not None
    assert (outcome.status, "ended by signal 9" in outcome.reason) == (FAILED, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        ([], REFUSED, "a 1x1 map. Attention over one pixel is a constant"),
        # Only that reason is a refusal: a tap that is not there is a failure of this row as of any other.
        (["model.tap=nowhere"], FAILED, "no such tap"),
    ],
)
def test_attention_to_one_pixel_is_refused_and_nothing_else(
    phantoms: Manifest, tmp_path: Path, settings: list[str], status: str, words: str
) -> None:
    chosen: dict[str, Any] = {
        "rows": ["mobilenetv3large-230"],
        "protocols": ["paper"],
        "budget_name": "smoke",
        "settings": settings,
    }
    (job,) = plan("soft-attention", tmp_path, phantoms, **chosen).jobs
    job.write()
    finish_job(job.folder, start_job(job.folder, 1))
    outcome = job.outcome()
    assert outcome is not None
    assert (outcome.status, words in outcome.reason) == (status, True)


@pytest.mark.slow
def test_a_manifest_that_changed_since_the_plan_is_a_failed_row(phantoms: Manifest, tmp_path: Path) -> None:
    copy = tmp_path / "manifest.csv"
    copy.write_text(phantoms.path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "images").symlink_to(phantoms.path.parent / "images")
    grid = plan("zoome", tmp_path, Manifest.read(copy), rows=["resnet50"], protocols=["paper"], budget_name="smoke")
    (job,) = grid.jobs
    job.write()
    copy.write_text("\n".join(copy.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    finish_job(job.folder, start_job(job.folder, 1))
    outcome = job.outcome()
    assert outcome is not None
    assert (outcome.status, "has changed since the grid began" in outcome.reason) == (FAILED, True)


def _commands() -> str:
    """The command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended meanwhile
    return "\n".join(found)
