"""What figures, classes and protocols are called in front of people, and how a figure is printed."""

from collections.abc import Mapping
from typing import Any

from nevus.data.taxonomy import DIAGNOSIS_NAMES
from nevus.reports.markup import Html, element, join

Figure = Mapping[str, Any]

# Each metric's name, and what it is in one line.
METRICS = {
    "auc": ("AUC", "area under the ROC curve: how often a positive image outranks a negative one, ties counting half"),
    "macro_auc": ("Macro AUC", "mean over classes of the area under the one-vs-rest ROC curve"),
    "weighted_auc": ("Weighted AUC", "the same mean, each class weighted by its share of the images"),
    "micro_auc": (
        "Micro AUC",
        "AUC of one ranking of all classes' probabilities of all images: how often a true class outranks a false one",
    ),
    "average_precision": (
        "Average precision",
        "area under the precision-recall curve by steps; a constant answer reaches the prevalence, so it falls with that",
    ),
    "macro_average_precision": ("Macro average precision", "mean over classes of the one-vs-rest average precision"),
    "weighted_average_precision": (
        "Weighted average precision",
        "the same mean, each class weighted by its share of the images",
    ),
    "micro_average_precision": (
        "Micro average precision",
        "average precision of one ranking of all classes' probabilities of all images",
    ),
    "balanced_accuracy": ("Balanced accuracy", "mean over classes of the recall, as the ISIC challenges score it"),
    "ovr_balanced_accuracy": (
        "One-vs-rest balanced accuracy",
        "mean over classes of (sensitivity + specificity) / 2: the 2022 paper's, always higher than the ISIC's for more than two",
    ),
    "accuracy": ("Accuracy", "share of images whose decision is right; it rewards naming the commonest class"),
    "top_2_accuracy": ("Top-2 accuracy", "share of images whose true class is among the two most probable"),
    "top_3_accuracy": ("Top-3 accuracy", "share of images whose true class is among the three most probable"),
    "macro_f1": ("Macro F1", "mean over classes of F1 = 2TP / (2TP + FP + FN)"),
    "weighted_f1": ("Weighted F1", "the same mean, each class weighted by its share of the images"),
    "macro_precision": ("Macro precision", "mean over classes of TP / (TP + FP)"),
    "weighted_precision": ("Weighted precision", "the same mean, each class weighted by its share of the images"),
    "macro_specificity": ("Macro specificity", "mean over classes of TN / (TN + FP)"),
    "mcc": (
        "Matthews correlation",
        "correlation of truth and decision, from −1 to 1, 0 for chance; Gorodkin's R_K for more than two classes",
    ),
    "f1": ("F1", "2TP / (2TP + FP + FN) of the class against the rest"),
    "sensitivity": ("Sensitivity", "share of the positive class's images that are flagged at the operating point"),
    "specificity": ("Specificity", "share of the other images that are not flagged at the operating point"),
    "precision": (
        "Precision",
        "share of the flagged images that are of the positive class (the positive predictive value); it falls with prevalence",
    ),
    "npv": (
        "Negative predictive value",
        "share of the images not flagged that are not of the positive class; it rises as the prevalence falls",
    ),
    "pauc_80": (
        "Partial AUC above 80% sensitivity",
        "area of the ROC curve above sensitivity 0.8, from 0 to 0.2, as ISIC 2024",
    ),
    "auc_sens_80": (
        "AUC80 of ISIC 2018",
        "whole area under the part of the ROC curve at or above sensitivity 0.8, from 0 to 1, as the ISIC 2018 scorer has it",
    ),
    "ece": (
        "Calibration error",
        "root-mean-square gap of probability and frequency over 15 bins of equally many images, debiased",
    ),
    "brier": ("Brier score", "mean squared distance of the probabilities from the truth; lower is better"),
    "log_loss": (
        "Log-loss",
        "mean of −log of the true class's probability, natural logarithm, 0 counted as 2.2e-16; lower is better",
    ),
    "f1_sd": ("SD of F1", "standard deviation of F1 over the classes, as the 2022 paper prints it"),
    "recall_sd": ("SD of recall", "standard deviation of recall over the classes, as the 2022 paper prints it"),
}

CLASSES = {**DIAGNOSIS_NAMES, "benign": "benign lesion", "malignant": "malignant lesion"}

