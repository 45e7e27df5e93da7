"""The page of a robustness.json: every figure that it shows is the document's."""

import json
from pathlib import Path
from typing import Any

import pytest
from fabricated_run import TWO, fabricate

from nevus.files import write_json
from nevus.reports.robustness import robustness
from nevus.reports.run import Run


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 60, "method": "drawn"}


def part(value: float) -> dict[str, Any]:
    figures = {name: figure(value) for name in ("auc", "sensitivity", "specificity", "accuracy")}
    gaps = {name: {"value": value - 0.9, "low": value - 0.95, "high": value - 0.85, "p": 0.04} for name in figures}
    return {"figures": figures, "differences": gaps}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = fabricate(tmp_path / "run", classes=TWO, num_images=60, num_folds=2, num_resamples=10)
    document = {
        "num_images": 60,
        "num_images_of_the_run": 90,
        "num_groups": 40,
        "seed": 0,
        "positive": "malignant",
        "clean": {name: figure(0.9) for name in ("auc", "sensitivity", "specificity", "accuracy")},
        "kinds": {
            kind: {str(level): part(0.9 - 0.0123 * level) for level in range(1, 6)} for kind in ("hair", "jpeg", "rotation")
        },
        "metadata": {how: {"age": {rate: part(0.8765) for rate in ("0.1", "1")}} for how in ("missing", "wrong")},
        "image_only": None,
        "worst": {"words": "Worst: jpeg at severity 5, auc -0.062 [-0.112, -0.012] against the same images unchanged."},
    }
    write_json(folder / "robustness.json", document)
    return folder


@pytest.mark.slow
def test_every_change_and_rate_has_its_figures_and_its_difference(run: Path) -> None:
    page = str(robustness(Run.read(run)))
    assert "Worst: jpeg at severity 5, AUC -0.062" in page
    for level in range(1, 6):
        assert page.count(f">{0.9 - 0.0123 * level:.3f}</data>") == 3 * 3  # three changes, three figures
        assert f"{-0.0123 * level:+.3f} [" in page
    assert page.count(">0.876</data>") + page.count(">0.877</data>") == 2 * 2 * 3
    assert page.count("<svg") == 3 + 2
    assert "60 of the run&#x27;s 90 test images" in page
    assert "was not measured (--image-only)" in page


def test_without_the_document_there_is_no_section(run: Path) -> None:
    (run / "robustness.json").unlink()
    assert robustness(Run.read(run)) == ""


@pytest.mark.slow
def test_a_change_alone_or_metadata_alone_is_shown(run: Path) -> None:
    document = json.loads((run / "robustness.json").read_text())
    write_json(run / "robustness.json", {**document, "metadata": {"missing": {}, "wrong": {}}})
    assert robustness(Run.read(run)).count("<svg") == 3
    write_json(run / "robustness.json", {**document, "kinds": {}, "worst": None})
    assert robustness(Run.read(run)).count("<svg") == 2
