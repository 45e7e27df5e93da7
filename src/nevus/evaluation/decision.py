"""What threshold: the usual rules side by side, what each means for a thousand people, and the decision curve."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from nevus.errors import DataError
from nevus.evaluation.fitting_rows import fitting_rows
from nevus.evaluation.operating_point import OperatingPoint, operating_point
from nevus.evaluation.tested import Tested
from nevus.metrics.bootstrap import Floats, WeightedFigure
from nevus.metrics.classification import ratio
from nevus.metrics.decision import USUAL_RULES, net_benefit, people, predictive_values
from nevus.metrics.intervals import Share
from nevus.metrics.prior import shift_prior
from nevus.metrics.recalibration import RecalibrationIntercept

Document = dict[str, Any]
Flags = NDArray[np.bool_]
# Probabilities at which a reader might rather have a lesion looked at than not.
CURVE = np.round(np.arange(1, 51) / 100, 2)
ISIC_2020 = 584 / 33126
USUAL_PREVALENCE = (0.018, "ISIC-2020: 584 melanomas among 33,126 images (Rotemberg et al. 2021)")
_NOBODY = "undefined: no image of the kind that is counted"


def decision(tested: Tested) -> Document:
    """Thresholds by rule with what they do on the test rows, in a thousand people, and the net benefit over thresholds.

    Every threshold is chosen on a fold's validation rows (under a paper's protocol on its test rows) and held fixed.
    """
    judged, point = tested.judged, tested.point
    if judged.positive is None:
        return {"positive": None, "reason": point.reason}
    truth = judged.targets == judged.positive
    if truth.all() or not truth.any():
        reason = f"of {len(truth)} test images {int(truth.sum())} are {tested.predictions.positive}: it takes both kinds"
        return {"positive": tested.predictions.positive, "reason": reason}
    points = {point.rule: point, **{rule: operating_point(tested.predictions, rule, None) for rule in _rules(tested)}}
    scores, folds = judged.probabilities[:, judged.positive], tested.test["fold"].to_numpy()
    flags = {rule: flagged for rule, each in points.items() if (flagged := each.flags(folds, scores)) is not None}
    prevalences = _prevalences(tested, float(truth.mean()))
    figures: dict[str, WeightedFigure | None] = {}
    for rule, flagged in flags.items():
        figures |= {f"{rule}/{name}": figure for name, figure in _shares(truth, flagged).items()}
    rates = _Rates(truth, np.stack([*flags.values()], axis=1) if flags else np.zeros((len(truth), 0), np.bool_))
    for place, rule in enumerate(flags):
        for share, _ in prevalences:
            figures |= {f"{rule}/{share}/{name}": _predictive(rates, place, share, name) for name in ("ppv", "npv")}
    figures |= dict(_curve_figures(tested, truth, scores, prevalences))
    figures |= _missed_figures(tested, truth)
    measured = tested.measure(figures, _NOBODY)
    return {
        "positive": tested.predictions.positive,
        "reason": None,
        "num_positives": int(truth.sum()),
        "num_negatives": int((~truth).sum()),
        "operating_point": point.rule,
        "rules": [_rule(each, prevalences, measured) for each in points.values()],
        "missed": _missed(tested, truth, measured),
        "curves": [_curve(tested, share, source, measured) for share, source in prevalences],
        "notes": _notes(tested, float(truth.mean())),
    }


def check_stated(prevalence: float | None, cost_ratio: float | None) -> None:
    """Raise where what a reader stated cannot be: a prevalence between 0 and 1, costs above 0."""
    if prevalence is not None and not 0 < prevalence < 1:
        raise DataError(f"--prevalence {prevalence}: expected the positive class's share, between 0 and 1, as in 0.02 for 2%.")
    if cost_ratio is not None and not 0 < cost_ratio < np.inf:
        raise DataError(f"--cost-ratio {cost_ratio}: expected how many false alarms a missed positive costs, above 0, as in 10.")


def _rules(tested: Tested) -> tuple[str, ...]:
    """The usual ones and the stated costs', at the stated prevalence if there is one."""
    rules = [rule for rule in USUAL_RULES if rule != tested.point.rule]
    if tested.cost_ratio is not None:
        at = "" if tested.prevalence is None else f"@{tested.prevalence:g}"
        rules.append(f"cost:{tested.cost_ratio:g}{at}")
    return tuple(rules)


