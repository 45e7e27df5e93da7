"""The model card of a run, after Mitchell et al. (2019): generated from what the run recorded, with Hugging Face's header.

A bundle's own card (training/card.py) says what is in the file; this one says what was measured, and on whom.
"""

from collections.abc import Callable

from nevus.bundle.card_header import card_header
from nevus.reports import data_account as data
from nevus.reports import model_account as model
from nevus.reports import result_account as result
from nevus.reports.headline import asked, shown_as
from nevus.reports.markdown import markdown
from nevus.reports.markup import Html, element, join, listing, table
from nevus.reports.run import Run
from nevus.reports.sections import SECTIONS
from nevus.reports.wording import METRICS, class_name, metric

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
    return f"{_header(run)}{markdown(_body(run))}"


def _header(run: Run) -> str:
    figures = {
        name: (figure["value"], f"{metric(name)}, {result.plain(figure)}")
        for name, figure in run.evaluation["metrics"].items()
        if name in METRICS and figure["value"] is not None
    }
    return card_header(
        run.name,
        licences=set(run.images["license"]) if "license" in run.images else (),
        datasets=sorted(set(run.images["dataset"])) if "dataset" in run.images else [],
        figures=figures,
        task=asked(run),
        split=f"out of fold, protocol {run.protocol}",
    )


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
