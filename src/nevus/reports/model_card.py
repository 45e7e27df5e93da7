"""The model card of a run, after Mitchell et al. (2019): generated from what the run recorded, with Hugging Face's header.

A bundle's own card (training/card.py) says what is in the file; this one says what was measured, and on whom.
"""

import json
from collections.abc import Callable
from typing import Any

from nevus.reports import data_account as data
from nevus.reports import model_account as model
from nevus.reports import result_account as result
from nevus.reports.headline import asked, shown_as
from nevus.reports.markdown import markdown
from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.run import Run
from nevus.reports.sections import SECTIONS
from nevus.reports.wording import METRICS, class_name, metric

# As https://huggingface.co/docs/hub/repositories-licenses calls them.
_LICENCES = ("cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc-by-nc-sa-4.0")
_ALIASES = {"cc-0": "cc0-1.0", "cc-by": "cc-by-4.0", "cc-by-nc": "cc-by-nc-4.0"}
_TYPES = {"auc": "roc_auc", "macro_auc": "roc_auc"}
_TAGS = ("dermoscopy", "skin-lesion", "melanoma", "image-classification", "research-only", "not-for-diagnosis")
# The page's sections that are the card's quantitative analyses, as far as the run has them.
_ANALYSES = ("performance", "decision", "calibration", "subgroups", "conformal", "abstention", "robustness")
_USES = (
    "Research: to compare methods on the same images, and to study where this one errs.",
    "Users: researchers and engineers who read the figures below with their intervals.",
)
_OUT_OF_SCOPE = (
    "Photographs that are not dermoscopy of one lesion: phone photographs, whole limbs, mucosa, nails, unless they were tested.",
    "Diagnoses other than the classes above: every image gets one of them, whatever it shows.",
    "Patients, cameras and clinics unlike those of the data below, before it was tested on them.",
)


def model_card(run: Run) -> str:
    """The card of a run as Markdown.

    Parameters
    ----------
    run
        A run, as `Run.read` reads it.
    """
    return f"---\n{_header(run)}\n---\n\n{markdown(_body(run))}"


def _header(run: Run) -> str:
    """YAML, each value written as JSON, which is YAML too."""
    licences = sorted({_licence(name) for name in run.images["license"]}) if "license" in run.images else []
    known = len(licences) == 1 and licences[0] in _LICENCES
    datasets = sorted(set(run.images["dataset"])) if "dataset" in run.images else []
    values: dict[str, Any] = {
        "library_name": "nevus",
        "pipeline_tag": "image-classification",
        "license": licences[0] if known else "other",
        **({} if known else {"license_name": "as-the-training-images"}),
        "tags": list(_TAGS),
        "datasets": datasets,
        "metrics": sorted({_TYPES.get(name, name) for name in _defined(run)}),
        "model-index": [{"name": run.name, "results": [_results(run, datasets)]}],
    }
    return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value != [])


def _results(run: Run, datasets: list[str]) -> dict[str, Any]:
    name = " and ".join(datasets) or "not recorded"
    return {
        "task": {"type": "image-classification", "name": asked(run)},
        "dataset": {"type": name, "name": name, "split": f"out of fold, protocol {run.protocol}"},
        "metrics": [
            {
                "type": _TYPES.get(name, name),
                "name": f"{metric(name)}, {result.plain(figure)}",
                "value": round(figure["value"], 4),
            }
            for name, figure in _defined(run).items()
        ],
    }


def _body(run: Run) -> Html:
    sections: dict[str, Callable[[Run], Html]] = {
        "Model details": _details,
        "Intended use": _use,
        "Factors": _factors,
        "Metrics": _metrics,
        "Evaluation data": _evaluation_data,
        "Training data": _training_data,
        "Quantitative analyses": _analyses,
        "Ethical considerations": _ethics,
        "Caveats and recommendations": lambda run: listing(result.limits(run)),
    }
    notice = element("p", element("strong", "Not for diagnosis."), " ", result.NOT_INTENDED)
    parts = [join([element("h2", title), make(run)]) for title, make in sections.items()]
    return join([element("h1", f"Model card: {run.title}"), notice, *parts])


def _details(run: Run) -> Html:
    rows = {
        "Question": asked(run),
        "Classes": ", ".join(f"{name} ({class_name(name)})" for name in run.evaluation["classes"]),
        "Inputs": data.predictors(run),
        "Network": model.network(run),
        "First weights": model.initialisation(run),
        "Training": model.training(run),
        "Selection": model.selection(run),
        "Averaging": model.ensembling(run),
        "Files": model.specification(run),
        "Software": model.software(run),
        "Code": model.code(run),
        "Date": str(run.provenance.get("date") or ""),
    }
    known = [(name, words) for name, words in rows.items() if words]
    unknown = [name for name, words in rows.items() if not words]
    note = [element("p", f"Not recorded: {', '.join(unknown)}.")] if unknown else []
    return join([table("The model", ("What", "Recorded"), known, kind="words"), *note])


def _use(run: Run) -> Html:
    return join([listing(_USES), element("h3", "Out of scope"), listing([result.NOT_INTENDED, *_OUT_OF_SCOPE])])


def _factors(run: Run) -> Html:
    skin = "skin_type" in run.images and bool((run.images["skin_type"].fillna("") != "").any())
    words = [
        data.characteristics(run),
        "" if skin else "Skin type is not known in these data: nothing is said about any skin type.",
    ]
    return _paragraphs(*words)


def _metrics(run: Run) -> Html:
    return _paragraphs(result.measures(run), result.intervals(run), result.output(run), model.imbalance(run))


def _evaluation_data(run: Run) -> Html:
    return _paragraphs(data.sources(run), data.flow(run), data.partitions(run), data.disjointness(run), data.preprocessing(run))


def _training_data(run: Run) -> Html:
    return _paragraphs(data.training_against_test(run), data.analyses(run), data.missing_data(run), data.licences(run))


def _analyses(run: Run) -> Html:
    parts = [(SECTIONS[name][0], SECTIONS[name][1](run)) for name in _ANALYSES if name in SECTIONS]
    return join([join([element("h3", title), part]) for title, part in parts if part])


def _ethics(run: Run) -> Html:
    document, missed = run.evaluation, ""
    matrix, positive = document["confusion"], document["positive"]
    if matrix and positive:
        row = dict(zip(matrix["classes"], matrix["matrix"][matrix["classes"].index(positive)], strict=True))
        num_missed = sum(row.values()) - row[positive]
        missed = f"Of {sum(row.values()):,} images that show {shown_as(positive)}, {num_missed:,} were called something else."
    licences = "Its images are photographs of people; the weights may be used as the licences of these images allow."
    return _paragraphs(licences, data.licences(run), missed, result.fairness(run) or "Subgroups were not measured in this run.")


def _paragraphs(*words: str) -> Html:
    return join([element("p", text) for text in words if text]) or element("p", "Not recorded.")


def _defined(run: Run) -> dict[str, Any]:
    return {name: figure for name, figure in run.evaluation["metrics"].items() if name in METRICS and figure["value"] is not None}


def _licence(name: str) -> str:
    """The Hub's name of a licence.

    >>> _licence("CC BY-NC 4.0"), _licence("CC-0"), _licence("")
    ('cc-by-nc-4.0', 'cc0-1.0', 'not stated')
    """
    known = name.lower().replace(" ", "-")
    return _ALIASES.get(known, known) or "not stated"
