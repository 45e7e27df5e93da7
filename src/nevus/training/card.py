"""The model card, generated from what the bundle says; nothing in it is typed by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

_CROPS = {"none": "of the whole photo", "mask": "of the lesion **by its mask, without which this model gives no answer**"}


def model_card(document: Mapping[str, Any]) -> str:
    """The README.md of a bundle as Markdown.

    Parameters
    ----------
    document
        The bundle's document, as `Bundle.write` takes it.
    """
    data, point, recipe = document["training_data"], document["operating_point"], document["recipe"]
    made, preprocessing = document["provenance"], document["preprocessing"]
    threshold = "none" if point["threshold"] is None else f"{point['threshold']:.4f}"
    protocol = document["protocol"]
    rows = {
        "Question": {"malignant": "malignant or benign", "diagnosis": "which diagnosis"}[document["task"]],
        "Classes": ", ".join(document["classes"]),
        "Network": f"{recipe['model']['backbone']}, attention {recipe['model']['attention']['kind']}, "
        f"fusion {recipe['model']['fusion']['kind']}, pretrained weights: {recipe['model']['pretrained']}",
        "Input": " and ".join(f"{side} x {side}" for side in (preprocessing["size"], *preprocessing["resolutions"])) + " pixels, "
        f"{_CROPS[preprocessing['crop']]}, {preprocessing['views']} views averaged; "
        f"metadata {', '.join(recipe['data']['metadata']) or 'none'}, each optional",
        "Operating point": f"{point['positive']} from probability {threshold} on ({point['rule']}, {point['chosen_on']})",
        "Temperature": f"{document['temperature']:.3f}, fitted on the validation images",
        "Trained on": f"{data['num_images']} images of {data['num_groups']} groups: "
        + ", ".join(f"{name} {count}" for name, count in data["classes"].items()),
        "Data sets": ", ".join(f"{name} {count}" for name, count in data["datasets"].items()),
        "Image licences": ", ".join(f"{name or 'not stated'} {count}" for name, count in data["licences"].items()),
        "Protocol": protocol or "trained on all rows but the validation share; not tested",
        "Command": f"`{made['command']}`",
        "Commit": made["commit"] or "not from a checkout",
        "Date": made["date"],
    }
    if "teacher_sha256" in document:
        rows["Teacher"] = (
            f"distilled (CRCKD) from weights with SHA-256 {document['teacher_sha256'][:12]}…, trained on the same images"
        )
    if "prior" in document:
        shares = ", ".join(f"{name} {share:.3f}" for name, share in document["prior"]["answered"].items())
        rows["Shares the answers belong to"] = f"{shares}; for your clinic's give `nevus predict --prevalence`"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    credits = "\n".join(f"- {text}" for text in data["attributions"])
    return f"""# {document["name"]}

A skin-lesion classifier for dermoscopy images, made by nevus. **Not a medical device and not for diagnosis.**
Where its training images are licensed for non-commercial use, so are these weights.

| | |
|---|---|
{table}

What was measured, and on whom, stands in the model card that `nevus report` writes into the run's folder.

Metadata may be given in any part or not at all. The probabilities are those of the training data's class mix as the loss
weighted it; they were calibrated with one temperature on validation images, not on your patients.
{_operating_points(document.get("operating_points") or [], point["positive"])}
## Image credits

{credits or "None stated in the manifest."}
"""


def _operating_points(points: Sequence[Mapping[str, Any]], positive: str | None) -> str:
    """The thresholds that `nevus predict --operating-point` can choose among."""
    if not points:
        return ""
    on = f"{points[0]['num_positives']} positive and {points[0]['num_negatives']} negative"
    keys = ("threshold", "sensitivity", "specificity")
    lines = [" | ".join(["", point["rule"], *(f"{point[key]:.4f}" for key in keys), ""]).strip() for point in points]
    table = "\n".join(["| rule | threshold | sensitivity | specificity |", "|---|---|---|---|", *lines])
    return f"""
## Operating points

Each is a threshold on the probability of {positive}; choose one with `nevus predict --operating-point RULE`. Sensitivity and
specificity are those of the validation images it was chosen on, {on}: expect less of new images.

{table}
"""
