"""One self-contained HTML page from one or several run folders: no script, no request, light, dark and on paper."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from nevus import files as disk
from nevus.errors import DataError
from nevus.reports.calibration import calibration
from nevus.reports.charts import curves, learning_curves
from nevus.reports.decision import decision
from nevus.reports.headline import headline
from nevus.reports.markup import Html, element, join, listing, section
from nevus.reports.material import folds, material
from nevus.reports.methods import methods
from nevus.reports.mistakes import mistakes
from nevus.reports.performance import all_figures, by_class, confusion
from nevus.reports.run import Run
from nevus.reports.side_by_side import adjacent, side_by_side
from nevus.reports.wording import badge

NOTICE = " These figures describe software on past photographs, not a person, and it is not an approved medical device."
TITLES = {
    "data": "The data",
    "folds": "The folds",
    "learning": "Learning curves",
    "curves": "Discrimination",
    "decision": "What threshold",
    "calibration": "Calibration",
    "decisions": "Decisions and figures",
    "mistakes": "The worst mistakes",
    "methods": "Methods and provenance",
}


def write_report(runs: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """Write the report of one or several run folders to `out` and return its path.

    Parameters
    ----------
    runs
        Run folders, each with `evaluation.json` and `predictions.csv`. Folds, logs, manifest and images are shown where they
        are still at hand; the page says what is not.
    out
        The HTML file to write, or a folder to write `report.html` into.
    title
        The page's title, "Evaluation report" by default.

    Raises
    ------
    DataError
        No run is given, or one has no readable `evaluation.json` or `predictions.csv`.

    Examples
    --------
    >>> write_report([Path("runs/zoome")], Path("runs/zoome/report.html"))  # doctest: +SKIP
    """
    if not runs:
        raise DataError("No run to report on. Give at least one run folder.")
    out = out / "report.html" if out.is_dir() else out
    read = adjacent([Run.read(folder, f"run-{index}") for index, folder in enumerate(runs, start=1)])
    disk.write(out, page(read, title or "Evaluation report"))
    return out


def page(runs: Sequence[Run], title: str) -> str:
    """The page's HTML."""
    shown: dict[str, str] = {}
    parts = [section("side-by-side", "Side by side", side_by_side(runs), level=2)] if len(runs) > 1 else []
    for run in runs:
        manifest = str(run.provenance.get("manifest_sha256") or run.anchor)
        parts.append(_run(run, shown.get(manifest, "")))
        shown.setdefault(manifest, run.anchor)
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title}: {', '.join(run.title for run in runs)}"),
        element("style", Html(files("nevus.reports").joinpath("page.css").read_text(encoding="utf-8"))),
    ]
    notice = element("p", element("strong", "Not for diagnosis."), NOTICE, class_="notice", role="note")
    body = [
        element("a", "Skip to the figures", href="#main", class_="skip"),
        element("header", element("p", "nevus", class_="kicker"), element("h1", title), notice),
        _contents(runs),
        element("main", *parts, id="main", tabindex="-1"),
    ]
    return "<!DOCTYPE html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _run(run: Run, pictures_in: str) -> Html:
    protocol = element("span", run.protocol, class_="protocol-name")
    heading = element("h2", run.name, " ", protocol, " ", badge(run.evaluation["optimistic"]), id=run.anchor)
    content = {
        "data": material(run, pictures_in),
        "folds": folds(run),
        "learning": learning_curves(run),
        "curves": curves(run),
        "decision": decision(run),
        "calibration": calibration(run),
        "decisions": join([confusion(run), by_class(run), all_figures(run)]),
        "mistakes": mistakes(run),
        "methods": methods(run),
    }
    sections = [section(f"{run.anchor}-{name}", TITLES[name], part) for name, part in content.items()]
    return element("section", heading, headline(run), *sections, aria_labelledby=run.anchor, class_="run")


def _contents(runs: Sequence[Run]) -> Html:
    if len(runs) == 1:
        links = [element("a", title, href=f"#{runs[0].anchor}-{name}") for name, title in TITLES.items()]
    else:
        named = [join([element("a", run.title, href=f"#{run.anchor}"), " ", badge(run.evaluation["optimistic"])]) for run in runs]
        links = [element("a", "Side by side", href="#side-by-side"), *named]
    return element("nav", listing(links), aria_label="Contents")