_SERVES = "It serves to compare with that paper, not to expect this of new patients."
PROTOCOLS = {
    "strict": (
        "All photographs that share a patient, a lesion or a near-duplicate lie in one fold. Thresholds come from validation "
        "images inside the training folds, and each image is answered by a network that saw none of its group. This estimates "
        "what happens with patients never seen before."
    ),
    "paper-zoome": (
        "Optimistic, after the ZooME paper (2021): images were dealt to folds one by one, so photographs of one patient lie in "
        f"training and test, and the threshold was chosen on the test fold. {_SERVES}"
    ),
    "paper-2022": (
        "Optimistic, after the soft-attention and metadata paper (2022): one image-level 90/10 split, and checkpoint, schedule "
        f"and stopping were chosen on the test images themselves. {_SERVES}"
    ),
    "paper-datta": (
        "Optimistic, after Datta et al. (2021): the test images come only from lesions with a single photograph, where naevi "
        f"abound, and they also chose the checkpoint. {_SERVES}"
    ),
}
UNKNOWN_PROTOCOL = "How the images were split is not recorded, so it cannot be said whether these figures hold for new patients."


def metric(name: str) -> str:
    """A metric's printed name."""
    return METRICS[name][0] if name in METRICS else name.replace("_", " ")


def class_name(name: str) -> str:
    """A class's full name, as a doctor would say it; unknown codes stay as they are."""
    return CLASSES.get(name, name)


def badge(optimistic: bool | None) -> Html:
    """The mark that no optimistic figure appears without."""
    return element("span", "optimistic", class_="badge") if optimistic else Html()


def number(value: float | None, reason: str = "") -> Html:
    """A figure to three decimals, its full value in the markup; a dash with its reason where it is undefined.

    >>> number(0.91234), number(None, "no threshold")
    ('<data value="0.91234">0.912</data>', '<span class="undefined" title="no threshold">–</span>')
    """
    if value is None:
        return element("span", "–", class_="undefined", title=reason or "undefined")
    return element("data", f"{value:.3f}", value=repr(float(value)))


def interval(figure: Figure) -> Html:
    """`[low, high]`, or nothing where there is none."""
    if figure.get("low") is None or figure.get("high") is None:
        return Html()
    return element("span", "[", number(figure["low"]), ", ", number(figure["high"]), "]", class_="interval")


def with_interval(figure: Figure) -> Html:
    """A figure and its interval."""
    return join([number(figure["value"], figure.get("reason") or ""), interval(figure)], " ")


def with_difference(figure: Figure, difference: Figure | None) -> Html:
    """A table's cell: a figure, its interval, and its paired difference to another condition where that has an interval."""
    parts = [
        element("div", number(figure["value"], figure.get("reason") or "")),
        element("div", interval(figure), class_="small"),
    ]
    if difference is not None and difference["low"] is not None:
        words = f"{difference['value']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
        parts.append(element("div", words, class_="small"))
    return element("td", *parts)


def over_folds(figure: Figure) -> Html:
    """`mean ± standard deviation` over the folds."""
    if figure.get("fold_mean") is None:
        return number(None, "not defined in every fold")
    if figure.get("fold_sd") is None:
        return number(figure["fold_mean"])
    return element("span", number(figure["fold_mean"]), " ± ", number(figure["fold_sd"]), class_="folds")


def reasons(figures: Mapping[str, Figure], where: str = "") -> Html:
    """A note below a table that says why its dashes are dashes; `where` says which of several it speaks of."""
    undefined: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure["value"] is None:
            undefined.setdefault(figure.get("reason") or "undefined here", []).append(metric(name))
    notes = [f"– {where}{', '.join(names)}: {reason}." for reason, names in undefined.items()]
    return join(element("p", note, class_="note") for note in notes)


def of_hundred(value: float) -> str:
    """A share as a count of a hundred, never rounded to none or to all.

    >>> of_hundred(0.843), of_hundred(0.998), of_hundred(1.0)
    ('84', '99.8', '100')
    """
    whole = f"{100 * value:.0f}"
    return f"{100 * value:.1f}" if whole in ("0", "100") and 0 < value < 1 else whole


def in_hundred(figure: Figure) -> str:
    """A share and its interval as counts of a hundred: `84 (79 to 88)`."""
    if figure.get("low") is None or figure.get("high") is None:
        return of_hundred(figure["value"])
    return f"{of_hundred(figure['value'])} ({of_hundred(figure['low'])} to {of_hundred(figure['high'])})"


def count(number_of: int, noun: str, plural: str = "") -> str:
    """`1 image`, `10,015 images`."""
    return f"{number_of:,} {noun if number_of == 1 else plural or noun + 's'}"
