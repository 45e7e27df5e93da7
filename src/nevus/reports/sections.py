"""What a page says of a run, in the order it is read: a section is its title and the function that makes it."""

from collections.abc import Callable

from nevus.reports.abstention import abstention
from nevus.reports.calibration import calibration
from nevus.reports.charts import discrimination, learning_curves
from nevus.reports.checklist import checklist
from nevus.reports.conformal import conformal
from nevus.reports.decision import decision
from nevus.reports.markup import Html, join, section
from nevus.reports.material import folds, material
from nevus.reports.methods import methods
from nevus.reports.mistakes import mistakes
from nevus.reports.novelty import novelty
from nevus.reports.performance import all_figures, by_class, confusion
from nevus.reports.robustness import robustness
from nevus.reports.run import Run
from nevus.reports.subgroups import subgroups
from nevus.reports.views import views


def performance(run: Run) -> Html:
    """Decision against truth, each class, and every figure."""
    return join([confusion(run), by_class(run), all_figures(run)])


# A function that returns nothing has nothing to say of this run: its section is left out.
SECTIONS: dict[str, tuple[str, Callable[[Run], Html]]] = {
    "data": ("The data", material),
    "folds": ("The folds", folds),
    "learning": ("Learning curves", learning_curves),
    "discrimination": ("Discrimination", discrimination),
    "calibration": ("Calibration", calibration),
    "decision": ("What threshold", decision),
    "performance": ("Decisions and figures", performance),
    "subgroups": ("For whom it holds", subgroups),
    "conformal": ("Sets of answers", conformal),
    "abstention": ("When not to answer", abstention),
    "novelty": ("Images unlike its own", novelty),
    "robustness": ("When images or metadata are worse", robustness),
    "views": ("Several views of a photograph", views),
    "mistakes": ("The worst mistakes", mistakes),
    "methods": ("Methods and provenance", methods),
    "checklist": ("Reporting checklists", checklist),
}


def sections(run: Run) -> dict[str, tuple[str, Html]]:
    """Each section that has something to say: its title and its markup, by name."""
    made = {name: (title, function(run)) for name, (title, function) in SECTIONS.items()}
    return {name: (title, section(f"{run.anchor}-{name}", title, part)) for name, (title, part) in made.items() if part}
