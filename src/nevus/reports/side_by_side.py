"""Several runs in one table, and what the optimistic protocol is worth where one recipe was run under both kinds."""

import itertools
import json
from collections.abc import Sequence

from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.run import Run
from nevus.reports.wording import Figure, badge, interval, metric, number, over_folds, reasons

COLUMNS = ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity", "accuracy")
GAPS = {"auc": "AUC", "macro_auc": "macro AUC", "balanced_accuracy": "balanced accuracy"}


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
    return join([listing(gaps(ordered), class_="finding"), shown, *undefined])


def adjacent(runs: Sequence[Run]) -> list[Run]:
    """The runs with those of one experiment together, the honest one first; otherwise in the order given."""
    first_seen = list(dict.fromkeys(map(_experiment, runs)))
    return sorted(runs, key=lambda run: (first_seen.index(_experiment(run)), bool(run.evaluation["optimistic"])))


def gaps(runs: Sequence[Run]) -> list[str]:
    """A sentence for each pair of one experiment: what the optimistic protocol adds to the strict one."""
    sentences = []
    for honest, flattering in itertools.product(runs, runs):
        pair = (honest.evaluation["optimistic"], flattering.evaluation["optimistic"])
        if pair != (False, True) or _experiment(honest) != _experiment(flattering):
            continue
        parts = []
        for name, words in GAPS.items():
            ours, theirs = (_figures(run).get(name, {}).get("value") for run in (honest, flattering))
            if ours is not None and theirs is not None:
                parts.append(f"{words} {theirs:.3f} against {ours:.3f} (a gap of {theirs - ours:+.3f})")
        if parts:
            sentences.append(
                f"{flattering.name} under {flattering.protocol} (optimistic) against {honest.protocol}: {', '.join(parts)}. "
                "Data, network and training are the same; only the protocol differs."
            )
    return sentences


def _experiment(run: Run) -> str:
    """What two runs must share to differ by protocol alone: data, model and training; the folder where nothing is recorded."""
    recipe = run.recipe
    if not recipe:
        return str(run.folder)
    by_protocol = ("protocol", "num_folds", "validation_share", "manifest")
    data = {name: value for name, value in recipe.get("data", {}).items() if name not in by_protocol}
    same = [data, recipe.get("model"), recipe.get("training"), run.provenance.get("manifest_sha256")]
    return json.dumps(same, sort_keys=True)


def _figures(run: Run) -> dict[str, Figure]:
    return dict(run.evaluation["metrics"])


def _cell(figure: Figure | None) -> Html:
    """Value, interval and folds, one under the other; empty where the run has no such figure."""
    if figure is None:
        return element("td", "")
    folds = [element("div", over_folds(figure), class_="small")] if figure.get("fold_sd") is not None else []
    value = element("div", number(figure["value"], figure.get("reason") or ""))
    return element("td", value, element("div", interval(figure), class_="small"), *folds)
