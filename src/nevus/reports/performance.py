"""What the predictions are worth: every figure with its interval, by class, by fold, and decision against truth."""

from collections.abc import Iterable, Mapping
from typing import Any

from nevus.reports.markup import Html, element, folded, join, table
from nevus.reports.run import Run
from nevus.reports.wording import Figure, class_name, metric, number, over_folds, reasons, with_interval

# What a reader looks for first, by what it judges; the other figures are folded.
GROUPS = {
    "Ranking, whatever the threshold": (*("auc", "macro_auc", "average_precision", "macro_average_precision", "pauc_80"),),
    "Decisions": (
        *("sensitivity", "specificity", "precision", "npv"),
        *("balanced_accuracy", "accuracy", "macro_f1", "mcc"),
    ),
    "Probabilities": ("brier", "log_loss", "ece"),
}
BY_CLASS = ("sensitivity", "specificity", "precision", "npv", "f1", "auc")


def all_figures(run: Run) -> Html:
    """The main figures by what they judge, with intervals and means over folds; the rest, and each fold's own, folded."""
    metrics = run.evaluation["metrics"]
    shown = [_figures(f"{title}, out of fold", metrics, names) for title, names in GROUPS.items()]
    main = {name for names in GROUPS.values() for name in names}
    others = [name for name in metrics if name not in main]
    more = folded("More averages over the classes", _figures("More figures, out of fold", metrics, others)) if others else Html()
    return join([*shown, reasons(metrics), more, folded("The figures fold by fold", _by_fold(run.evaluation))])


def _figures(caption: str, metrics: Mapping[str, Figure], names: Iterable[str]) -> Html:
    rows = [
        (metric(name), with_interval(metrics[name]), over_folds(metrics[name]), f"{metrics[name]['n']:,}")
        for name in names
        if name in metrics
    ]
    return table(caption, ("Figure", "Value [95% interval]", "Mean ± SD over folds", "Images"), rows) if rows else Html()


def confusion(run: Run) -> Html:
    """The confusion matrix, counts above row percentages, darker where a row's share is larger."""
    matrix = run.evaluation["confusion"]
    if matrix is None:
        reason = run.evaluation["operating_point"]["reason"] or "there is no operating point"
        return element("p", f"No confusion matrix: {reason}.", class_="note")
    classes = matrix["classes"]
    # Images whose largest probabilities tie; older evaluations know none.
    undecided = matrix.get("undecided") or [0] * len(classes)
    columns = [*classes, "undecided"] if any(undecided) else classes
    rows = []
    for truth, decided, without in zip(classes, matrix["matrix"], undecided, strict=True):
        counts = [*decided, without] if any(undecided) else decided
        total = sum(counts)
        cells = [_shaded(number, total, diagonal=truth == decision) for decision, number in zip(columns, counts, strict=True)]
        rows.append((truth, *cells, f"{total:,}"))
    header = ("Truth ↓  decision →", *columns, "Images")
    caption = "Confusion matrix: a row a true class, a column a decision, percentages of the row"
    return table(caption, header, rows, kind="confusion")


def by_class(run: Run) -> Html:
    """Each class against the rest, with intervals."""
    per_class = run.evaluation["per_class"]
    if not per_class:
        return Html()
    present = list(next(iter(per_class.values())))
    shown = _classes("By class, one against the rest, with 95% intervals", run, [name for name in BY_CLASS if name in present])
    others = [name for name in present if name not in BY_CLASS]
    caption = "More figures by class, one against the rest, with 95% intervals"
    more = folded("More figures by class", _classes(caption, run, others)) if others else Html()
    undefined = {f"{name} of {cls}": figure for cls, figures in per_class.items() for name, figure in figures.items()}
    return join([element("p", _deciding(run), class_="note"), shown, more, reasons(undefined)])


def _classes(caption: str, run: Run, names: list[str]) -> Html:
    num_images = run.predictions.test["target"].value_counts()
    rows = [
        (
            element("span", name, title=class_name(name)),
            *(with_interval(figures[figure]) for figure in names),
            f"{num_images.get(name, 0):,}",
        )
        for name, figures in run.evaluation["per_class"].items()
    ]
    return table(caption, ("Class", *(_heading(name) for name in names), "Images of the class"), rows)


def _deciding(run: Run) -> str:
    """Which decision the tables count: with more than two classes it is not the flag of the operating point."""
    if len(run.evaluation["classes"]) == 2:
        return "The decisions are those of the operating point; AUC needs none."
    positive = run.evaluation["positive"]
    flagging = f"; sensitivity and specificity elsewhere are those of flagging {class_name(positive)} at the operating point"
    decided = "the most probable class"
    if run.predictions.decisions == "balanced":
        decided = "the class whose probability is largest for its share of the images that a fold does not test"
    return f"Here the decision is {decided}{flagging if positive else ''}."


def _by_fold(document: dict[str, Any]) -> Html:
    """A row a figure, a column a fold: there are more figures than folds."""
    folds = document["per_fold"]
    main = [name for names in GROUPS.values() for name in names]
    present = {name for fold in folds for name in fold["metrics"]}
    names = [*(name for name in main if name in present), *(name for name in document["metrics"] if name in present - set(main))]
    rows = [
        ("Images", *(f"{fold['num_images']:,}" for fold in folds)),
        ("Groups", *("–" if fold["num_groups"] is None else f"{fold['num_groups']:,}" for fold in folds)),
        ("Threshold", *(number(fold["threshold"], "no threshold in this fold") for fold in folds)),
        *((metric(name), *(number(fold["metrics"].get(name), "undefined in this fold") for fold in folds)) for name in names),
    ]
    return table("Figures by fold", ("Figure", *(f"Fold {fold['fold']}" for fold in folds)), rows)


def _shaded(count: int, total: int, *, diagonal: bool) -> Html:
    share = 100 * count / total if total else 0.0
    percentage = element("span", f"{share:.0f}%" if total else "–", class_="small")
    return element("td", f"{count:,}", " ", percentage, class_="right" if diagonal else "wrong", style=f"--share:{share:.1f}%")


# Short names, since a table has many columns; what they mean is in the definitions or beside the pointer.
_SHORT = {
    "f1": "F1",
    "auc": "AUC",
    "npv": "NPV",
    "mcc": "MCC",
    "average_precision": "AP",
    "pauc_80": "pAUC80",
    "auc_sens_80": "AUC80",
    "log_loss": "Log-loss",
}


def _heading(name: str) -> Html:
    return element("span", _SHORT[name], title=metric(name)) if name in _SHORT else join([name.capitalize()])
