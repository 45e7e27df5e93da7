import json
from pathlib import Path
from typing import Any

import pytest

from nevus.errors import NevusError
from nevus.training.log import LiveProgress, Log

EPOCH = {
    "kind": "epoch",
    "epoch": 1,
    "step": 10,
    "train_loss": 0.5,
    "validation_loss": 0.6,
    "validation_auc": 0.8125,
    "validation_balanced_accuracy": 0.7,
    "images_per_second": 123.4,
    "best": True,
}


def test_what_comes_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    log = Log(tmp_path / "fold" / "log.jsonl", seen.append)
    for step in (10, 20, 30):
        log.write({"kind": "epoch", "step": step})
    with (tmp_path / "fold" / "log.jsonl").open("a") as file:
        file.write('{"kind": "epoch", "st')  # as a kill leaves it
    log.rewind(20)
    log.write({"kind": "epoch", "step": 30, "again": True})
    lines = [json.loads(line) for line in (tmp_path / "fold" / "log.jsonl").read_text().splitlines()]
    assert lines == [{"kind": "epoch", "step": 10}, {"kind": "epoch", "step": 20}, {"kind": "epoch", "step": 30, "again": True}]
    assert len(seen) == 4


def test_a_log_that_does_not_exist_can_be_rewound(tmp_path: Path) -> None:
    Log(tmp_path / "log.jsonl", lambda event: None).rewind(0)
    assert not (tmp_path / "log.jsonl").exists()


def test_without_a_terminal_an_epoch_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with LiveProgress("zoome fold 1/5", 32) as progress:
        progress({"kind": "step", "epoch": 1, "step": 1, "of": 20, "loss": 0.7})
        progress(EPOCH)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "zoome fold 1/5 epoch 1: loss 0.5000, validation loss 0.6000, AUC 0.812, balanced accuracy 0.700, 123 images/s *"
    ]


def test_on_a_terminal_the_line_shows_rate_loss_and_auc(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with LiveProgress("zoome fold 1/5", 32) as progress:
        for step in range(1, 4):
            progress({"kind": "step", "epoch": 1, "step": step, "of": 20, "loss": 0.7})
        progress(EPOCH)
        progress({"kind": "step", "epoch": 2, "step": 11, "of": 20, "loss": 0.4})
    err = capsys.readouterr().err
    assert "images/s  loss 0.4000  AUC 0.812" in err
    assert "validation loss 0.6000" in err


def test_a_full_disk_is_said() -> None:
    # /dev/full fails every write as a full disk does.
    with pytest.raises(NevusError, match="/dev/full: the disk is full"):
        Log(Path("/dev/full"), lambda event: None).write(EPOCH)


def test_a_long_epoch_is_heard_of_every_minute_where_nothing_can_move(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 0.0, 30.0, 70.0, 80.0, 140.0])
    monkeypatch.setattr("nevus.training.log.time.monotonic", lambda: next(clock))
    with LiveProgress("demo fold 1/5", 32) as progress:
        for step in range(1, 6):
            progress({"kind": "step", "epoch": 1, "step": step, "of": 100, "loss": 0.7})
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "demo fold 1/5 epoch 1, step 3 of 100: 1 images/s  loss 0.7000  AUC –  57 min left at most",
        "demo fold 1/5 epoch 1, step 5 of 100: 1 images/s  loss 0.7000  AUC –  55 min left at most",
    ]
