"""Two reporting guidelines' items: what the run fills, what it fills in part, and what only the authors can write."""

import tomllib
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from nevus.reports import data_account as data
from nevus.reports import model_account as model
from nevus.reports import result_account as result
from nevus.reports.markup import Html, element, folded, join, table
from nevus.reports.run import Run

Item = dict[str, str]
# Each answer: the function that gives it, and the section of the page where it is shown in full.
ANSWERS: dict[str, tuple[Callable[[Run], str], str]] = {
    "analyses": (data.analyses, "data"),
    "characteristics": (data.characteristics, "data"),
    "clusters": (result.clusters, "subgroups"),
    "code": (model.code, "methods"),
    "crops": (data.crops, "methods"),
    "design": (result.design, ""),
    "disjointness": (data.disjointness, "folds"),
    "encoding": (model.encoding, "methods"),
    "ensembling": (model.ensembling, "methods"),
    "exclusions": (data.exclusions, "data"),
    "failures": (result.failures, "mistakes"),
    "fairness": (result.fairness, "subgroups"),
    "flow": (data.flow, "data"),
    "imbalance": (model.imbalance, "methods"),
    "initialisation": (model.initialisation, "methods"),
    "input_in_use": (result.input_in_use, ""),
    "internal_testing": (result.internal_testing, "performance"),
    "intervals": (result.intervals, "methods"),
    "licences": (data.licences, "data"),
    "limitations": (result.limitations, ""),
    "measures": (result.measures, "methods"),
    "missing_data": (data.missing_data, "data"),
    "model": (model.model, "methods"),
    "network": (model.network, "methods"),
    "not_intended": (result.not_intended, ""),
    "objective": (result.objective, ""),
    "outcome": (data.outcome, "data"),
    "output": (result.output, ""),
    "partitions": (data.partitions, "folds"),
    "performance": (result.performance, "performance"),
    "predictions": (model.predictions, "methods"),
    "predictors": (data.predictors, "methods"),
    "preprocessing": (data.preprocessing, "methods"),
    "recipe": (model.recipe, "methods"),
    "robustness": (result.robustness, "robustness"),
    "selection": (model.selection, "methods"),
    "size": (data.size, ""),
    "software": (model.software, "methods"),
    "sources": (data.sources, "data"),
    "specification": (model.specification, "methods"),
    "training": (model.training, "methods"),
    "training_against_test": (data.training_against_test, "folds"),
    "updating": (model.updating, ""),
}
FILLED, PART, MISSING, NOT_APPLICABLE = "filled", "in part", "missing", "not applicable"
_HEADER = ("Item", "What is asked", "State", "What this run says, and what is missing")


def guidelines() -> list[dict[str, Any]]:
    """The guidelines with their items, as the file beside this one holds them."""
    text = files("nevus.reports").joinpath("checklists.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["guideline"])


def checklist(run: Run) -> Html:
    """A table a guideline, folded; how many items are in which state stands above it."""
    intro = (
        "A help for the authors, not a manuscript's checklist: “missing” is what a run cannot know and the authors must write. "
        "The wording is ours; journals want the guidelines’ own forms."
    )
    return join([element("p", intro, class_="note"), *(_guideline(run, guideline) for guideline in guidelines())])


def state(run: Run, item: Item) -> tuple[str, str, str]:
    """An item's state, what the run says, and what remains to be written or why nothing is asked.

    Parameters
    ----------
    run
        The run.
    item
        An item of `guidelines()`.
    """
    if "not_applicable" in item:
        return NOT_APPLICABLE, "", item["not_applicable"]
    said = ANSWERS[item["answer"]][0](run) if "answer" in item else ""
    if not said:
        return MISSING, "", item.get("authors") or item["asks"]
    rest = "" if result.measured(run, item.get("unless", "")) else item.get("authors", "")
    return (PART if rest else FILLED), said, rest


def _guideline(run: Run, guideline: dict[str, Any]) -> Html:
    rows, states = [], Counter[str]()
    for item in guideline["items"]:
        found, said, rest = state(run, item)
        states[found] += 1
        mark = element("td", element("span", found, class_=f"state {found.replace(' ', '-')}"))
        asked = element("td", element("strong", item["topic"]), ": ", item["asks"])
        rows.append((item["item"], asked, mark, element("td", _words(run, item, found, said, rest))))
    num_parts, num_items = len(guideline["items"]), guideline["num_items"]
    size = f"{num_items} items" if num_parts == num_items else f"{num_items} items in {num_parts} parts"
    counted = (
        f"{states[FILLED]} filled, {states[PART]} in part, {states[MISSING]} missing, {states[NOT_APPLICABLE]} not applicable"
    )
    source = element("p", element("a", guideline["reference"], href=guideline["link"]), f": {size}; {counted}.")
    shown = table(f"{guideline['name']}, item by item", _HEADER, rows, kind="words checklist")
    return join([element("h4", guideline["name"]), source, folded("Item by item", shown)])


def _words(run: Run, item: Item, found: str, said: str, rest: str) -> Html:
    if found == NOT_APPLICABLE:
        return element("span", f"{rest[0].upper()}{rest[1:]}.")
    parts = []
    if said:
        anchor = ANSWERS[item["answer"]][1]
        link = [" ", element("a", "Shown above.", href=f"#{run.anchor}-{anchor}")] if anchor else []
        parts.append(element("div", said, *link))
    if rest:
        parts.append(element("div", element("strong", "Missing:"), f" {rest}."))
    return join(parts)
