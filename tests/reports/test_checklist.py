"""The checklists have the guidelines' items, claim nothing that the run does not hold, and say what is missing."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fabricated_run import TWO, fabricate

from nevus.evaluation.evaluate import evaluate
from nevus.files import write_json
from nevus.reports.checklist import ANSWERS, FILLED, MISSING, NOT_APPLICABLE, PART, checklist, guidelines, state
from nevus.reports.markdown import markdown
from nevus.reports.run import Run

# The sub-items of TRIPOD+AI that have letters (Collins et al. 2024, table 2), by main item.
LETTERS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = fabricate(tmp_path_factory.mktemp("runs") / "two", classes=TWO, name="two", num_images=60, num_folds=2)
    return Run.read(folder)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Answers of another program: nothing is recorded of how they came about."""
    folder, rng = tmp_path_factory.mktemp("bare"), np.random.default_rng(0)
    table = pd.DataFrame(rng.dirichlet(np.ones(3), 60), columns=["p_a", "p_b", "p_c"])
    table.assign(image_id=range(60), target=["a", "b", "c"] * 20).to_csv(folder / "predictions.csv", index=False)
    write_json(folder / "evaluation.json", evaluate(folder / "predictions.csv", num_resamples=20))
    return Run.read(folder)


def _states(run: Run, name: str) -> dict[str, tuple[str, str, str]]:
    items = next(guideline["items"] for guideline in guidelines() if guideline["name"] == name)
    return {item["item"]: state(run, item) for item in items}


def test_every_item_of_both_guidelines_is_there_once_and_in_order() -> None:
    tripod, claim = ([item["item"] for item in guideline["items"]] for guideline in guidelines())
    assert tripod == [f"{number}{letter}" for number in range(1, 28) for letter in LETTERS.get(number, [""])]
    assert len(tripod) == 52
    assert claim == [str(number) for number in range(1, 45)]


def test_every_item_says_what_is_asked_and_can_be_answered_or_names_what_is_missing() -> None:
    items: list[dict[str, Any]] = [item for guideline in guidelines() for item in guideline["items"]]
    assert all(set(item) <= {"item", "topic", "asks", "answer", "authors", "unless", "not_applicable"} for item in items)
    assert all({"answer", "authors", "not_applicable"} & set(item) for item in items)
    assert {item["answer"] for item in items if "answer" in item} == set(ANSWERS)


def test_what_a_run_holds_is_filled_with_its_own_figures(run: Run) -> None:
    states = _states(run, "CLAIM 2024")
    auc = run.evaluation["metrics"]["auc"]
    assert states["38"][0] == FILLED
    assert f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" in states["38"][1]
    assert "resnext50_32x4d" in states["22"][1]
    assert "no group lies in two folds" in states["20"][1]
    ages = run.images["age_years"]
    assert f"median age {ages.median():g} years" in states["36"][1]
    assert f"age of {ages.isna().sum()}" in states["12"][1]
    assert states["34"][0] == NOT_APPLICABLE


def test_what_no_run_can_know_is_missing_and_named(run: Run) -> None:
    tripod, claim = (_states(run, name) for name in ("TRIPOD+AI", "CLAIM 2024"))
    for item in ("1", "2", "3a", "5b", "8b", "17", "18a", "18b", "18d", "19", "25"):
        assert tripod[item][:2] == (MISSING, ""), item
        assert tripod[item][2], item
    for item in ("1", "11", "13", "16", "18", "33", "44"):
        assert claim[item][0] == MISSING, item


def test_subgroups_complete_the_item_only_where_the_evaluation_has_them(run: Run) -> None:
    evaluation = {**run.evaluation, "subgroups": None}
    for absent in (None, {"reason": "sex, age and site are not known"}):
        without = _states(dataclasses.replace(run, evaluation={**evaluation, "subgroups": absent}), "TRIPOD+AI")
        assert without["23a"][0] == PART
        assert without["23a"][2] == "the same in subgroups"
        assert without["14"][0] == MISSING
    having = _states(dataclasses.replace(run, evaluation={**evaluation, "subgroups": {"sex": {}}}), "TRIPOD+AI")["23a"]
    assert having[0] == FILLED


def test_of_another_programs_answers_nothing_is_said_about_model_training_or_split(bare: Run) -> None:
    claim = _states(bare, "CLAIM 2024")
    for item in ("5", "7", "9", "10", "12", "19", "20", "22", "23", "24", "25", "26", "27", "32", "36"):
        assert claim[item][0] == MISSING, item
    assert claim["38"][0] == FILLED


def test_the_counts_above_the_table_are_those_of_its_rows(run: Run) -> None:
    twin = markdown(checklist(run))
    for guideline in guidelines():
        states = [found for found, _, _ in _states(run, guideline["name"]).values()]
        counted = ", ".join(f"{states.count(name)} {name}" for name in (FILLED, PART, MISSING, NOT_APPLICABLE))
        assert counted in twin
    assert twin.count("| missing |") == sum(
        found == MISSING for name in ("TRIPOD+AI", "CLAIM 2024") for found, _, _ in _states(run, name).values()
    )
