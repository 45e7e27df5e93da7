"""The head of a run: what was asked, on whom, how honestly, and the main figures in words."""

from typing import Any

from nevus.reports.markup import Html, element, join, listing
from nevus.reports.run import Run
from nevus.reports.wording import (
    PROTOCOLS,
    UNKNOWN_PROTOCOL,
    badge,
    class_name,
    count,
    in_hundred,
    interval,
    metric,
    number,
    of_hundred,
    over_folds,
)

KEY_METRICS = ("auc", "macro_auc", "balanced_accuracy", "sensitivity", "specificity", "accuracy")
_SHOWN = {"malignant": "a malignant lesion", "mel": "a melanoma"}


def headline(run: Run) -> Html:
    """The question, the material, the protocol, the key figures, what they mean, and what a reader must know."""
    document = run.evaluation
    protocol = element("p", badge(document["optimistic"]), " ", protocol_words(document["protocol"]), class_="protocol")
    return join(
        [
            element("p", asked(run), " ", tested_on(run), class_="lead"),
            protocol,
            _key_figures(document),
            listing(_plain_words(document), class_="plain"),
            element("p", "Brackets hold 95% intervals. ", operating_point(document), class_="note"),
            listing([*document["notes"], *run.missing], class_="notes"),
        ]
    )


def protocol_words(protocol: str | None) -> Html:
    """The protocol's name and what it means."""
    if protocol not in PROTOCOLS:
        return join([element("strong", "Unknown protocol."), " ", UNKNOWN_PROTOCOL])
    return join([element("strong", f"Protocol {protocol}."), " ", PROTOCOLS[protocol]])


def asked(run: Run) -> str:
    """The question that each image was put to."""
    classes = [class_name(name) for name in run.evaluation["classes"]]
    if len(classes) == 2:
        return f"Asked of each dermoscopy image: {classes[1]} or {classes[0]}?"
    return f"Asked of each dermoscopy image: which of {len(classes)} diagnoses? ({', '.join(classes)}.)"


def tested_on(run: Run) -> str:
    """How many images, lesions, patients and folds stand behind the figures."""
    document = run.evaluation
    tested = run.images[run.images["image_id"].isin(run.predictions.test["image_id"])]
    parts = [count(document["num_images"], "image")]
    for column, noun in (("lesion_id", "lesion"), ("patient_id", "patient")):
        known = {name for name in tested[column] if name} if column in tested else set()
        if known:
            parts.append(count(len(known), noun))
    num_training = int((run.images["fold"] == -1).sum())
    trained = f" A further {count(num_training, 'image')} only trained." if num_training else ""
    ran, _, planned = str(run.provenance.get("folds_run") or "").partition(" of ")
    folds = count(len(document["per_fold"]), "fold") + (f" of the protocol's {planned}" if ran != planned else "")
    apart = "Every answer counted here is for an image its network was not fitted to"
    unknown = "Whether the system was fitted to the images counted here is not recorded"
    return f"{unknown if document['protocol'] is None else apart}: {' of '.join(parts)}, in {folds}.{trained}"


def shown_as(positive: str) -> str:
    """The positive class in a sentence about images that show it."""
    return _SHOWN.get(positive, class_name(positive))


def _key_figures(document: dict[str, Any]) -> Html:
    figures = {name: document["metrics"][name] for name in KEY_METRICS if name in document["metrics"]}
    entries = []
    for name, figure in figures.items():
        parts = [element("dt", metric(name)), element("dd", number(figure["value"], figure.get("reason") or ""), class_="value")]
        parts.append(element("dd", interval(figure), class_="small"))
        if figure.get("fold_mean") is not None and len(document["per_fold"]) > 1:
            parts.append(element("dd", "mean of folds ", over_folds(figure), class_="small"))
        entries.append(element("div", *parts))
    return element("dl", *entries, class_="key")


def _plain_words(document: dict[str, Any]) -> list[str]:
    metrics, sentences = document["metrics"], []
    shown = shown_as(document["positive"] or "")
    if _defined(metrics, "sensitivity"):
        flagged = in_hundred(metrics["sensitivity"])
        sentences.append(f"Of 100 images that show {shown}, it flags {flagged} and misses the rest.")
    if _defined(metrics, "specificity"):
        sentences.append(f"Of 100 images that show anything else, it leaves {in_hundred(metrics['specificity'])} unflagged.")
    if _defined(metrics, "precision"):
        right, share = in_hundred(metrics["precision"]), of_hundred(_prevalence(document))
        sentences.append(
            f"Of 100 images it flags here, {right} show {shown}; fewer do where that is rarer than here ({share} in 100)."
        )
    if len(document["classes"]) > 2 and _defined(metrics, "accuracy") and _defined(metrics, "balanced_accuracy"):
        choice = "decision, made as if all were equally common," if document.get("decisions") == "balanced" else "first choice"
        sentences.append(
            f"Its {choice} is right for {in_hundred(metrics['accuracy'])} of 100 images, and for "
            f"{in_hundred(metrics['balanced_accuracy'])} of 100 when every diagnosis counts alike."
        )
    if _defined(metrics, "auc"):
        ranks = f"it ranks them rightly {in_hundred(metrics['auc'])} times in 100."
        sentences.append(f"Given an image that shows {shown} and one that does not, {ranks}")
    return sentences


def operating_point(document: dict[str, Any]) -> str:
    """From which probability on an image is flagged, and where that was chosen."""
    point = document["operating_point"]
    if point["thresholds"] is None:
        return f"There is no operating point: {point['reason'] or 'none was recorded'}."
    thresholds = sorted(set(point["thresholds"].values()))
    spread = f"{thresholds[0]:.3f}" if len(thresholds) == 1 else f"{thresholds[0]:.3f} to {thresholds[-1]:.3f} over the folds"
    chosen = {"validation": "chosen on validation images", "test": "chosen on the test images themselves"}.get(
        point["chosen_on"], "given beforehand"
    )
    flagged = class_name(document["positive"]) if document["positive"] else "the positive class"
    reached = f"an image is flagged when its probability of {flagged} reaches {spread}"
    return f"Operating point: {reached} (rule {point['rule']}, {chosen})."


def _prevalence(document: dict[str, Any]) -> float:
    """The positive class's share of the tested images: its row of the confusion matrix."""
    confusion = document["confusion"]
    row = confusion["matrix"][confusion["classes"].index(document["positive"])]
    return float(sum(row) / document["num_images"])


def _defined(metrics: dict[str, Any], name: str) -> bool:
    return name in metrics and metrics[name]["value"] is not None
