"""Which runs there are, which of them are missing, and what becomes of those that die."""

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from ended_runs import end

from nevus.data.manifest import Manifest
from nevus.data.splits import split
from nevus.errors import DataError, NotAvailableError, RecipeError
from nevus.recipe import Protocol, Task
from nevus.reproduce import runner
from nevus.reproduce.grid import Grid, plan, run
from nevus.reproduce.job import FAILED, REFUSED, run_job
from nevus.reproduce.reproduce import images_of, reproduce
from nevus.reproduce.systems import budget, recipe_of, systems

MakeGrid = Callable[..., Grid]


def names(grid: Grid) -> list[tuple[str, str]]:
    return [(job.system, job.protocol) for job in grid.jobs]


def test_all_rows_under_the_papers_protocol_and_the_strict_one(make_grid: MakeGrid) -> None:
    zoome, soft = make_grid("zoome"), make_grid("soft-attention")
    assert names(zoome)[:2] == [("zoome", "paper-zoome"), ("zoome", "strict")]
    assert len(zoome.jobs) == 2 * 8
    assert len(soft.jobs) == 2 * 22
    assert len({job.folder for job in soft.jobs}) == len(soft.jobs)
    assert {job.protocol for job in soft.jobs if job.system.endswith("-augmented")} == {"paper-datta", "strict"}
    assert {job.folds for job in soft.jobs} == {None}


def test_rows_are_chosen_by_table_row_or_system(make_grid: MakeGrid) -> None:
    paper = {"protocols": ["paper"]}
    assert len(make_grid("soft-attention", rows=["Table 3"], **paper).jobs) == 4
    assert names(make_grid("soft-attention", rows=["*Layer[:240]*"], **paper)) == [("mobilenetv3large-240", "paper-2022")]
    assert names(make_grid("zoome", rows=["Maron et al."], **paper)) == [("resnet50", "paper-zoome")]
    assert make_grid("soft-attention", rows=["table 2"]).jobs == []
    with pytest.raises(DataError, match=r"--rows 'Table 12': no table, row or system of that name. There are Table 2, Table 3"):
        make_grid("soft-attention", rows=["Table 12"])


def test_both_papers_fit_into_one_folder(make_grid: MakeGrid) -> None:
    """ResNet-50 is a system of both, under the strict protocol too."""
    folders = [job.folder for paper in ("zoome", "soft-attention") for job in make_grid(paper).jobs]
    assert len(set(folders)) == len(folders)


def test_a_wrong_setting_is_said_before_anything_runs(make_grid: MakeGrid) -> None:
    with pytest.raises(RecipeError, match="training has"):
        make_grid("zoome", settings=["training.speed=2"])


def test_a_setting_may_be_of_one_system(make_grid: MakeGrid) -> None:
    grid = make_grid("zoome", settings=["alexnet:training.epochs=3"], protocols=["paper"])
    assert {job.system for job in grid.jobs if job.recipe.training.epochs == 3} == {"alexnet"}
    with pytest.raises(DataError, match=r"no system 'alexnett'. There are zoome, zoome-no-zoom-se"):
        make_grid("zoome", settings=["alexnett:training.epochs=3"])


def test_data_is_asked_for_but_for_the_smoke_run(tmp_path: Path, phantoms: Manifest) -> None:
    with pytest.raises(DataError, match="--data: not given"):
        reproduce("zoome", tmp_path)
    with pytest.raises(DataError, match="runs on drawings"):
        reproduce("zoome", tmp_path, data=phantoms.path, budget_name="smoke")


def test_the_drawings_are_enough_for_every_protocol(tmp_path: Path) -> None:
    """Every class where a protocol chooses or the lack of it would end the run, and a melanoma in each test fold that is run."""
    manifest = images_of("smoke", None, tmp_path)
    settings = recipe_of(systems("zoome")["zoome"], "strict", budget("smoke"), manifest.path).data
    for task, protocol in itertools.product(get_args(Task), get_args(Protocol)):
        rows, classes, targets = manifest.for_task(task)
        folds = split(
            rows, task=task, protocol=protocol, num_folds=settings.num_folds, validation_share=settings.validation_share
        )
        parts = folds.parts(rows, 0)
        positive = classes.index("mel" if "mel" in classes else "malignant")
        assert set(targets[parts.train]) == set(range(len(classes))), (task, protocol)
        for part in (parts.validation, parts.test):
            assert 0 < (targets[part] == positive).sum() < len(part), (task, protocol)


