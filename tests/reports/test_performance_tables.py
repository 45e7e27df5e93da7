"""The tables of figures: grouped, the rest folded, ties shown; evaluations of before are shown too."""

import numpy as np
import pytest
from fabricated_run import TWO, fabricate

from nevus.reports.performance import BY_CLASS, GROUPS, all_figures, by_class, confusion
from nevus.reports.run import Run
from nevus.reports.wording import METRICS, metric


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folders = [tmp_path_factory.mktemp(name) for name in ("seven", "two")]
    fabricate(folders[0], num_resamples=10)
    fabricate(folders[1], classes=TWO, num_resamples=10)
    return [Run.read(folder, "run-1") for folder in folders]


@pytest.mark.slow
def test_every_figure_has_a_name_and_a_definition(runs: list[Run]) -> None:
    for run in runs:
        assert set(run.evaluation["metrics"]) <= set(METRICS)
        assert {name for figures in run.evaluation["per_class"].values() for name in figures} <= set(METRICS)


def test_every_figure_is_shown_once_and_the_rest_is_folded(runs: list[Run]) -> None:
    main = {name for names in GROUPS.values() for name in names}
    for run in runs:
        page = all_figures(run)
        before, after = page.split("<details>", 1)
        for name in run.evaluation["metrics"]:
            row = f'<th scope="row">{metric(name)}</th>'
            assert [part.count(row) for part in page.split("The figures fold by fold")] == [1, 1], name
            assert (row in before) == (name in main), name
        assert "More averages over the classes" in after


def test_a_class_has_six_figures_and_the_rest_is_folded(runs: list[Run]) -> None:
    first, rest = by_class(runs[0]).split("<details>", 1)
    assert first.count('scope="col"') == len(BY_CLASS) + 2
    assert "AUC80" in rest
    assert "AUC80" not in first


def test_images_without_a_decision_are_a_column_where_there_are_any(runs: list[Run]) -> None:
    matrix = runs[0].evaluation["confusion"]
    assert "undecided" not in confusion(runs[0])
    matrix["undecided"] = [0, 3, *[0] * 5]
    page = confusion(runs[0])
    assert "undecided" in page
    assert f"<td>{np.sum(matrix['matrix'][1]) + 3:,}</td>" in page
    del matrix["undecided"]
    assert "undecided" not in confusion(runs[0])
