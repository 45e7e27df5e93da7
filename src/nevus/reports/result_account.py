"""What a run can say of its results and of what they leave open, a subject a function."""

import json
from typing import Any

from nevus.reports.data_account import is_network
from nevus.reports.headline import KEY_METRICS, asked, operating_point
from nevus.reports.run import Run
from nevus.reports.wording import METRICS, Figure, count, metric

NOT_INTENDED = (
    "Not a medical device: no answer of it may decide on a biopsy, on a treatment, or that a visit to a doctor is not needed."
)
_PLOTS = "ROC and precision-recall curves, reliability diagrams, a confusion matrix"


def not_intended(run: Run) -> str:
    """What it is not for."""
    return NOT_INTENDED


def objective(run: Run) -> str:
    """Development with internal evaluation, or the evaluation of given answers."""
    kind = "Development and internal evaluation" if run.recipe else "Evaluation of given answers"
    return f"{kind}. {asked(run)}"


def design(run: Run) -> str:
    """Retrospective: a network is tested on images whose diagnosis stands in its manifest."""
    return "Retrospective: photographs whose diagnosis was known before the model answered." if is_network(run) else ""


def measures(run: Run) -> str:
    """The figures and plots."""
    names = ", ".join(metric(name) for name in run.evaluation["metrics"] if name in METRICS)
    plots = _PLOTS + (", decision curves" if measured(run, "decision") else "")
    return f"{names}; {plots}. Each is defined in the section on methods."


def intervals(run: Run) -> str:
    """How intervals were made."""
    methods = sorted({figure["method"] for figure in run.evaluation["metrics"].values() if figure.get("low") is not None})
    return f"Intervals: {'; '.join(methods)}." if methods else ""


def output(run: Run) -> str:
    """Probabilities, and the operating point."""
    return f"A probability for each class. {operating_point(run.evaluation)}"


def performance(run: Run) -> str:
    """The key figures with their intervals."""
    metrics = run.evaluation["metrics"]
    shown = [f"{metric(name)} {plain(metrics[name])}" for name in KEY_METRICS if name in metrics]
    return f"{'; '.join(shown)}; 95% intervals in brackets."


def fairness(run: Run) -> str:
    """Subgroups, where they were measured."""
    return "Performance was measured in subgroups of the people and images." if measured(run, "subgroups") else ""


def clusters(run: Run) -> str:
    """Image sources, where the evaluation has subgroups of them."""
    return "Image sources are among the subgroups where the images have several." if measured(run, "subgroups") else ""


def robustness(run: Run) -> str:
    """Simulated disturbances and missing metadata, where they were measured."""
    return "Measured under simulated disturbances of the photograph and of the metadata." if beside(run, "robustness") else ""


def internal_testing(run: Run) -> str:
    """Out-of-fold testing."""
    folds = count(len(run.evaluation["per_fold"]), "fold")
    return (
        f"Every figure is on images its network was not fitted to, in {folds}; each fold's own figures are shown."
        if is_network(run)
        else ""
    )


def failures(run: Run) -> str:
    """Confusion matrix and the surest mistakes."""
    shown = "A confusion matrix, and pictures of the surest mistakes, missed positives first."
    return "" if run.evaluation["confusion"] is None else shown


def limitations(run: Run) -> str:
    """What the record itself shows to be limits."""
    return " ".join(limits(run))


def limits(run: Run) -> list[str]:
    """The same, a sentence each."""
    document = run.evaluation
    points = [*document["notes"], *run.missing]
    if document["optimistic"]:
        points.insert(0, "The protocol is optimistic: the figures do not hold for new patients.")
    if document["optimistic"] is None:
        points.insert(0, "How the images were split is not recorded.")
    ran, _, planned = str(run.provenance.get("folds_run") or "").partition(" of ")
    if ran != planned:
        points.append(f"Trained and tested: {ran} of the protocol's {planned} folds.")
    if is_network(run):
        points.append("One training with one seed: the intervals do not hold what another training would give.")
        points.append("Training and test images come from one manifest: how it does elsewhere was not tested in this run.")
    return points


def input_in_use(run: Run) -> str:
    """What the program does with poor or missing input."""
    if not is_network(run):
        return ""
    refused = "A file that is no readable photograph is refused"
    return f"{refused}; age, sex and site may be missing, and the network then answers without them."


def plain(figure: Figure) -> str:
    """`0.912 [0.890, 0.931]`, or why there is no figure.

    >>> plain({"value": 0.5, "low": 0.25, "high": 0.75}), plain({"value": None, "reason": "no threshold"})
    ('0.500 [0.250, 0.750]', 'undefined (no threshold)')
    """
    if figure["value"] is None:
        return f"undefined ({figure.get('reason') or 'no reason recorded'})"
    low, high = figure.get("low"), figure.get("high")
    return f"{figure['value']:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def measured(run: Run, section: str) -> bool:
    """Whether the evaluation has this section, and not only the reason why it could not be."""
    document = run.evaluation.get(section) or {}
    return bool(document) and not (isinstance(document, dict) and document.get("reason"))


def beside(run: Run, name: str) -> dict[str, Any]:
    """The document `name`.json in the run's folder, empty where there is none."""
    path = run.folder / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
