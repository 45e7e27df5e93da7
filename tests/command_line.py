"""The command line, run in this process."""

import sys

import pytest

import nevus.__main__ as edge


def nevus(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command line in this process: its exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["nevus", *map(str, words)])
    capsys.readouterr()
    try:
        code = edge.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err
