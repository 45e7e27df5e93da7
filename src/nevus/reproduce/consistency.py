"""Whether the 2022 paper's tables agree with themselves: figures that others in the same tables fix."""

from collections.abc import Iterator, Mapping
from math import floor, sqrt

from nevus.metrics.feasibility import Verdict
from nevus.reproduce.published import Table, number, published

# Figures are printed to two digits, a last 0 sometimes left out.
_HALF = 0.005
# HAM10000's images by class, the paper's Table 1; its test set is a stratified tenth of those with an age.
_IMAGES = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
# How far the shares in that tenth may move a weighted mean of recalls.
_SHARES = 0.003
_SIGMAS = {"Table 5": "f1_sd", "Table 6": "recall_sd"}
_MEANS = {"macro_f1": "Table 5", "balanced_accuracy": "Table 6", "macro_auc": "Table 7"}
_CLASSES = {"Table 5": "f1", "Table 6": "sensitivity", "Table 7": "auc"}
_REPEATED = ("accuracy", "parameters", "depth")

Verdicts = Iterator[tuple[str, Verdict]]
Row = Mapping[str, tuple[str, str]]


def consistency() -> dict[str, Verdict]:
    """A verdict on each figure that others fix, by table, row and figure; `possible` is false where it does not agree.

    Examples
    --------
    >>> consistency()["Table 11, InceptionResnetV2, Accuracy"].reason
    '0.90 is printed, and 0.89 in Table 4'
    """
    tables = {table.name: table for table in published("soft-attention")}
    found: dict[str, Verdict] = {}
    for check in (_sigmas, _balanced, _means, _accuracies, _repeated, _copies):
        found.update(check(tables))
    return found


def _sigmas(tables: Mapping[str, Table]) -> Verdicts:
    """σ divides by the number of classes and is cut off after three digits, computed from the printed figures."""
    for name, column in _SIGMAS.items():
        for row, figures in tables[name].rows.items():
            values = _by_class(tables[name], figures)
            mean = sum(values) / len(values)
            sigma = sqrt(sum((value - mean) ** 2 for value in values) / len(values))
            holds = floor(1000 * sigma + 1e-9) / 1000 == _value(figures, column)
            yield f"{name}, {row}, σ", Verdict(holds, f"{figures[column][0]} is printed, its row has {sigma:.4f}")


def _balanced(tables: Mapping[str, Table]) -> Verdicts:
    """The paper's balanced accuracy is the mean of its sensitivity and specificity."""
    for row, figures in tables["Table 8"].rows.items():
        mean = (_value(figures, "balanced_accuracy") + _value(figures, "macro_specificity")) / 2
        printed = _value(figures, "ovr_balanced_accuracy")
        words = f"{printed:.2f} is printed, sensitivity and specificity give {mean:.3f}"
        yield f"Table 8, {row}, Balanced Accuracy(avg)", Verdict(abs(mean - printed) <= 2 * _HALF + 1e-9, words)


def _means(tables: Mapping[str, Table]) -> Verdicts:
    """Averages over classes are those of the tables by class."""
    for row, figures in tables["Table 8"].rows.items():
        for column, source in _MEANS.items():
            values = _by_class(tables[source], _row_of(tables[source], tables["Table 8"].systems[row]))
            mean, printed = sum(values) / len(values), _value(figures, column)
            words = f"{printed:.2f} is printed, {source}'s row has a mean of {mean:.3f}"
            yield f"Table 8, {row}, {tables['Table 8'].columns[column]}", Verdict(abs(mean - printed) <= 2 * _HALF + 1e-9, words)


def _accuracies(tables: Mapping[str, Table]) -> Verdicts:
    """Accuracy is the mean of the recalls, each class counting by its images."""
    total = sum(_IMAGES.values())
    for row, figures in tables["Table 4"].rows.items():
        recalls = _row_of(tables["Table 6"], tables["Table 4"].systems[row])
        mean = sum(count / total * _value(recalls, f"sensitivity/{name}") for name, count in _IMAGES.items())
        printed = _value(figures, "accuracy")
        words = f"{printed:.2f} is printed, Table 6's recalls give {mean:.3f} on the classes' shares of the data"
        yield f"Table 4, {row}, Accuracy", Verdict(abs(mean - printed) <= 2 * _HALF + _SHARES, words)


def _repeated(tables: Mapping[str, Table]) -> Verdicts:
    """A figure that is printed twice is the same twice."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for table in tables.values():
        for row, figures in table.rows.items():
            for column in (name for name in _REPEATED if name in figures):
                printed = figures[column][0]
                key = (table.systems[row], column)
                where, before = first.setdefault(key, (table.name, printed))
                if where != table.name:
                    words = f"{printed} is printed, and {before} in {where}"
                    yield f"{table.name}, {row}, {table.columns[column]}", Verdict(number(printed) == number(before), words)


def _copies(tables: Mapping[str, Table]) -> Verdicts:
    """Recalls are not F1s."""
    for row, figures in tables["Table 6"].rows.items():
        same = _by_class(tables["Table 5"], tables["Table 5"].rows[row]) == _by_class(tables["Table 6"], figures)
        yield f"Table 6, {row}", Verdict(not same, f"its recalls are {'' if same else 'not '}those that Table 5 prints as F1")


def _by_class(table: Table, figures: Row) -> list[float]:
    return [_value(figures, f"{_CLASSES[table.name]}/{name}") for name in _IMAGES]


def _row_of(table: Table, system: str) -> Row:
    return next(figures for row, figures in table.rows.items() if table.systems[row] == system)


def _value(figures: Row, column: str) -> float:
    value = number(figures[column][0])
    assert value is not None
    return value
