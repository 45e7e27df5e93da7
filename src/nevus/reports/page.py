"""One self-contained HTML page from one or several run folders: no script, no request, light, dark and on paper."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nevus import files as disk
from nevus.errors import DataError
from nevus.reports.document import document as html_document
from nevus.reports.headline import headline
from nevus.reports.markdown import markdown
from nevus.reports.markup import Html, element, folded, join, listing, section
from nevus.reports.model_card import model_card
from nevus.reports.pictures import within
from nevus.reports.run import Run
from nevus.reports.sections import sections
from nevus.reports.side_by_side import adjacent, side_by_side
from nevus.reports.wording import badge

NOTICE = " These figures describe software on past photographs, not a person, and it is not an approved medical device."
CARD = "model-card.md"
MAX_BYTES = 4_900_000


def write_report(runs: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """Write the report of one or several run folders to `out`, the same as Markdown beside it, and return `out`.

    Of a single run the model card is written too, as `model-card.md` beside them.

    Parameters
    ----------
    runs
        Run folders, each with `evaluation.json` and `predictions.csv`. Folds, logs, manifest and images are shown where they
        are still at hand; the page says what is not.
    out
        The HTML file to write, or a folder to write `report.html` into. The Markdown has the same name, ending in `.md`.
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
    shown = page(read, title or "Evaluation report")
    disk.write(out, shown)
    disk.write(out.with_suffix(".md"), markdown(shown))
    if len(read) == 1:
        disk.write(out.with_name(CARD), model_card(read[0]))
    return out


def page(runs: Sequence[Run], title: str) -> str:
    """The page's HTML."""
    shown: dict[str, str] = {}
    parts = [section("side-by-side", "Side by side", side_by_side(runs), level=2)] if len(runs) > 1 else []
    contents = [element("a", "Side by side", href="#side-by-side")] if len(runs) > 1 else []
    for run in runs:
        manifest = str(run.provenance.get("manifest_sha256") or run.anchor)
        told = sections(replace(run, pictures_in=shown.get(manifest, "")))
        links = [element("a", heading, href=f"#{run.anchor}-{name}") for name, (heading, _) in told.items()]
        contents += links if len(runs) == 1 else [_entry(run, links)]
        parts.append(_run(run, [part for _, part in told.values()]))
        shown.setdefault(manifest, run.anchor)
    notice = element("p", element("strong", "Not for diagnosis."), NOTICE, class_="notice", role="note")
    main, left_out = within(element("main", *parts, id="main", tabindex="-1"), MAX_BYTES)
    back = element("a", "Contents", href="#contents", class_="back")
    body = [
        element("a", "Skip to the figures", href="#main", class_="skip"),
        element("header", element("p", "nevus", class_="kicker"), element("h1", title), notice, left_out),
        element("nav", listing(contents), back, aria_label="Contents", id="contents"),
        main,
    ]
    return html_document(f"{title}: {', '.join(run.title for run in runs)}", body)


def _run(run: Run, parts: Sequence[Html]) -> Html:
    protocol = element("span", run.protocol, class_="protocol-name")
    heading = element("h2", run.name, " ", protocol, " ", badge(run.evaluation["optimistic"]), id=run.anchor)
    return element("section", heading, headline(run), *parts, aria_labelledby=run.anchor, class_="run")


def _entry(run: Run, links: Sequence[Html]) -> Html:
    """A run among several in the contents: a link to it, and its sections folded away."""
    named = [element("a", run.title, href=f"#{run.anchor}"), " ", badge(run.evaluation["optimistic"])]
    return join([*named, folded("its sections", listing(links))])