def _prevalences(tested: Tested, own: float) -> list[tuple[float, str]]:
    stated = USUAL_PREVALENCE if tested.prevalence is None else (tested.prevalence, "stated")
    return [(own, "these test images"), stated]


class _Rates:
    """Sensitivities and specificities of K ways to flag, (R, K) each, under image weights; those of the last weights are kept,
    since many figures ask for the same."""

    def __init__(self, truth: Flags, flags: Flags) -> None:
        columns = [flags & truth[:, None], flags & ~truth[:, None], truth[:, None], ~truth[:, None]]
        self._table = np.concatenate(columns, axis=1).astype(np.float64)
        self._num = flags.shape[1]
        self._weights: Floats | None = None
        self._rates = (np.zeros(0), np.zeros(0))

    def __call__(self, weights: Floats) -> tuple[Floats, Floats]:
        if self._weights is not weights:
            counts = weights @ self._table
            positives, negatives = counts[:, -2:-1], counts[:, -1:]
            hits, alarms = counts[:, : self._num], counts[:, self._num : -2]
            self._rates = ratio(hits, positives), ratio(negatives - alarms, negatives)
            self._weights = weights
        return self._rates


def _shares(truth: Flags, flags: Flags) -> dict[str, Share]:
    return {
        "sensitivity": Share(flags, truth),
        "specificity": Share(~flags, ~truth),
        "ppv": Share(truth, flags),
        "npv": Share(~truth, ~flags),
    }


def _predictive(rates: "_Rates", place: int, prevalence: float, name: str) -> WeightedFigure:
    def figure(weights: Floats) -> Floats:
        sensitivity, specificity = rates(weights)
        ppv, npv = predictive_values(sensitivity[:, place], specificity[:, place], prevalence)
        return ppv if name == "ppv" else npv

    return figure


def _rule(point: OperatingPoint, prevalences: list[tuple[float, str]], measured: dict[str, Document]) -> Document:
    document = point.document()
    if point.thresholds is None:
        return {**document, "figures": None, "per_1000": None}
    figures = {name: measured[f"{point.rule}/{name}"] for name in ("sensitivity", "specificity", "ppv", "npv")}
    tables = [
        {
            "prevalence": share,
            "source": source,
            "people": people(figures["sensitivity"]["value"], figures["specificity"]["value"], share),
            **{name: measured[f"{point.rule}/{share}/{name}"] for name in ("ppv", "npv")},
        }
        for share, source in prevalences
    ]
    return {**document, "figures": figures, "per_1000": tables}


def _missed_figures(tested: Tested, truth: Flags) -> dict[str, WeightedFigure | None]:
    """The share of each class among the decisions of missed positives."""
    flags = tested.judged.flags
    if flags is None or len(tested.predictions.classes) == 2:
        return {}
    missed = truth & ~flags
    likeliest = tested.judged.probabilities.argmax(axis=1)
    return {f"missed/{name}": Share(likeliest == index, missed) for index, name in enumerate(tested.predictions.classes)}


def _missed(tested: Tested, truth: Flags, measured: dict[str, Document]) -> Document:
    """How many positives the operating point misses, and which class was the likeliest for them."""
    flags = tested.judged.flags
    if flags is None:
        return {"num_positives": int(truth.sum()), "num_missed": None, "decided": None, "reason": tested.point.reason}
    missed = truth & ~flags
    likeliest = tested.judged.probabilities.argmax(axis=1)[missed]
    counts = np.bincount(likeliest, minlength=len(tested.predictions.classes))
    decided: list[Document] = [
        {"class": name, "num_images": int(number), "share": measured[f"missed/{name}"]}
        for name, number in zip(tested.predictions.classes, counts, strict=True)
        if number and f"missed/{name}" in measured
    ]
    ordered = sorted(decided, key=lambda row: int(row["num_images"]), reverse=True)
    return {"num_positives": int(truth.sum()), "num_missed": int(missed.sum()), "decided": ordered, "reason": None}


