"""What a run can say of its data, a subject a function: a sentence or more, or nothing where it was not recorded.

The checklists and the model card are made of these, so each is true of any run: our networks, baselines, other programs.
"""

from typing import Any

import pandas as pd

from nevus.reports.headline import asked, protocol_words, shown_as, tested_on
from nevus.reports.markdown import markdown
from nevus.reports.material import leak
from nevus.reports.run import Run
from nevus.reports.wording import class_name, count

COLUMNS = {"age_years": "age", "sex": "sex", "site": "body site"}
_CUT = {"none": "the whole photograph is used", "mask": "the photograph is cut to the lesion's mask"}
_CUT_FROM = {"none": "the photograph", "mask": "what the lesion's mask leaves of it"}


def setting(run: Run, path: str, default: Any = None) -> Any:
    """A value of the recorded recipe, as `setting(run, "data.size")`, or the default where there is none."""
    value: Any = run.recipe
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return default if value is None else value


def is_network(run: Run) -> bool:
    """Whether the record is that of a network that was trained: baselines and other programs have another or none."""
    return setting(run, "training.epochs") is not None and setting(run, "model.attention.kind") is not None


def sources(run: Run) -> str:
    """Data sets and their images."""
    if "dataset" not in run.images:
        return ""
    tested = _tested(run)["dataset"].value_counts()
    parts = [
        f"{name} ({count(int(number), 'image')}, {tested.get(name, 0):,} of them tested)"
        for name, number in run.images["dataset"].value_counts().items()
    ]
    return f"Data sets: {', '.join(parts)}."


def licences(run: Run) -> str:
    """Licences of the images, and who must be named."""
    if not {"license", "attribution"} <= set(run.images):
        return ""
    named = sorted(set(run.images["attribution"]) - {""})
    shown = "; ".join(named[:5]) + (f"; and {len(named) - 5:,} more" if len(named) > 5 else "")
    return f"Licences: {_counted(run.images['license'].replace('', 'not stated'))}. Attribution: {shown or 'not stated'}."


def outcome(run: Run) -> str:
    """What is asked, and that the truth is the data set's."""
    return f"{asked(run)} The truth is the diagnosis that the data set states."


def predictors(run: Run) -> str:
    """The photograph, and which of age, sex and site."""
    fields = setting(run, "data.metadata")
    if fields is None:
        return ""
    image = "" if setting(run, "training.inputs") == "metadata" else "one dermoscopy photograph"
    inputs = " and ".join(part for part in (image, ", ".join(fields)) if part)
    return f"Inputs: {inputs}." + (" Each of the latter may be missing." if fields and is_network(run) else "")


def missing_data(run: Run) -> str:
    """How many values are missing among the tested images, and what was done about it."""
    tested = _tested(run)
    known = [column for column in COLUMNS if column in tested]
    if not known:
        return ""
    parts = [f"{COLUMNS[column]} of {_missing(tested[column]):,}" for column in known]
    words = f"Not known among {count(len(tested), 'tested image')}: {', '.join(parts)}."
    if is_network(run) and setting(run, "data.metadata"):
        share = setting(run, "training.metadata_dropout", 0)
        words += " Missing is a value of its own to the network; nothing is imputed."
        words += f" In training each field was left out with probability {share:g}." if share else ""
    return words + (f" {unreadable}" if (unreadable := _unreadable(run)) else "")


def exclusions(run: Run) -> str:
    """Which rows of the manifest were left out: what can be counted."""
    dropped = "Rows without age were dropped, as the protocol says." if run.protocol == "paper-2022" else ""
    return " ".join(part for part in (dropped, _unreadable(run)) if part)


def preprocessing(run: Run) -> str:
    """How a photograph becomes the network's input: the same for every image."""
    size = setting(run, "data.size")
    if size is None or not is_network(run):
        return ""
    return (
        f"Every photograph is treated alike: turned upright, {_part(run)}, shrunk by area averaging, stretched to {size} × "
        f"{size} pixels and normalised by fixed means and deviations. {_unreadable(run) or 'Every photograph could be read.'}"
    )


