"""The model card, generated from what the bundle says; nothing in it is typed by hand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nevus.bundle.description import description

# Names that would promise more than the figure holds.
_NAMES = {"ece": "ECE of the largest probability alone, not of each class's"}
_ACCOUNT = " On whom, by subgroups, and what it is not for: EVALUATION.md."


def model_card(document: Mapping[str, Any]) -> str:
    """The README.md of a bundle as Markdown.

    Parameters
    ----------
    document
        The bundle's document, as `Bundle.write` takes it.
    """
    data, point = document["training_data"], document["operating_point"]
    table = "\n".join(f"| {name} | {value} |" for name, value in description(document).items() if name != "Figures")
    credits = "\n".join(f"- {text}" for text in data["attributions"])
    return f"""# {document["name"]}

A skin-lesion classifier for dermoscopy images, made by nevus. **Not a medical device and not for diagnosis.**
{_licence(data["licences"])}

| | |
|---|---|
{table}

Metadata may be given in any part or not at all. {_belonging(document["prior"]["answered"])}
They were calibrated with one temperature on {point["chosen_on"]}, not on your patients.
{_measured(document)}{_operating_points(document.get("operating_points") or [], point)}
## Image credits

{credits or "None stated in the manifest."}
"""


def _licence(names: Iterable[str]) -> str:
    """What the licences of the training images ask of who uses the weights."""
    if any("NC" in name.upper() for name in names):
        return "Its training images are licensed for non-commercial use, and so are these weights."
    return "The weights may be used as the licences of the training images allow."


def _belonging(shares: Mapping[str, float]) -> str:
    """The class mix that the probabilities are right in, at best."""
    said = ", ".join(f"{share:.1%} are {name}" for name, share in shares.items())
    if max(shares.values()) - min(shares.values()) < 0.001:
        said = "every class is equally common, which is so in no clinic"
    moved = "`nevus predict --prevalence` moves them to the shares that you name."
    return f"The probabilities belong to images of which {said};\n{moved}"


def _measured(document: Mapping[str, Any]) -> str:
    """What cross-validation found, where the bundle is of a recipe that was cross-validated."""
    if "evaluation" not in document:
        return "\nWhat was measured, and on whom, stands in the model card that `nevus report` writes into the run's folder.\n"
    evaluation = document["evaluation"]
    known = {name: figure for name, figure in evaluation["metrics"].items() if figure["value"] is not None}
    rows = [[_NAMES.get(name, name.replace("_", " ")), *_shown(figure)] for name, figure in known.items()]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    note = "optimistic" if evaluation["protocol"] != "strict" else "no group on both sides of a split"
    return f"""
## What was measured

Out of fold, protocol {evaluation["protocol"]} ({note}), of networks of the same recipe, each trained on a fold's worth of images
less; of this very network no image is left to test it on.{_ACCOUNT if evaluation["account"] else ""}

| figure | value | 95% interval | images |
|---|---|---|---|
{lines}
"""


def _shown(figure: Mapping[str, Any]) -> list[str]:
    return [f"{figure['value']:.3f}", f"{figure['low']:.3f} to {figure['high']:.3f}", str(figure["n"])]


def _operating_points(points: Sequence[Mapping[str, Any]], main: Mapping[str, Any]) -> str:
    """The thresholds that `nevus predict --operating-point` can choose among."""
    if not points:
        return ""
    on = f"{points[0]['num_positives']} positive and {points[0]['num_negatives']} negative"
    keys = ("threshold", "sensitivity", "specificity")
    lines = [" | ".join(["", point["rule"], *(f"{point[key]:.4f}" for key in keys), ""]).strip() for point in points]
    table = "\n".join(["| rule | threshold | sensitivity | specificity |", "|---|---|---|---|", *lines])
    return f"""
## Operating points

Each is a threshold on the probability of {main["positive"]}; choose one with `nevus predict --operating-point RULE`.
Sensitivity and specificity are those of the {main["chosen_on"]} it was chosen on, {on}: expect less of new images.

{table}
"""
