"""MLflow runs, in a folder without a server or on a tracking server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nevus.reports.run import Run
from nevus.reports.tracking.figures import Tracked

EXPERIMENT = "nevus"
# What MLflow takes in one request.
_METRICS, _PARAMETERS = 1000, 100
_DOCUMENTS = ("evaluation.json", "recipe.json", "folds.csv", "report.html", "report.md")


def send_to_mlflow(run: Run, tracked: Tracked, out: str) -> str:
    """Add a run to MLflow's experiment `nevus`, with a nested run for each fold; where it lies, in words.

    A run that could not be sent whole stands there as failed.
    """
    from mlflow.tracking import MlflowClient

    uri = out if "://" in out else Path(out).resolve().as_uri()
    with _folders_allowed():
        client = MlflowClient(tracking_uri=uri)
        known = client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
        curves = {name: [(0, value)] for name, value in tracked.figures.items()}
        with _run(client, experiment, tracked, tracked.name, {}) as parent:
            _log(client, parent, tracked, curves, tracked.settings)
            for name in _DOCUMENTS:
                if (run.folder / name).exists():
                    client.log_artifact(parent, str(run.folder / name))
            for number, points in tracked.folds.items():
                above = {"mlflow.parentRunId": parent, "fold": str(number)}
                with _run(client, experiment, tracked, f"{tracked.name}, fold {number}", above) as child:
                    _log(client, child, tracked, points, {})
    return f"{uri}: experiment {EXPERIMENT}, run {parent}"


@contextmanager
def _run(client: Any, experiment: str, tracked: Tracked, name: str, tags: dict[str, str]) -> Iterator[str]:
    """The identifier of a new run, ended as finished or as failed."""
    start_ms = int(tracked.time_seconds * 1000)
    origin = {f"nevus.{key}": value for key, value in tracked.origin.items()}
    identifier = client.create_run(experiment, start_time=start_ms, run_name=name, tags={**origin, **tags}).info.run_id
    try:
        yield identifier
    except BaseException:
        client.set_terminated(identifier, status="FAILED")
        raise
    client.set_terminated(identifier)


def _log(
    client: Any, identifier: str, tracked: Tracked, curves: dict[str, list[tuple[int, float]]], settings: dict[str, str]
) -> None:
    from mlflow.entities import Metric, Param

    time_ms = int(tracked.time_seconds * 1000)
    metrics = [Metric(name, value, time_ms, step) for name, points in curves.items() for step, value in points]
    parameters = [Param(name, value) for name, value in settings.items()]
    for start in range(0, len(metrics), _METRICS):
        client.log_batch(identifier, metrics=metrics[start : start + _METRICS])
    for start in range(0, len(parameters), _PARAMETERS):
        client.log_batch(identifier, params=parameters[start : start + _PARAMETERS])


@contextmanager
def _folders_allowed() -> Iterator[None]:
    """MLflow 3 refuses folders unless asked; its databases need packages that mlflow-skinny leaves out."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
