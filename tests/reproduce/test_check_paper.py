"""`nevus check-paper`: ZooME's own tables, and figures from the command line."""

import json
from collections.abc import Callable

import pytest

from command_line import nevus

Check = Callable[..., tuple[int, str, str]]

# By hand: the rows whose accuracy lies outside its sensitivity and specificity.
OUTSIDE = [
    "Table I, AlexNet",
    "Table I, ZooME",
    "Table I, ZooME without metadata",
    "Table II, ResNet-50 with Zoom-SE",
    "Table II, AlexNet",
    "Table II, AlexNet with metadata",
]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    def run(*words: str) -> tuple[int, str, str]:
        return nevus(monkeypatch, capsys, "check-paper", *words)

    return run


def test_zoomes_rows_that_no_matrix_gives_are_named(check: Check) -> None:
    code, out, _ = check("zoome", "--json")
    verdicts = {row["row"]: row for row in json.loads(out)}
    assert code == 1
    assert len(verdicts) == 10
    assert [name for name, verdict in verdicts.items() if "cannot lie" in verdict["reason"]] == OUTSIDE
    # 0.0176 · 82.30 + 0.9824 · 80.32 = 80.35, and 80.34 was printed.
    assert [name for name, verdict in verdicts.items() if verdict["possible"]] == ["Table I, ZooME without Zoom-SE"]
    code, out, _ = check("zoome")
    assert code == 1
    assert "taken as means over 10 stratified folds" in out
    assert "Table I, AlexNet: IMPOSSIBLE: accuracy is a mean of sensitivity and specificity" in out


def test_figures_of_ones_own_are_judged(check: Check) -> None:
    # 8 of 10 positives and 18 of 20 negatives: 26 of 30.
    code, out, _ = check("--accuracy", "86.7%", "--sensitivity", "80.0%", "--specificity", "90.0%", "--n", "30")
    assert (code, out) == (0, "possible: 8 true and 2 false positives, 18 true and 2 false negatives give them.\n")
    code, out, _ = check("--accuracy", "86.7%", "--sensitivity", "80.0%", "--specificity", "90.0%", "--prevalence", "2%")
    assert code == 1
    assert out.startswith("IMPOSSIBLE: at a prevalence of 1.50% to 2.50% the accuracy would be 89.70% to 89.90%, not 86.7%")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--accuracy, --sensitivity, --specificity: not given"),
        (["other"], "'other': no such paper. Choose one of zoome"),
        (["zoome", "--n", "30"], "Give a paper's name, or figures"),
        (["--accuracy", "84.59", "--sensitivity", "80%", "--specificity", "80%"], "Is a % missing?"),
        (["--accuracy", "1", "--sensitivity", "1", "--specificity", "1", "--rounding", "up"], "nearest, down"),
    ],
)
def test_what_cannot_be_checked_is_said(check: Check, words: list[str], message: str) -> None:
    code, out, err = check(*words)
    assert (code, out) == (2, "")
    assert message in err