def test_only_what_is_missing_or_failed_is_run(make_grid: MakeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = make_grid("soft-attention", rows=["mobilenetv3large-2*"], protocols=["paper"])
    for job, status in zip(grid.jobs, ["done", REFUSED, FAILED], strict=False):
        end(job, status, "why")
    ran: list[str] = []

    def fake(folders: Sequence[Path], num_workers: int) -> Iterator[Path]:
        for folder in folders:
            assert (folder / "job.json").exists()
            job = next(job for job in grid.jobs if job.folder == folder)
            ran.append(job.system)
            end(job)
            yield folder

    monkeypatch.setitem(runner.RUNNERS, "processes", fake)
    run(grid)
    assert ran == [job.system for job in grid.jobs[2:]]
    ran.clear()
    run(grid)
    assert ran == []


def test_a_run_of_another_recipe_or_other_data_is_not_taken_for_done(make_grid: MakeGrid) -> None:
    grid = make_grid("zoome", rows=["zoome"])
    for job in grid.jobs:
        end(job)
    assert all(job.outcome() for job in make_grid("zoome", rows=["zoome"]).jobs)
    assert not any(job.outcome() for job in make_grid("zoome", rows=["zoome"], settings=["training.epochs=3"]).jobs)
    same = grid.jobs[0]
    assert type(same)(same.system, same.protocol, same.folder, same.recipe, "another", same.size).outcome() is None


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NotAvailableError, match=r"nevus\[scale\]"):
        list(runner.on_ray([tmp_path], 1))


def test_each_job_is_a_ray_task_that_is_begun_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Against a stand-in with Ray's calls: what is asked of Ray, not that Ray does it."""
    ran, options = [], {}

    def remote(**words: Any) -> Callable[[Any], Any]:
        options.update(words)
        return lambda function: SimpleNamespace(remote=lambda *arguments: begin(function, arguments))

    def begin(function: Any, arguments: Any) -> int:
        ran.append((function, arguments))
        return len(ran)

    stand_in = SimpleNamespace(
        init=lambda **words: None,
        cluster_resources=lambda: {"CPU": 4.0},
        remote=remote,
        wait=lambda waiting, num_returns: (waiting[-num_returns:], waiting[:-num_returns]),
        get=lambda reference: None,
    )
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    monkeypatch.setattr(runner, "num_processors", lambda: 4)
    folders = [tmp_path / name for name in "abc"]
    assert list(runner.on_ray(folders, 2)) == folders[::-1]
    assert ran == [(run_job, (folder, 2)) for folder in folders]
    assert options == {"num_cpus": 2, "num_gpus": 0, "max_retries": 3}


def test_so_many_run_at_a_time_and_none_outlives_an_interruption(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess

    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, num_threads: int) -> "subprocess.Popen[bytes]":
        seconds = "0" if folder.name == "quick" else "60"
        process = subprocess.Popen(["sleep", seconds], stdin=subprocess.PIPE)
        started.append(process)
        return process

    monkeypatch.setattr(runner, "start_job", start)
    monkeypatch.setattr(runner, "finish_job", lambda folder, process: process.communicate())
    jobs = runner.in_processes([tmp_path / name for name in ("quick", "slow", "slower", "slowest")], 2)
    assert next(jobs).name == "quick"
    assert len(started) == 2
    jobs.close()
    assert [process.poll() for process in started] == [0, -9]


def test_plans_are_of_the_papers_there_are(tmp_path: Path, phantoms: Manifest) -> None:
    with pytest.raises(DataError, match="'other': no such paper"):
        plan("other", tmp_path, phantoms)
