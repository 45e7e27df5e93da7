"""Several runs in one table, and what the optimistic protocol is worth where one recipe was run under both kinds."""

from collections.abc import Sequence

from nevus.errors import DataError
from nevus.evaluation.compare import compare
from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.protocol_gap import experiment, protocol_gaps
from nevus.reports.run import Run
from nevus.reports.wording import Figure, badge, interval, metric, number, over_folds, reasons

COLUMNS = ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity", "accuracy")


def side_by_side(runs: Sequence[Run]) -> Html:
    """One row a run, the same recipe's protocols adjacent, with the gap between them as a sentence."""
    ordered = adjacent(runs)
    present = [name for name in COLUMNS if any(name in _figures(run) for run in ordered)]
    rows = [
        (
            element("a", run.name, href=f"#{run.anchor}"),
            element("td", run.protocol, " ", badge(run.evaluation["optimistic"]), class_="words"),
            f"{run.evaluation['num_images']:,}",
            *(_cell(_figures(run).get(name)) for name in present),
        )
        for run in ordered
    ]
    undefined = [
        reasons({name: figure for name, figure in _figures(run).items() if name in present}, f"{run.title}: ") for run in ordered
    ]
    shown = table(
        "Runs side by side: value, [95% interval], mean ± standard deviation over folds",
        ("Recipe", "Protocol", "Images", *map(metric, present)),
        rows,
        kind="numbers runs",
    )
    return join([listing(protocol_gaps(ordered), class_="finding"), shown, *undefined, differences(runs)])


def differences(runs: Sequence[Run]) -> Html:
    """What each later run gains over the first one given, image by image, with intervals; why not, where it cannot be said."""
    first, *others = runs
    parts = []
    for other in others:
        try:
            found = compare(first.predictions, other.predictions, operating_point=_rule(first), num_resamples=1000)
        except DataError as error:
            reason = str(error).splitlines()[0]
            parts.append(
                element("p", f"{other.title} is not compared with {first.title} image by image: {reason}", class_="note")
            )
            continue
        rows = [
            (metric(name), f"{part['value']:+.3f}", f"{part['low']:+.3f} to {part['high']:+.3f}", f"{part['p']:.3f}")
            for name, part in found["differences"].items()
            if part["p"] is not None
        ]
        caption = (
            f"{other.title} minus {first.title}, on the same {found['num_images']:,} images in {found['num_groups']:,} groups: "
            "paired bootstrap over groups"
        )
        parts += [table(caption, ("Figure", "Difference", "95% interval", "p"), rows), listing(found["notes"], class_="notes")]
    return join(parts)


def _rule(run: Run) -> str:
    """The rule that the run's operating point was chosen by; one that was given as a number has none."""
    rule = str(run.evaluation["operating_point"]["rule"])
    return rule if rule != "given" else "youden"


def adjacent(runs: Sequence[Run]) -> list[Run]:
    """The runs with those of one experiment together, the honest one first; otherwise in the order given."""
    first_seen = list(dict.fromkeys(map(experiment, runs)))
    return sorted(runs, key=lambda run: (first_seen.index(experiment(run)), bool(run.evaluation["optimistic"])))


def _figures(run: Run) -> dict[str, Figure]:
    return dict(run.evaluation["metrics"])


def _cell(figure: Figure | None) -> Html:
    """Value, interval and folds, one under the other; empty where the run has no such figure."""
    if figure is None:
        return element("td", "")
    folds = [element("div", over_folds(figure), class_="small")] if figure.get("fold_sd") is not None else []
    value = element("div", number(figure["value"], figure.get("reason") or ""))
    return element("td", value, element("div", interval(figure), class_="small"), *folds)
