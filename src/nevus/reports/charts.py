"""The run's charts as page pieces: learning curves, ROC, and precision against recall."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nevus.metrics.classification import precision_recall_curve, roc_curve
from nevus.reports import figures
from nevus.reports.figures import Axis, Curve
from nevus.reports.markup import Html, element
from nevus.reports.run import Run
from nevus.reports.svg import inline
from nevus.reports.wording import class_name, count

Values = NDArray[Any]

CHANCE = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def learning_curves(run: Run) -> Html:
    """Losses, validation AUC and validation balanced accuracy over epochs, a line a fold."""
    if not run.epochs:
        return element("p", "The run has no training log, so there are no learning curves.", class_="note")
    recall = Axis("Mean recall over classes")
    drawn = [
        _learning(run, "loss", "Loss", Axis("Loss"), {"training": "train_loss", "validation": "validation_loss"}),
        _learning(run, "auc", "Validation AUC", Axis("AUC"), {"validation": "validation_auc"}),
        _learning(run, "bacc", "Validation balanced accuracy", recall, {"validation": "validation_balanced_accuracy"}),
    ]
    return element("div", *drawn, class_="figures")


def discrimination(run: Run) -> Html:
    """ROC and precision against recall of the positive class with folds and operating point, and of each class."""
    document, tested = run.evaluation, run.predictions.test
    probabilities = run.predictions.probabilities(tested)
    drawn = []
    if document["positive"] is not None:
        drawn += _positive(run, tested, probabilities[:, document["classes"].index(document["positive"])])
    if len(document["classes"]) > 2:
        drawn += _one_vs_rest(run, tested["target"].to_numpy(), probabilities)
    return element("div", *drawn, class_="figures") if drawn else Html()


def _learning(run: Run, name: str, title: str, axis: Axis, columns: dict[str, str]) -> Html:
    logs = run.epochs.values()
    series = {label: [(log["epoch"].to_numpy(), log[column].to_numpy()) for log in logs] for label, column in columns.items()}
    ends = ", ".join(f"{label} ends at {_mean_end([values for _, values in folds])}" for label, folds in series.items())
    several = len(run.epochs) > 1
    caption = f"{title} by epoch" + (f": {count(len(run.epochs), 'fold')} faint, the mean strong." if several else ".")
    message = f"{title} over epochs; {'on average over folds, ' if several else ''}{ends}."
    return inline(figures.learning(title, axis, series), f"{run.anchor}-learning-{name}", message, caption)


def _mean_end(folds: list[Values]) -> str:
    """The mean over folds of each one's last defined value."""
    ends = [finite[-1] for values in folds if (finite := values[np.isfinite(values)]).size]
    return f"{np.mean(ends):.3f}" if ends else "no defined value"


def _positive(run: Run, tested: pd.DataFrame, scores: Values) -> list[Html]:
    """ROC and precision against recall of the positive class."""
    document, positive = run.evaluation, run.evaluation["positive"]
    is_positive = (tested["target"] == positive).to_numpy()
    folds = [(tested["fold"] == fold).to_numpy() for fold in sorted(tested["fold"].unique())]
    split = [rows for rows in folds if len(folds) > 1 and is_positive[rows].any() and not is_positive[rows].all()]
    faint = f" Faint: each of {len(split)} folds." if split else ""
    name, share = class_name(positive), float(is_positive.mean())
    values = {key: figure["value"] for key, figure in document["metrics"].items()}
    sensitivity, specificity, precision = (values.get(key) for key in ("sensitivity", "specificity", "precision"))
    auc = (document["metrics"].get("auc") or document["per_class"][positive]["auc"])["value"]
    area = "AUC undefined" if auc is None else f"AUC {auc:.3f}"
    roc_point, precision_point, roc_words, precision_words = [], [], "", ""
    if sensitivity is not None and specificity is not None:
        roc_point = [(1 - specificity, sensitivity)]
        roc_words = f"; at the operating point sensitivity {sensitivity:.3f}, specificity {specificity:.3f}"
    if sensitivity is not None and precision is not None:
        precision_point = [(sensitivity, precision)]
        precision_words = f"; at the operating point precision {precision:.3f} at recall {sensitivity:.3f}"
    roc = figures.curves(
        f"ROC, {name}",
        (figures.FALSE_POSITIVES, figures.SENSITIVITY),
        {f"pooled, {area}": _roc(is_positive, scores)},
        faint=[_roc(is_positive[rows], scores[rows]) for rows in split],
        points=roc_point,
        reference=CHANCE,
    )
    precision_recall = figures.curves(
        f"Precision and recall, {name}",
        (figures.RECALL, figures.PRECISION),
        {"pooled": _precision_recall(is_positive, scores)},
        faint=[_precision_recall(is_positive[rows], scores[rows]) for rows in split],
        points=precision_point,
        reference=(CHANCE[0], np.array([share, share])),
    )
    roc_caption = f"ROC of {name} against the rest.{faint} Dotted: chance."
    precision_caption = f"Precision against recall.{faint} Dotted: the share of {name} in these images ({100 * share:.1f}%)."
    precision_message = f"Precision against recall of {name}, whose share of the images is {share:.3f}{precision_words}."
    return [
        inline(roc, f"{run.anchor}-roc", f"ROC curve of {name}: pooled {area}{roc_words}.", roc_caption),
        inline(precision_recall, f"{run.anchor}-pr", precision_message, precision_caption),
    ]


def _one_vs_rest(run: Run, truth: Values, probabilities: Values) -> list[Html]:
    rocs: dict[str, Curve] = {}
    precision_recalls: dict[str, Curve] = {}
    for column, name in enumerate(run.evaluation["classes"]):
        is_class, auc = truth == name, run.evaluation["per_class"][name]["auc"]["value"]
        if is_class.any() and not is_class.all():
            rocs[name if auc is None else f"{name} {auc:.3f}"] = _roc(is_class, probabilities[:, column])
            precision_recalls[name] = _precision_recall(is_class, probabilities[:, column])
    axes = (figures.FALSE_POSITIVES, figures.SENSITIVITY)
    roc = figures.curves("ROC, each class against the rest", axes, rocs, reference=CHANCE)
    precision_recall = figures.curves("Precision and recall, each class", (figures.RECALL, figures.PRECISION), precision_recalls)
    roc_message = f"One-vs-rest ROC curves; AUC: {', '.join(rocs)}."
    precision_message = f"Precision against recall for the classes {', '.join(precision_recalls)}."
    precision_caption = "Precision against recall by class; rare classes lie lower at the same AUC."
    return [
        inline(roc, f"{run.anchor}-roc-classes", roc_message, "One-vs-rest ROC by class, with AUC."),
        inline(precision_recall, f"{run.anchor}-pr-classes", precision_message, precision_caption),
    ]


def _roc(is_positive: Values, scores: Values) -> Curve:
    false_positive_rates, true_positive_rates, _ = roc_curve(is_positive, scores)
    return false_positive_rates, true_positive_rates


def _precision_recall(is_positive: Values, scores: Values) -> Curve:
    precision, recall, _ = precision_recall_curve(is_positive, scores)
    return recall, precision
