"""What a bundle is, in words for a stranger, from bundle.json alone: `nevus bundle show` and the model card print it."""

from collections.abc import Callable, Mapping
from typing import Any

from nevus.data.taxonomy import DIAGNOSIS_NAMES

_CROPS = {"none": "the photo", "mask": "the lesion by its mask, without which this model gives no answer"}
_DECIDES = {
    "likeliest": "the most probable class, below the operating point",
    "balanced": "the class most probable for its share, as if all were equally common, below the operating point",
}
_TASKS = {"malignant": "malignant or benign", "diagnosis": "which diagnosis"}


def description(document: Mapping[str, Any]) -> dict[str, str]:
    """What is known of a model, a text a subject; a subject that the document does not have is left out.

    Parameters
    ----------
    document
        The content of bundle.json.

    Examples
    --------
    >>> description({"task": "malignant", "temperature": 1.25, "operating_point": {"chosen_on": "80 validation images"}})
    {'Question': 'malignant or benign', 'Temperature': '1.250, fitted on 80 validation images'}
    """
    rows = {}
    for title, words in _ROWS.items():
        try:
            rows[title] = words(document)
        except (KeyError, TypeError):  # it, or the object that it would be in, is not there
            continue
    return {title: words for title, words in rows.items() if words}


def _classes(document: Mapping[str, Any]) -> str:
    names = ((name, DIAGNOSIS_NAMES.get(name, name)) for name in document["classes"])
    return ", ".join(name if name == words else f"{name} ({words})" for name, words in names)


def _network(document: Mapping[str, Any]) -> str:
    model = document["recipe"]["model"]
    attention, fusion = model["attention"]["kind"], model["fusion"]["kind"]
    return f"{model['backbone']}, attention {attention}, fusion {fusion}, pretrained weights: {model['pretrained']}"


def _input(document: Mapping[str, Any]) -> str:
    preprocessing = document["preprocessing"]
    sizes = " and ".join(f"{side} x {side}" for side in (preprocessing["size"], *preprocessing.get("resolutions", ())))
    shares = preprocessing.get("central", (1.0,))
    central = " and ".join("the whole" if share == 1 else f"the central {share:g} of the sides" for share in shares)
    views, fields = preprocessing["views"], ", ".join(document["metadata"]["fields"]) or "none"
    crop = _CROPS[preprocessing.get("crop", "none")]
    each = " of each" if len(shares) > 1 else ""
    averaged = f"one view{each}" if views == 1 else f"{views} views{each} averaged"
    return f"{sizes} pixels, of {central} of {crop}; {averaged}; metadata {fields}, each optional"


def _operating_point(document: Mapping[str, Any]) -> str:
    point = document["operating_point"]
    threshold = "none" if point["threshold"] is None else f"{point['threshold']:.4f}"
    return f"{point['positive']} from probability {threshold} on ({point['rule']}, {point['chosen_on']})"


def _training(document: Mapping[str, Any]) -> str:
    data = document["training_data"]
    return f"{data['num_images']} images of {data['num_groups']} groups: {_counts(data['classes'])}"


def _protocol(document: Mapping[str, Any]) -> str:
    if "evaluation" in document:
        return f"trained on all rows; the figures are out of fold, {document['evaluation']['protocol']}, of networks like it"
    return str(document["protocol"] or "trained on all rows but the validation share; not tested")


def _figures(document: Mapping[str, Any]) -> str:
    figures = document["evaluation"]["metrics"].items()
    return ", ".join(
        f"{name} {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}, n {figure['n']})"
        for name, figure in figures
        if figure["value"] is not None
    )


def _prior(document: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{name} {share:.3f}" for name, share in document["prior"]["answered"].items())
    return f"{shares}; for your clinic's give `nevus predict --prevalence`"


def _teacher(document: Mapping[str, Any]) -> str:
    weights = f"weights with SHA-256 {document['teacher_sha256'][:12]}…, trained on the same images"
    distillation = document["recipe"]["training"]["distillation"]
    terms = {"contrast": "CRCKD", "relation": "CRCKD", "prediction": "its predictions"}
    taught = list(dict.fromkeys(words for name, words in terms.items() if distillation[name]))
    started = f"gone on from {weights}" if distillation.get("start") else ""
    distilled = f"distilled ({', '.join(taught)}) from {weights if not started else 'them'}" if taught else ""
    return "; ".join(filter(None, (started, distilled)))


def _software(document: Mapping[str, Any]) -> str:
    made = document["provenance"]
    return ", ".join([f"nevus {made['nevus']}", *(f"{name} {version}" for name, version in made["packages"].items())])


def exported(document: Mapping[str, Any]) -> str:
    """What the gates of a bundle's ONNX file found, for a bundle that holds an exported file instead of its weights."""
    found = document["export"]
    parity = found["parity"]
    words = (
        f"{found['to']}, from weights with SHA-256 {found['weights_sha256'][:12]}…; on {parity['num_images']} photos, metadata "
        f"present, partly and wholly absent, float32 probabilities are within {parity['max_difference']:.2g} of the trained "
        "network's"
    )
    if "int8" not in found:
        return words
    gate = found["int8"]
    figures = " and ".join(
        f"{name} {gate[key]['before']:.4f} to {gate[key]['after']:.4f}"
        for key, name in (("balanced_accuracy", "balanced accuracy"), ("auc", "AUC"))
    )
    whose = " of those it was trained on, which say what int8 costs and not how good it is" if gate.get("trained_on") else ""
    return f"{words}; int8 changes {figures} on {gate['num_images']} photos{whose}, and {gate['decisions_changed']} decisions"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'not stated'} {count}" for name, count in counts.items())


_ROWS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Question": lambda document: _TASKS[document["task"]],
    "Classes": _classes,
    "Network": _network,
    "Input": _input,
    "Operating point": _operating_point,
    "Decides": lambda document: _DECIDES[document["decisions"]] if len(document["classes"]) > 2 else "",
    "Temperature": lambda document: f"{document['temperature']:.3f}, fitted on {document['operating_point']['chosen_on']}",
    "Trained on": _training,
    "Data sets": lambda document: _counts(document["training_data"]["datasets"]),
    "Image licences": lambda document: _counts(document["training_data"]["licences"]),
    "Protocol": _protocol,
    "Figures": _figures,
    "Command": lambda document: f"`{document['provenance']['command']}`",
    "Commit": lambda document: document["provenance"]["commit"] or "not from a checkout",
    "Software": _software,
    "Date": lambda document: document["provenance"]["date"],
    "Exported": exported,
    "Started from": lambda document: (
        f"the backbone of {document['started_from']['name']}, weights with SHA-256 "
        f"{document['started_from']['weights_sha256'][:12]}…, trained on {', '.join(document['started_from']['datasets'])}"
    ),
    "Teacher": _teacher,
    "Shares the answers belong to": _prior,
}
