"""The page of a grid, as Markdown and as one self-contained HTML file."""

from nevus.reports.document import document as html_document
from nevus.reports.markup import Html, element, join, listing, section, table
from nevus.reproduce.tables import Cell, Contents


def markdown(contents: Contents) -> str:
    """The page as Markdown, its footnotes as GitHub writes them."""
    lines = [f"# {contents.title}", "", f"> **{contents.warning}**", ""]
    lines += [f"- {fact}" for fact in contents.facts]
    for block in contents.blocks:
        lines += ["", f"## {_marked(block.title)}", ""]
        lines += [_row([_marked(cell) for cell in block.header]), _row(["---"] * len(block.header))]
        lines += [_row([_marked(cell) for cell in line]) for line in block.lines]
    lines += ["", *(f"[^{number}]: {_flat(text)}\n" for number, text in enumerate(contents.notes, start=1))]
    return "\n".join(lines).rstrip() + "\n"


def html(contents: Contents) -> str:
    """The page as HTML, with the reports' style."""
    warning = element("p", element("strong", contents.warning), class_="notice", role="note")
    links = [element("a", block.title.text, href=f"#{block.anchor}") for block in contents.blocks]
    sections = [
        section(
            block.anchor,
            join([block.title.text, _references(block.title)]),
            table(
                block.title.text, [_cell(cell) for cell in block.header], [[_cell(cell) for cell in line] for line in block.lines]
            ),
            level=2,
        )
        for block in contents.blocks
    ]
    notes = element("ol", *(element("li", text, id=f"note-{number}") for number, text in enumerate(contents.notes, start=1)))
    body = [
        element("a", "Skip to the tables", href="#main", class_="skip"),
        element("header", element("p", "nevus", class_="kicker"), element("h1", contents.title), warning),
        element("nav", listing([*links, element("a", "Notes", href="#notes")]), aria_label="Contents"),
        element(
            "main",
            listing(contents.facts, class_="notes"),
            *sections,
            section("notes", "Notes", notes, level=2),
            id="main",
            tabindex="-1",
        ),
    ]
    return html_document(contents.title, body)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _flat(text: str) -> str:
    """One line without markup: a reason may be an error's message, which has several."""
    return " ".join(text.split()).replace("<", "&lt;")


def _marked(cell: Cell) -> str:
    return _flat(cell.text) + "".join(f"[^{number}]" for number in cell.notes)


def _cell(cell: Cell) -> Html:
    return join([cell.text, _references(cell)])


def _references(cell: Cell) -> Html:
    links = [element("a", str(number), href=f"#note-{number}", aria_label=f"note {number}") for number in cell.notes]
    return element("sup", join(links, " ")) if links else Html()
