"""Jobs side by side: in processes of this machine, or on a Ray cluster."""

import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from nevus.errors import NotAvailableError
from nevus.processors import num_processors
from nevus.reproduce.job import finish_job, run_job, start_job

_POLL_SECONDS = 0.1

# Runs each folder's job, so many at a time, and yields each folder when its job has ended.
Runner = Callable[[Sequence[Path], int], Iterator[Path]]


def in_processes(folders: Sequence[Path], num_workers: int) -> Generator[Path, None, None]:
    """A process a job, the cores shared out among those that run at a time."""
    num_threads = max(1, num_processors() // num_workers)
    waiting = list(folders)
    running: dict[Path, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < num_workers:
                running[waiting[0]] = start_job(waiting[0], num_threads)
                waiting.pop(0)
            time.sleep(_POLL_SECONDS)
            for folder in [folder for folder, process in running.items() if process.poll() is not None]:
                finish_job(folder, running.pop(folder))
                yield folder
    finally:  # an interruption, or a caller that wants no more
        for process in running.values():
            process.kill()
            process.communicate()


def on_ray(folders: Sequence[Path], num_workers: int) -> Iterator[Path]:
    """A Ray task a job, on the cluster of RAY_ADDRESS or on one that is started here; a task whose worker dies is begun again.

    It goes on from its last checkpoint then. The folders, the manifest and the images must be at the same paths on every machine,
    on a shared file system. `num_workers` is how many jobs a machine of this one's cores would run at a time.

    Raises
    ------
    NotAvailableError
        Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise NotAvailableError("--ray needs Ray. Install it with: pip install 'nevus[scale]'") from error
    num_threads = max(1, num_processors() // num_workers)
    ray.init(ignore_reinit_error=True, log_to_driver=False)
    num_gpus = 1 if ray.cluster_resources().get("GPU") else 0
    task: Any = ray.remote(num_cpus=num_threads, num_gpus=num_gpus, max_retries=3)(run_job)
    waiting = {task.remote(folder, num_threads): folder for folder in folders}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        ray.get(done)
        yield waiting.pop(done)


RUNNERS: dict[str, Runner] = {"processes": in_processes, "ray": on_ray}
