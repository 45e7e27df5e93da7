"""What MLflow reads back is what evaluation.json and the logs say, to the last bit; TensorBoard keeps 32 of them."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_run import TWO, fabricate

from command_line import nevus
from nevus.errors import DataError, NotAvailableError
from nevus.reports import tracking
from nevus.reports.run import Run
from nevus.reports.tracking import track
from nevus.reports.tracking.figures import Tracked


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fabricate(tmp_path_factory.mktemp("tracked") / "small", classes=TWO, num_images=120, num_folds=2)


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "evaluation.json").read_text()))


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The scalars of one folder of events, as TensorBoard's own reader has them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {name: [(event.step, event.value) for event in read.Scalars(name)] for name in read.Tags()["scalars"]}


def single(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """In 32 bits, which is what TensorBoard keeps."""
    return [(step, float(np.float32(value))) for step, value in points]


def log(folder: Path, fold: int, name: str) -> list[tuple[int, float]]:
    lines = (folder / f"fold-{fold}" / "log.jsonl").read_text().splitlines()
    return [(event["epoch"], event[name]) for event in map(json.loads, lines) if event["kind"] == "epoch"]


def expected(evaluation: dict[str, Any]) -> dict[str, float]:
    """Every defined figure of the main tables, spelled out."""
    found = {}
    tables = {"metrics": evaluation["metrics"], **{f"per_class/{name}": part for name, part in evaluation["per_class"].items()}}
    for path, table in tables.items():
        for name, figure in table.items():
            if figure["value"] is not None:
                found[f"{path}/{name}"] = figure["value"]
                parts = ("low", "high", "n", "fold_mean", "fold_sd")
                found |= {f"{path}/{name}.{part}": figure[part] for part in parts if figure.get(part) is not None}
    return found


@pytest.mark.slow
def test_tensorboard_reads_back_what_the_evaluation_says(folder: Path, evaluation: dict[str, Any], tmp_path: Path) -> None:
    track(folder, "tensorboard", str(tmp_path))
    figures = events(tmp_path / "small")
    for name, value in expected(evaluation).items():
        assert figures[name] == single([(0, value)]), name
    for part in evaluation["per_fold"]:
        fold = events(tmp_path / "small" / f"fold-{part['fold']}")
        assert fold["metrics/auc"] == single([(0, part["metrics"]["auc"])])
        assert fold["threshold"] == single([(0, part["threshold"])])
        for name in ("train_loss", "validation_loss", "validation_auc", "validation_balanced_accuracy"):
            assert fold[name] == single(log(folder, part["fold"], name)), name
    with pytest.raises(DataError, match="is there already"):
        track(folder, "tensorboard", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


@pytest.mark.slow
def test_mlflow_reads_back_what_the_evaluation_says(folder: Path, evaluation: dict[str, Any], tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
        said = track(folder, "mlflow", str(tmp_path))
        assert "MLFLOW_ALLOW_FILE_STORE" not in os.environ
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        client = MlflowClient(tracking_uri=tmp_path.as_uri())
        runs = client.search_runs([client.get_experiment_by_name("nevus").experiment_id])
        parent = client.get_run(said.split()[-1])
        children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(runs) == 3
        assert {run.info.status for run in runs} == {"FINISHED"}
        for name, value in expected(evaluation).items():
            assert parent.data.metrics[name] == value, name
        assert parent.data.params["training.epochs"] == str(evaluation["provenance"]["recipe"]["training"]["epochs"])
        assert parent.data.tags["nevus.protocol"] == "strict"
        assert "evaluation.json" in [file.path for file in client.list_artifacts(parent.info.run_id)]
        by_fold = {int(run.data.tags["fold"]): run for run in children}
        for part in evaluation["per_fold"]:
            run = by_fold[part["fold"]]
            assert run.data.metrics["metrics/auc"] == part["metrics"]["auc"]
            history = client.get_metric_history(run.info.run_id, "train_loss")
            assert [(point.step, point.value) for point in history] == log(folder, part["fold"], "train_loss")


def test_undefined_figures_are_left_out_and_names_are_plain(folder: Path) -> None:
    run = Run.read(folder)
    run.evaluation["metrics"]["auc"] |= {"value": None, "low": None, "high": None}
    group = {"name": "head/neck", "figures": {"auc": {"value": 0.75, "low": None, "high": 0.875}}}
    run.evaluation["subgroups"] = {"reason": None, "fields": [{"field": "site", "groups": [group]}]}
    figures = Tracked.of(run).figures
    assert not [name for name in figures if name.startswith(("metrics/auc.", "provenance", "per_fold")) or name == "metrics/auc"]
    found = {name: value for name, value in figures.items() if name.startswith("subgroups")}
    place = "subgroups/fields/site/groups/head_neck/figures/auc"
    assert found == {place: 0.75, f"{place}.high": 0.875}
    run.evaluation["subgroups"]["fields"][0]["groups"].append({**group, "name": "head:neck"})
    with pytest.raises(DataError, match="two figures would be called subgroups/fields/site/groups/head_neck"):
        Tracked.of(run)


def test_what_cannot_be_done_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="'wandb': expected one of mlflow, tensorboard"):
        track(folder, "wandb", str(tmp_path))
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match=r"pip install 'nevus\[tracking\]'"):
        track(folder, "mlflow", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_verb_says_where_the_figures_lie(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = nevus(monkeypatch, capsys, "track", folder, "--to", "tensorboard", "--out", tmp_path)
    assert code == 0
    assert out.splitlines()[0] == str(tmp_path / "small")
    code, _, err = nevus(monkeypatch, capsys, "track", tmp_path, "--to", "tensorboard", "--out", tmp_path)
    assert code == 2
    assert "evaluation.json" in err
