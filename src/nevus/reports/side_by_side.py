"""Several runs in one table, and what the optimistic protocol is worth where one recipe was run under both kinds."""

from collections.abc import Sequence

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
    return join([listing(protocol_gaps(ordered), class_="finding"), shown, *undefined])


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
