"""The gap between two protocols: its value by hand, its interval only where the test images are the same."""

import dataclasses
import json
from pathlib import Path

import pytest
from fabricated_run import TWO, fabricate

from nevus.evaluation.compare import compare
from nevus.reports.protocol_gap import experiment, protocol_gaps
from nevus.reports.run import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    made = {"strict": "strict", "paper-zoome": "paper", "paper-2022": "split"}
    return [
        Run.read(fabricate(folder / name, classes=TWO, num_images=80, num_folds=2, protocol=protocol, skill=1 + index))
        for index, (protocol, name) in enumerate(made.items())
    ]


@pytest.mark.slow
def test_on_the_same_images_the_gap_has_the_paired_interval(runs: list[Run]) -> None:
    (sentence,) = protocol_gaps(runs[:2])
    found = compare(runs[0].predictions, runs[1].predictions)["differences"]["auc"]
    ours, theirs = (run.evaluation["metrics"]["auc"] for run in runs[:2])
    assert found["value"] == pytest.approx(theirs["value"] - ours["value"])
    assert f"Under paper-zoome AUC {theirs['value']:.3f} [{theirs['low']:.3f}, {theirs['high']:.3f}]" in sentence
    assert f"under strict {ours['value']:.3f} [{ours['low']:.3f}, {ours['high']:.3f}]" in sentence
    assert f"the protocol alone is worth {found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}].</div>" in sentence
    assert "Both tested the same 80 images." in sentence


def test_on_other_images_the_gap_has_no_interval_and_says_why(runs: list[Run]) -> None:
    (sentence,) = protocol_gaps([runs[2], runs[0]])
    ours, theirs = (run.evaluation["metrics"]["auc"]["value"] for run in (runs[0], runs[2]))
    assert f"the protocol alone is worth {theirs - ours:+.3f}.</div>" in sentence
    assert f"{len(runs[2].predictions.test)} images against 80 images. The test images are not the same" in sentence


def test_an_interval_of_another_gap_is_not_shown(runs: list[Run]) -> None:
    evaluation = json.loads(json.dumps(runs[1].evaluation))
    evaluation["metrics"]["auc"]["value"] = 0.5
    (sentence,) = protocol_gaps([runs[0], dataclasses.replace(runs[1], evaluation=evaluation)])
    assert f"is worth {0.5 - runs[0].evaluation['metrics']['auc']['value']:+.3f}.</div>" in sentence


def test_runs_of_other_networks_data_or_one_protocol_have_no_gap(runs: list[Run], tmp_path: Path) -> None:
    assert protocol_gaps([runs[0], runs[0]]) == protocol_gaps(runs[1:]) == []
    evaluation = json.loads(json.dumps(runs[1].evaluation))
    evaluation["provenance"]["recipe"]["model"]["backbone"] = "resnet50"
    other = dataclasses.replace(runs[1], evaluation=evaluation)
    assert experiment(other) != experiment(runs[0]) == experiment(runs[1])
    assert protocol_gaps([runs[0], other]) == []
