"""What the page says of thresholds and calibration, and what it says where an evaluation is older than they are."""

from dataclasses import replace

import pytest
from fabricated_run import fabricate

from nevus.reports.calibration import calibration
from nevus.reports.decision import decision, rule_name
from nevus.reports.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.read(fabricate(tmp_path_factory.mktemp("run") / "seven"))


@pytest.mark.slow
def test_sensitivity_for_melanoma_the_missed_and_the_thousand_are_said(run: Run) -> None:
    page, section = decision(run), run.evaluation["decision"]
    assert "images of melanoma are flagged" in page
    assert f"{section['missed']['num_missed']} images of {section['missed']['num_positives']} with melanoma were missed" in page
    for rule in section["rules"]:
        assert rule_name(rule["rule"]) in page
        for table in rule["per_1000"]:
            assert f"<td>{table['people']['false_positives']:,}</td>" in page
    assert page.count('role="img"') == 2
    assert "have melanoma (ISIC-2020: 584 melanomas among 33,126 images" in page


def test_scalings_and_slope_are_shown_with_their_change(run: Run) -> None:
    page, section = calibration(run), run.evaluation["calibration"]
    assert f'<data value="{section["slope"]["value"]!r}">' in page
    for method in section["scalings"]["methods"][1:]:
        assert f"({method['differences']['log_loss']['value']:+.3f}, " in page
    assert page.count('role="img"') == 2


def test_an_older_evaluation_and_one_without_positives_are_shown_with_a_note(run: Run) -> None:
    old = {key: value for key, value in run.evaluation.items() if key not in ("decision", "calibration")}
    assert "older" in decision(replace(run, evaluation=old))
    assert "older" in calibration(replace(run, evaluation=old))
    none = {**run.evaluation, "decision": {"positive": None, "reason": "no class is the positive one"}}
    assert "no class is the positive one" in decision(replace(run, evaluation=none))


def test_the_longest_reach_of_the_decision_curve_is_said(run: Run) -> None:
    section = run.evaluation["decision"]
    curve = section["curves"][0]
    low = [1.0 if 5 <= place <= 20 or place in (0, 1) else -1.0 for place in range(50)]
    changed = {**section, "curves": [{**curve, "treat_all": [0.0] * 50, "low": low}, section["curves"][1]]}
    page = decision(replace(run, evaluation={**run.evaluation, "decision": changed}))
    assert "From 6% to 21% the model is clearly better" in page
