import time

import pytest

from nevus.progress import CountProgress


def test_without_a_terminal_a_line_a_minute(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 30.0, 61.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with CountProgress("packing", "images") as progress:
        for done in (100, 400, 710):
            progress(done, 2000)
    out, err = capsys.readouterr()
    assert out == ""
    # 610 images in 61 seconds; 1,290 are left.
    assert err.splitlines() == ["packing: 710 of 2000 images, 10 images/s, 2 min left"]


def test_on_a_terminal_the_line_shows_count_and_rate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with CountProgress("packing", "images") as progress:
        assert capsys.readouterr().err == "", "nothing is shown before there is something to show"
        for done in range(1, 4):
            progress(done, 20)
    err = capsys.readouterr().err
    assert "packing" in err
    assert "3/20" in err
