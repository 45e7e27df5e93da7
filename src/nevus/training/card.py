"""The model card, generated from what the bundle says; nothing in it is typed by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from nevus.bundle.description import description


def model_card(document: Mapping[str, Any]) -> str:
    """The README.md of a bundle as Markdown.

    Parameters
    ----------
    document
        The bundle's document, as `Bundle.write` takes it.
    """
    data, point = document["training_data"], document["operating_point"]
    table = "\n".join(f"| {name} | {value} |" for name, value in description(document).items())
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
