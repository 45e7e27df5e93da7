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


def headline(run: Run) -> Html:
    """The question, the material, the protocol, the key figures, what they mean, and what a reader must know."""
    document = run.evaluation
    protocol = element("p", badge(document["optimistic"]), " ", protocol_words(document["protocol"]), class_="protocol")
    return join(
        [
            element("p", _question(run), " ", _material(run), class_="lead"),
            protocol,
            _key_figures(document),
            listing(_plain_words(document), class_="plain"),
            element("p", _operating_point(document), class_="note"),
            listing([*document["notes"], *run.missing], class_="notes"),
        ]
    )


def protocol_words(protocol: str | None) -> Html:
    """The protocol's name and what it means."""
    if protocol not in PROTOCOLS:
        return join([element("strong", "Unknown protocol."), " ", UNKNOWN_PROTOCOL])
    return join([element("strong", f"Protocol {protocol}."), " ", PROTOCOLS[protocol]])


def _question(run: Run) -> str:
    classes = [class_name(name) for name in run.evaluation["classes"]]
    if len(classes) == 2:
        return f"Asked of each dermoscopy image: {classes[1]} or {classes[0]}?"
    return f"Asked of each dermoscopy image: which of {len(classes)} diagnoses? ({', '.join(classes)}.)"


def _material(run: Run) -> str:
    document = run.evaluation
    tested = run.images[run.images["image_id"].isin(run.predictions.test["image_id"])]
    parts = [count(document["num_images"], "image")]
    for column, noun in (("lesion_id", "lesion"), ("patient_id", "patient")):
        known = tested[column][tested[column] != ""] if column in tested else []
        if len(known):
            share = "" if len(known) == len(tested) else f" (known for {len(known):,})"
            parts.append(count(len(set(known)), noun) + share)
    num_training = int((run.images["fold"] == -1).sum())
    trained = f" A further {count(num_training, 'image')} only trained." if num_training else ""
    folds = count(len(document["per_fold"]), "fold")
    return f"Every answer counted here is for an image its network was not fitted to: {' of '.join(parts)}, in {folds}.{trained}"


def _key_figures(document: dict[str, Any]) -> Html:
    figures = {name: document["metrics"][name] for name in KEY_METRICS if name in document["metrics"]}
    entries = []
    for name, figure in figures.items():
        folds = [element("dd", "folds ", over_folds(figure), class_="small")] if figure.get("fold_mean") is not None else []
        value = element("dd", number(figure["value"], figure.get("reason") or ""), class_="value")
        entries.append(element("div", element("dt", metric(name)), value, element("dd", interval(figure), class_="small"), *folds))
    return element("dl", *entries, class_="key")


def _plain_words(document: dict[str, Any]) -> list[str]:
    metrics, positive = document["metrics"], document["positive"]
    sentences = []
    if _defined(metrics, "sensitivity"):
        flagged = in_hundred(metrics["sensitivity"])
        sentences.append(f"Of 100 images of {_kind(positive)}, it flags {flagged} and misses the rest.")
    if _defined(metrics, "specificity"):
        sentences.append(f"Of 100 images of anything else, it leaves {in_hundred(metrics['specificity'])} unflagged.")
    if _defined(metrics, "precision"):
        sentences.append(
            f"Of 100 images it flags here, {in_hundred(metrics['precision'])} are {_kind(positive)}; where {_kind(positive)} is "
            f"rarer than in these data ({of_hundred(_prevalence(document))} in 100), fewer are."
        )
    if len(document["classes"]) > 2 and _defined(metrics, "accuracy") and _defined(metrics, "balanced_accuracy"):
        sentences.append(
            f"Its first choice is right for {in_hundred(metrics['accuracy'])} of 100 images, and for "
            f"{in_hundred(metrics['balanced_accuracy'])} of 100 when every diagnosis counts alike."
        )
    if _defined(metrics, "auc"):
        ranks = in_hundred(metrics["auc"])
        sentences.append(f"Shown one image of {_kind(positive)} and one of anything else, it ranks them rightly {ranks} times in 100.")
    return [*sentences, "In brackets: 95% intervals."] if sentences else []


def _operating_point(document: dict[str, Any]) -> str:
    point = document["operating_point"]
    if point["thresholds"] is None:
        return f"There is no operating point: {point['reason'] or 'none was recorded'}."
    thresholds = sorted(set(point["thresholds"].values()))
    spread = f"{thresholds[0]:.3f}" if len(thresholds) == 1 else f"{thresholds[0]:.3f} to {thresholds[-1]:.3f} over the folds"
    chosen = {"validation": "chosen on validation images", "test": "chosen on the test images themselves"}.get(
        point["chosen_on"], "given beforehand"
    )
    flagged = class_name(document["positive"]) if document["positive"] else "the positive class"
    return f"Operating point: an image is flagged when its probability of {flagged} reaches {spread} (rule {point['rule']}, {chosen})."


def _prevalence(document: dict[str, Any]) -> float:
    """The positive class's share of the tested images: its row of the confusion matrix."""
    confusion = document["confusion"]
    row = confusion["matrix"][confusion["classes"].index(document["positive"])]
    return float(sum(row) / document["num_images"])


def _kind(positive: str) -> str:
    return "malignant lesions" if positive == "malignant" else class_name(positive)


def _defined(metrics: dict[str, Any], name: str) -> bool:
    return name in metrics and metrics[name]["value"] is not None
