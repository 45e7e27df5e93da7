"""Several runs in one table, and what the optimistic protocol is worth where one recipe was run under both kinds."""

import itertools
import json
from collections.abc import Sequence

from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.run import Run
from nevus.reports.wording import badge, metric, over_folds, reasons, with_interval

COLUMNS = ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity", "accuracy", "macro_f1", "ece")


def side_by_side(runs: Sequence[Run]) -> Html:
    """One row a run, the same recipe's protocols adjacent, with the gap between them as a sentence."""
    ordered = adjacent(runs)
    present = [name for name in COLUMNS if any(name in run.evaluation["metrics"] for run in ordered)]
    rows = [
        (
            element("a", run.name, href=f"#{run.anchor}"),
            element("td", run.protocol, " ", badge(run.evaluation["optimistic"]), class_="words"),
            f"{run.evaluation['num_images']:,}",
            *(_figure(run, name) for name in present),
        )
        for run in ordered
    ]
    undefined = {
        f"{metric(name)} of {run.title}": figure
        for run in ordered
        for name, figure in run.evaluation["metrics"].items()
        if name in present
    }
    shown = table(
        "Runs side by side: value [95% interval], below it mean ± standard deviation over folds",
        ("Recipe", "Protocol", "Images", *map(metric, present)),
        rows,
        kind="numbers runs",
    )
    return join([listing(gaps(ordered), class_="finding"), shown, reasons(undefined)])


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
        for name in ("auc", "macro_auc", "balanced_accuracy"):
            ours, theirs = (run.evaluation["metrics"].get(name, {}).get("value") for run in (honest, flattering))
            if ours is not None and theirs is not None:
                parts.append(f"{metric(name)} {theirs:.3f} instead of {ours:.3f} ({theirs - ours:+.3f})")
        if parts:
            sentences.append(
                f"{flattering.name}: the same recipe on the same data reads {'; '.join(parts)} under {flattering.protocol} instead of "
                f"{honest.protocol}. The difference is the protocol’s, not the method’s."
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


def _figure(run: Run, name: str) -> Html:
    figure = run.evaluation["metrics"].get(name)
    if figure is None:
        return element("td", "")
    folds = [element("div", over_folds(figure), class_="small")] if figure.get("fold_sd") is not None else []
    return element("td", with_interval(figure), *folds)
