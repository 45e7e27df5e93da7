"""The demo in small: both systems under both protocols, side by side on the terminal and in one report."""

from pathlib import Path

import pytest

import nevus.demo.phantoms as module
from nevus.data.manifest import Manifest
from nevus.recipe import Recipe


@pytest.mark.slow
def test_the_demo_prints_both_protocols_side_by_side_and_writes_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = module.demo_recipe
    quick = [
        "data.num_folds=2",
        "model.backbone=resnet10t",
        "model.pretrained=none",
        "training.epochs=1",
        "data.validation_share=0.3",
    ]

    def small(system: str, protocol: str, manifest: Manifest) -> Recipe:
        return whole(system, protocol, manifest).with_settings(quick)

    monkeypatch.setattr(module, "NUM_LESIONS", 160)
    monkeypatch.setattr(module, "demo_recipe", small)
    page = module.demo_phantoms(tmp_path)
    out = capsys.readouterr().out
    lines = out.splitlines()
    heads = [line for line in lines if "(optimistic)" in line]
    assert [("strict" in head, "paper-zoome" in head, "paper-2022" in head) for head in heads] == [
        (True, True, False),
        (True, False, True),
    ]
    for metric in ("auc", "macro_auc", "balanced_accuracy"):
        (row,) = (
            [line for line in lines if line.strip().startswith(metric + " ")]
            if metric != "balanced_accuracy"
            else [line for line in lines if line.strip().startswith("balanced_accuracy")][:1]
        )
        assert row.count("[") == 2, "a figure and its interval under either protocol"
    assert "±" in out
    assert "nothing about patients" in out
    text = page.read_text()
    assert page == tmp_path / "report.html"
    for protocol in ("strict", "paper-zoome", "paper-2022"):
        assert protocol in text
    assert text.count("data:image/jpeg") > 20
    assert "http://" not in text.replace("http://www.w3.org", "")
