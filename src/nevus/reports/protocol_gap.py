"""What a protocol alone is worth: one recipe under the strict protocol and under a paper's, in sentences with intervals."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from nevus.evaluation.compare import compare
from nevus.reports.markup import Html, element, join
from nevus.reports.result_account import plain
from nevus.reports.run import Run
from nevus.reports.wording import Figure, count

GAPS = {"auc": "AUC", "macro_auc": "macro AUC", "balanced_accuracy": "balanced accuracy"}
_APART = "The test images are not the same, so the gap has no interval of its own."


def experiment(run: Run) -> str:
    """What two runs must share to differ by protocol alone: data, model and training; the folder where nothing is recorded."""
    recipe = run.recipe
    if not recipe:
        return str(run.folder)
    by_protocol = ("protocol", "num_folds", "validation_share", "manifest")
    data = {name: value for name, value in recipe.get("data", {}).items() if name not in by_protocol}
    same = [data, recipe.get("model"), recipe.get("training"), run.provenance.get("manifest_sha256")]
    return json.dumps(same, sort_keys=True)


def protocol_gaps(runs: Sequence[Run]) -> list[Html]:
    """What the optimistic protocol adds to the strict one, for each pair of one experiment: a line a figure, then a note.

    Where both tested the same images, the gap's own interval comes from the paired bootstrap of `nevus compare`.
    """
    pairs = [
        (honest, flattering)
        for honest, flattering in itertools.product(runs, runs)
        if (honest.evaluation["optimistic"], flattering.evaluation["optimistic"]) == (False, True)
        and experiment(honest) == experiment(flattering)
    ]
    return [shown for pair in pairs if (shown := _gap(*pair))]


def _gap(honest: Run, flattering: Run) -> Html:
    differences = _differences(honest, flattering)
    lines = []
    for name, words in GAPS.items():
        ours, theirs = (run.evaluation["metrics"].get(name, {}) for run in (honest, flattering))
        if ours.get("value") is None or theirs.get("value") is None:
            continue
        gap = theirs["value"] - ours["value"]
        lines.append(
            f"Under {flattering.protocol} {words} {plain(theirs)}, under {honest.protocol} {plain(ours)}: "
            f"the protocol alone is worth {gap:+.3f}{_paired(differences.get(name), gap)}."
        )
    if not lines:
        return Html()
    images = [count(run.evaluation["num_images"], "image") for run in (flattering, honest)]
    same = f"Both tested the same {images[0]}." if differences else f"{images[0]} against {images[1]}. {_APART}"
    note = f"{flattering.name}: data, network and training are the same; only the protocol differs. {same}"
    return join([*(element("div", line) for line in lines), element("div", note, class_="small")])


def _differences(honest: Run, flattering: Run) -> dict[str, Any]:
    """The differences on the same images, flattering minus honest; nothing where the images are not the same."""
    tested = [set(run.predictions.test["image_id"]) for run in (honest, flattering)]
    if tested[0] != tested[1]:
        return {}
    return dict(compare(honest.predictions, flattering.predictions)["differences"])


def _paired(difference: Figure | None, gap: float) -> str:
    """The gap's interval; none where the comparison decided at other thresholds than the runs and so speaks of another gap."""
    if difference is None or difference.get("low") is None or abs(difference["value"] - gap) > 1e-9:
        return ""
    return f" [{difference['low']:+.3f}, {difference['high']:+.3f}]"