def crops(run: Run) -> str:
    """Which part of an image is used."""
    return f"{_part(run).capitalize()}." if is_network(run) else ""


def _part(run: Run) -> str:
    crop, shares = setting(run, "data.crop", "none"), setting(run, "data.central", (1.0,))
    if min(shares) == 1:
        return str(_CUT[crop])
    parts = " and ".join("the whole" if share == 1 else f"the central {share:g} of the sides" for share in shares)
    return f"of {_CUT_FROM[crop]} {parts} {'is' if len(shares) == 1 else 'are'} used"


def partitions(run: Run) -> str:
    """The protocol in words, and the folds."""
    folds = count(len(run.evaluation["per_fold"]), "fold")
    return f"{_plain(protocol_words(run.evaluation['protocol']))} Tested here: {folds}." if run.evaluation["protocol"] else ""


def disjointness(run: Run) -> str:
    """Whether a group lies in two folds, as counted now."""
    words = leak(run.images)
    return "" if "cannot be checked" in words else words


def size(run: Run) -> str:
    """How many images and positives stand behind the figures."""
    return f"{tested_on(run)} {_positives(run)}".strip()


def flow(run: Run) -> str:
    """Images, with and without the outcome, in training and test."""
    counts = run.predictions.test["target"].value_counts()
    shown = ", ".join(f"{class_name(name)} {counts.get(name, 0):,}" for name in run.evaluation["classes"])
    return f"{tested_on(run)} By class: {shown}."


def analyses(run: Run) -> str:
    """Images tested, and those that chose the epoch, the temperature and the threshold."""
    chosen = run.predictions.validation.groupby("fold").size()
    if chosen.empty:
        return flow(run)
    few, many = int(chosen.min()), int(chosen.max())
    spread = count(few, "image") if few == many else f"{few:,} to {count(many, 'image')}"
    return f"{flow(run)} Validation, of each fold: {spread}."


def characteristics(run: Run) -> str:
    """Age and sex of those tested, where known."""
    tested, parts = _tested(run), []
    if "age_years" in tested and (ages := pd.to_numeric(tested["age_years"], errors="coerce").dropna()).size:
        low, middle, high = ages.quantile([0.25, 0.5, 0.75])
        parts.append(f"median age {middle:g} years (quartiles {low:g} and {high:g})")
    if "sex" in tested and (sexes := tested["sex"][tested["sex"].fillna("") != ""].value_counts()).size:
        parts.append(", ".join(f"{name} {number:,}" for name, number in sexes.items()))
    return f"Tested images: {'; '.join(parts)}. {missing_data(run)}" if parts else ""


def training_against_test(run: Run) -> str:
    """Both come from one manifest."""
    if not run.provenance.get("manifest") or run.evaluation["protocol"] is None:
        return ""
    return (
        "Training and test images come from one manifest: same sources, criteria, outcome and inputs; they differ by the split."
    )


def _counted(values: pd.Series) -> str:
    return ", ".join(f"{name} ({count(int(number), 'image')})" for name, number in values.value_counts().items())


def _tested(run: Run) -> pd.DataFrame:
    return run.images[run.images["image_id"].isin(run.predictions.test["image_id"])]


def _missing(values: pd.Series) -> int:
    return int((values.isna() | (values.astype(str) == "")).sum())


def _unreadable(run: Run) -> str:
    num_unreadable = len(run.provenance.get("unreadable") or ())
    return (
        f"{count(num_unreadable, 'photograph')} could not be read and {'was' if num_unreadable == 1 else 'were'} left out."
        if num_unreadable
        else ""
    )


def _positives(run: Run) -> str:
    positive = run.evaluation["positive"]
    if positive is None:
        return ""
    num_positive = int((run.predictions.test["target"] == positive).sum())
    return f"{num_positive:,} of them show {shown_as(positive)}."


def _plain(markup: str) -> str:
    return markdown(markup).replace("**", "").strip()