def _curve_figures(
    tested: Tested, truth: Flags, scores: Floats, prevalences: list[tuple[float, str]]
) -> Iterator[tuple[str, WeightedFigure]]:
    for place, (share, _) in enumerate(prevalences):
        shifted = scores if place == 0 else _shifted(tested, scores, share)
        if isinstance(shifted, str):
            continue
        rates = _Rates(truth, shifted[:, None] >= CURVE)
        for index, threshold in enumerate(CURVE):
            yield f"curve/{share}/{index}", _benefit(rates, index, share, float(threshold))


def _benefit(rates: "_Rates", index: int, prevalence: float, threshold: float) -> WeightedFigure:
    def figure(weights: Floats) -> Floats:
        sensitivity, specificity = rates(weights)
        return net_benefit(sensitivity[:, index], specificity[:, index], prevalence, threshold)

    return figure


def _shifted(tested: Tested, scores: Floats, prevalence: float) -> Floats | str:
    """Probabilities at another prevalence, or why there are none.

    On each fold's validation rows one intercept makes their mean the share of positives there; to that share they then belong,
    whatever the loss was, and from it they are moved.
    """
    moved, folds = scores.copy(), tested.test["fold"].to_numpy()
    predictions, positive = tested.predictions, tested.judged.positive or 0
    fitting = fitting_rows(predictions)
    if fitting.reason:
        return f"{fitting.reason}, which say what share its probabilities belong to"
    for fold, rows in fitting.by_fold.items():
        truth = predictions.targets(rows) == positive
        if truth.all() or not truth.any():
            return f"fold {fold} has no validation rows of both kinds, which say what share its probabilities belong to"
        intercept = RecalibrationIntercept(predictions.probabilities(rows)[:, positive], truth)(np.ones((1, len(rows))))[0]
        here, share = folds == fold, float(truth.mean())
        at_share = expit(logit(scores[here]) + intercept)
        both = np.stack([1 - at_share, at_share], axis=1)
        moved[here] = shift_prior(both, [1 - share, share], [1 - prevalence, prevalence])[:, 1]
    return moved


def _curve(tested: Tested, prevalence: float, source: str, measured: dict[str, Document]) -> Document:
    named = [measured.get(f"curve/{prevalence}/{index}") for index in range(len(CURVE))]
    model = [figure for figure in named if figure is not None]
    reason = None
    if not model:
        reason = str(_shifted(tested, tested.judged.probabilities[:, tested.judged.positive or 0], prevalence))
    return {
        "prevalence": prevalence,
        "source": source,
        "reason": reason,
        "thresholds": CURVE.tolist(),
        "model": [figure["value"] for figure in model] if model else None,
        "low": [figure["low"] for figure in model] if model else None,
        "high": [figure["high"] for figure in model] if model else None,
        "treat_all": net_benefit(1.0, 0.0, prevalence, CURVE).tolist(),
        "treat_none": [0.0] * len(CURVE),
        "method": model[0]["method"] if model else None,
    }


def _notes(tested: Tested, own: float) -> list[str]:
    notes = []
    datasets = set(tested.test["dataset"]) if "dataset" in tested.test else set()
    if datasets == {"isic2020"} and own > 2 * ISIC_2020:
        notes.append(
            f"These images are a case-control subset: {own:.1%} are {tested.predictions.positive}, against {ISIC_2020:.1%} of "
            "all of ISIC-2020. Its PPV, NPV, precision and accuracy do not carry over to any clinic; sensitivity, specificity "
            "and AUC do not depend on the share."
        )
    notes.append(
        "PPV and NPV hold at one prevalence alone. At a stated prevalence they follow from sensitivity and specificity by Bayes' "
        "theorem, which takes it that the lesions of each kind look as they do here."
    )
    return notes
