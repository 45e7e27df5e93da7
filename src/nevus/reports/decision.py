"""What threshold: sensitivity first, each rule beside the others, a thousand people, and the decision curve."""

from typing import Any

import numpy as np

from nevus.reports import figures
from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, count, in_hundred, number, with_interval

Document = dict[str, Any]

_PEOPLE = ("true_positives", "false_negatives", "false_positives", "true_negatives")


def decision(run: Run) -> Html:
    """The section; a note where the evaluation has none, or says why there is nothing to decide."""
    document = run.evaluation.get("decision")
    if document is None:
        return element("p", "This evaluation is older than the choice of thresholds. Run nevus evaluate again.", class_="note")
    if document["reason"]:
        return element("p", f"No threshold can be judged: {document['reason']}.", class_="note")
    decided = [rule for rule in document["rules"] if rule["figures"]]
    undecided = [f"{rule_name(rule['rule'])}: {rule['reason']}." for rule in document["rules"] if not rule["figures"]]
    return join(
        [
            _main(document),
            _rules(decided, document["positive"]) if decided else Html(),
            listing(undecided, class_="note"),
            *(_people(decided, place, document["positive"]) for place in range(len(document["curves"])) if decided),
            element("div", *_curves(run, document), class_="figures"),
            listing(document["notes"], class_="note"),
        ]
    )


def rule_name(rule: str) -> str:
    """A rule as a reader would say it.

    >>> rule_name("sensitivity:0.90"), rule_name("cost:10@0.02")
    ('sensitivity 0.90', 'a miss costs 10 false alarms, at 2.0%')
    """
    name, _, argument = rule.partition(":")
    if name == "sensitivity":
        return f"sensitivity {argument}"
    if name == "cost":
        ratio, _, prevalence = argument.partition("@")
        return f"a miss costs {ratio} false alarms" + (f", at {float(prevalence):.1%}" if prevalence else "")
    return {"youden": "Youden", "given": "as given"}.get(name, rule)


def _main(document: Document) -> Html:
    """Sensitivity at the operating point and what the missed ones were taken for: never left out."""
    main = next(rule for rule in document["rules"] if rule["rule"] == document["operating_point"])
    missed, positive = document["missed"], class_name(document["positive"])
    if main["figures"] is None:
        return element("p", f"There is no operating point, so no sensitivity for {positive}: {main['reason']}.", class_="note")
    found, rejected = main["figures"]["sensitivity"], main["figures"]["specificity"]
    words = [
        f"At the operating point ({rule_name(main['rule'])}, {_chosen(main)}) ",
        element("strong", f"{in_hundred(found)} of 100 images of {positive} are flagged"),
        f", and {in_hundred(rejected)} of 100 others are not. {count(missed['num_missed'], 'image')} of "
        f"{missed['num_positives']:,} with {positive} were missed.",
    ]
    if missed["decided"]:
        taken = ", ".join(f"{class_name(row['class'])} {row['num_images']}" for row in missed["decided"])
        words.append(f" The most probable class of those was: {taken}.")
    return element("p", *words)


def _chosen(rule: Document) -> str:
    where = {"validation": "chosen on validation images", "test": "optimistic: chosen on the test images"}
    return where.get(rule["chosen_on"], "given by hand")


def _rules(decided: list[Document], positive: str) -> Html:
    rows = [
        (rule_name(rule["rule"]), _thresholds(rule), *(with_interval(rule["figures"][name]) for name in _FIGURES))
        for rule in decided
    ]
    caption = f"Thresholds on the probability of {class_name(positive)}, and what they do on the test images, with 95% intervals"
    header = ("Rule", "Threshold, by fold", "Sensitivity", "Specificity", "PPV in these images", "NPV in these images")
    note = f"Each threshold was {_chosen(decided[0])} of its fold." if decided[0]["chosen_on"] != "given" else ""
    return join([table(caption, header, rows), element("p", note, class_="note")])


_FIGURES = ("sensitivity", "specificity", "ppv", "npv")


def _thresholds(rule: Document) -> Html:
    values = list(rule["thresholds"].values())
    low, high = min(values), max(values)
    return number(low) if low == high else join([number(low), " to ", number(high)])


def _people(decided: list[Document], place: int, positive: str) -> Html:
    """The 2 × 2 tables at one prevalence, a row a rule."""
    first, name = decided[0]["per_1000"][place], class_name(positive)
    # Of the test images themselves the table before has them.
    values = ("ppv", "npv") if place else ()
    rows = [
        (
            rule_name(rule["rule"]),
            *(f"{people[part]:,}" for part in _PEOPLE),
            f"{people['true_positives'] + people['false_positives']:,}",
            *(with_interval(rule["per_1000"][place][figure]) for figure in values),
        )
        for rule in decided
        for people in (rule["per_1000"][place]["people"],)
    ]
    caption = f"Of 1,000 people, where {100 * first['prevalence']:.1f}% have {name} ({first['source']})"
    header = (
        "Rule",
        f"{name}, flagged",
        f"{name}, missed",
        "false alarms",
        "rightly not flagged",
        "flagged in all",
        *map(str.upper, values),
    )
    return table(caption, header, rows)


def _curves(run: Run, document: Document) -> list[Html]:
    drawn = []
    for place, curve in enumerate(document["curves"]):
        share = f"{100 * curve['prevalence']:.1f}%"
        if curve["model"] is None:
            drawn.append(element("p", f"No decision curve at {share}: {curve['reason']}.", class_="note"))
            continue
        thresholds, model, low, high, treat_all = (_floats(curve[name]) for name in ("thresholds", *_LINES))
        drawing = figures.benefit(f"Decision curve at {share}", thresholds, model, (low, high), treat_all)
        message = f"Net benefit over threshold probabilities from 1% to 50%, where {share} are positive: {_best(curve)}."
        moved = "" if place == 0 else " The probabilities were moved to this share first."
        caption = (
            f"Net benefit: {class_name(document['positive'])} found per 1,000 people ({curve['source']}), less false alarms at "
            f"the odds of the threshold; higher is better. Band: 95% interval.{moved} {_best(curve).capitalize()}."
        )
        drawn.append(inline(drawing, f"{run.anchor}-benefit-{place}", message, caption))
    return drawn


_LINES = ("model", "low", "high", "treat_all")


def _best(curve: Document) -> str:
    """Where the model's whole band lies above flagging everybody and nobody."""
    _, low, _, treat_all = (_floats(curve[name]) for name in _LINES)
    better = low > np.maximum(treat_all, 0)
    if not better.any():
        return "at no threshold is the model clearly better than flagging everybody or nobody"
    at = np.round(100 * _floats(curve["thresholds"])).astype(int)
    # The longest run of thresholds: a single one may be luck.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], better.astype(int), [0]])))
    starts, ends = edges[::2], edges[1::2] - 1
    longest = int(np.argmax(ends - starts))
    first, last = starts[longest], ends[longest]
    reach = f"from {at[first]}% to {at[last]}%" if last > first else f"at {at[first]}%"
    return f"{reach} the model is clearly better than flagging everybody or nobody"


def _floats(values: list[float | None]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([np.nan if value is None else value for value in values], np.float64)
