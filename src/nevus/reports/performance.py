"""What the predictions are worth: every figure with its interval, by class, by fold, and decision against truth."""

from typing import Any

from nevus.reports.markup import Html, element, folded, join, table
from nevus.reports.run import Run
from nevus.reports.wording import class_name, metric, number, over_folds, reasons, with_interval


def all_figures(run: Run) -> Html:
    """Every metric with its interval and its mean over folds, and each fold's own."""
    document = run.evaluation
    rows = [
        (metric(name), with_interval(figure), over_folds(figure), f"{figure['n']:,}")
        for name, figure in document["metrics"].items()
    ]
    header = ("Figure", "Value [95% interval]", "Mean ± SD over folds", "Images")
    shown = table("All figures, out of fold", header, rows)
    return join([shown, reasons(document["metrics"]), folded("The same figures fold by fold", _by_fold(document))])


def confusion(run: Run) -> Html:
    """The confusion matrix, counts above row percentages, darker where a row's share is larger."""
    matrix = run.evaluation["confusion"]
    if matrix is None:
        reason = run.evaluation["operating_point"]["reason"] or "there is no operating point"
        return element("p", f"No confusion matrix: {reason}.", class_="note")
    classes = matrix["classes"]
    rows = []
    for truth, counts in zip(classes, matrix["matrix"], strict=True):
        total = sum(counts)
        cells = [_shaded(number, total, diagonal=truth == decision) for decision, number in zip(classes, counts, strict=True)]
        rows.append((truth, *cells, f"{total:,}"))
    header = ("Truth ↓  decision →", *classes, "Images")
    caption = "Confusion matrix: a row a true class, a column a decision, percentages of the row"
    return table(caption, header, rows, kind="confusion")


def by_class(run: Run) -> Html:
    """Each class against the rest, with intervals."""
    per_class = run.evaluation["per_class"]
    if not per_class:
        return Html()
    names = list(next(iter(per_class.values())))
    num_images = run.predictions.test["target"].value_counts()
    rows = [
        (
            element("span", name, title=class_name(name)),
            *(with_interval(figures[figure]) for figure in names),
            f"{num_images.get(name, 0):,}",
        )
        for name, figures in per_class.items()
    ]
    header = ("Class", *(_heading(name) for name in names), "Images of the class")
    undefined = {f"{name} of {cls}": figure for cls, figures in per_class.items() for name, figure in figures.items()}
    shown = table("By class, one against the rest, with 95% intervals", header, rows)
    return join([element("p", _deciding(run), class_="note"), shown, reasons(undefined)])


def _deciding(run: Run) -> str:
    """Which decision the tables count: with more than two classes it is not the flag of the operating point."""
    if len(run.evaluation["classes"]) == 2:
        return "The decisions are those of the operating point; AUC needs none."
    positive = run.evaluation["positive"]
    flagging = f"; sensitivity and specificity elsewhere are those of flagging {class_name(positive)} at the operating point"
    return f"Here the decision is the most probable class{flagging if positive else ''}."


def _by_fold(document: dict[str, Any]) -> Html:
    folds = document["per_fold"]
    names = [name for name in document["metrics"] if any(name in fold["metrics"] for fold in folds)]
    rows = [
        (
            str(fold["fold"]),
            f"{fold['num_images']:,}",
            "–" if fold["num_groups"] is None else f"{fold['num_groups']:,}",
            number(fold["threshold"], "no threshold in this fold"),
            *(number(fold["metrics"].get(name), "undefined in this fold") for name in names),
        )
        for fold in folds
    ]
    return table("Figures by fold", ("Fold", "Images", "Groups", "Threshold", *map(metric, names)), rows)


def _shaded(count: int, total: int, *, diagonal: bool) -> Html:
    share = 100 * count / total if total else 0.0
    percentage = element("span", f"{share:.0f}%" if total else "–", class_="small")
    return element("td", f"{count:,}", " ", percentage, class_="right" if diagonal else "wrong", style=f"--share:{share:.1f}%")


def _heading(name: str) -> str:
    return {"f1": "F1", "auc": "AUC"}.get(name, name.capitalize())
