"""Conformal sets and abstention as the page shows them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_run import SEVEN, TWO, fabricate

from nevus.files import write_json
from nevus.reports import figures
from nevus.reports.abstention import abstention
from nevus.reports.conformal import conformal
from nevus.reports.run import Run


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def changed(folder: Path, **sections: Any) -> Run:
    """The run with sections of its evaluation replaced; None takes one out."""
    document = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    document |= sections
    write_json(folder / "evaluation.json", {name: part for name, part in document.items() if part is not None})
    return Run.read(folder)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [SEVEN, TWO])
def test_every_figure_is_shown_and_every_picture_says_what_it_shows(tmp_path: Path, classes: tuple[str, ...]) -> None:
    run = Run.read(fabricate(tmp_path, classes=classes))
    sets, answers = conformal(run), abstention(run)
    part = run.evaluation["conformal"]["methods"]["class_conditional"]["0.95"]
    shown = {float(value) for value in re.findall(r'<data value="([^"]+)"', sets)}
    expected = [*part["figures"].values(), *part["per_class"].values(), *part["subgroups"]["site"].values()]
    assert {figure["value"] for figure in expected if figure["value"] is not None} <= shown
    shown = {float(value) for value in re.findall(r'<data value="([^"]+)"', answers)}
    last = run.evaluation["abstention"]["referral"][-1]
    expected = [*last["figures"].values(), *last["referred_per_class"].values()]
    assert {figure["value"] for figure in expected if figure["value"] is not None} <= shown
    assert f"{last['num_missed']:,} of {last['figures']['missed']['n']:,} are still missed" in words(answers)
    for markup, num_pictures in ((sets, 2), (answers, 1)):
        labels = re.findall(r'<svg[^>]* aria-label="([^"]+)"', markup)
        assert len(labels) == num_pictures
        assert all(len(label) > 40 for label in labels)


@pytest.mark.slow
def test_classes_that_every_set_holds_are_named(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path, num_images=120))
    always = run.evaluation["conformal"]["methods"]["class_conditional"]["0.95"]["always"]
    named = sorted({name for names in always.values() for name in names})
    assert named
    assert f"holds {', '.join(named)}: there are too few calibration images" in words(conformal(run))


def test_the_reason_is_shown_where_there_is_no_section(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path, classes=TWO, validation=False))
    assert "fold 0 has no validation rows" in words(conformal(run))
    assert "has no validation rows" in words(abstention(run))


def test_a_curve_without_thresholds_says_why_there_is_no_table(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path, validation=False))
    shown = words(abstention(run))
    assert "Risk against coverage" in shown
    assert "No table of thresholds: fold 0 has no validation rows" in shown


@pytest.mark.slow
def test_an_evaluation_of_an_earlier_version_is_still_shown(tmp_path: Path) -> None:
    run = changed(fabricate(tmp_path), conformal=None, abstention=None)
    assert "nevus evaluate makes it anew" in words(conformal(run))
    assert "nevus evaluate makes it anew" in words(abstention(run))


@pytest.mark.slow
def test_a_paper_protocol_is_called_optimistic_here_too(tmp_path: Path) -> None:
    run = Run.read(fabricate(tmp_path, protocol="paper-zoome"))
    assert "the tested images themselves (optimistic)" in words(conformal(run))
    assert "the tested images themselves, optimistic" in words(abstention(run))


@pytest.mark.slow
def test_a_share_of_a_handful_of_images_is_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fabricate(tmp_path)
    document = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["abstention"]
    for row, num_images in zip(document["curve"], range(14, 4, -1), strict=True):
        row["figures"]["missed"] = {"value": 0.2, "low": 0.1, "high": 0.3, "n": num_images}
    drawn: list[dict[str, figures.Measured]] = []
    draw = figures.bands

    def watched(*given: Any) -> Any:
        drawn.append(given[3])
        return draw(*given)

    monkeypatch.setattr(figures, "bands", watched)
    abstention(changed(folder, abstention=document))
    missed = drawn[0]["melanoma missed"]
    assert np.isnan(missed.value).tolist() == [True] * 5 + [False] * 5  # 5 to 9 images, and 10 to 14
    assert np.isnan(missed.high).tolist() == np.isnan(missed.value).tolist()
