"""The Markdown says what the page says, and nothing in the data turns into markup of its own."""

import html
import re
from pathlib import Path

import pytest
from fabricated_run import TWO, fabricate

from nevus.reports.markdown import markdown
from nevus.reports.markup import Html, element, folded, join, listing, table
from nevus.reports.page import write_report
from nevus.reports.wording import number, with_interval


def test_headings_paragraphs_lists_and_what_is_folded() -> None:
    markup = join(
        [
            element("style", "p { color: red }"),
            element("nav", element("a", "Contents", href="#x")),
            element("h3", "Title"),
            element(
                "p",
                element("strong", "Bold"),
                element("span", " unheard", aria_hidden="true"),
                " and\n   ",
                element("code", "x_y"),
                ".",
            ),
            listing(["one", element("a", "two", href="https://example.org")]),
            folded("More", element("p", "hidden at first")),
            element("pre", element("code", "[data]\nsize = 64")),
        ]
    )
    expected = "### Title\n\n**Bold** and `x_y`.\n\n- one\n- [two](https://example.org)\n\n**More**\n\nhidden at first\n\n"
    assert markdown(markup) == expected + "```\n[data]\nsize = 64\n```\n"


def test_a_table_keeps_every_cell_and_drops_a_column_of_bars() -> None:
    bar = element("td", element("span", class_="bar", aria_hidden="true"))
    figure = with_interval({"value": 0.5, "low": 0.25, "high": 0.75})
    made = markdown(table("A | B", ("Name", "", "Value"), [("a|b", bar, figure), ("c", bar, number(None, "why"))]))
    assert made == "**A | B**\n\n| Name | Value |\n| --- | --- |\n| a\\|b | 0.500 [0.250, 0.750] |\n| c | – |\n"


def test_a_picture_becomes_its_words_and_caption() -> None:
    drawing = element("svg", element("text", "0.0"), role="img", aria_label="ROC: AUC 0.9")
    photograph = element("img", src="data:image/jpeg;base64,AAAA", alt="A nevus")
    for picture, words in ((drawing, "ROC: AUC 0.9"), (photograph, "A nevus")):
        made = markdown(element("div", element("figure", picture, element("figcaption", "By fold.")), class_="figures"))
        assert made == f"*Figure: {words}. By fold.*\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# no heading", "\\# no heading"),
        ("- no item", "\\- no item"),
        ("1. no item", "\\1. no item"),
        ("<script>", "&lt;script>"),
        ("a*b*c `d` $e$", "a\\*b\\*c \\`d\\` \\$e\\$"),
        ("[x](javascript:alert(1))", "[x]\\(javascript:alert(1))"),
    ],
)
def test_text_is_text_and_never_markdown(text: str, shown: str) -> None:
    assert markdown(element("p", text)) == f"{shown}\n"


@pytest.mark.slow
def test_every_number_in_the_pages_tables_is_in_the_markdown_in_its_row(tmp_path: Path) -> None:
    runs = [fabricate(tmp_path / "seven"), fabricate(tmp_path / "two", classes=TWO, name="two", num_images=120)]
    out = write_report(runs, tmp_path / "report.html")
    page, twin = out.read_text(encoding="utf-8"), (tmp_path / "report.md").read_text(encoding="utf-8")
    assert twin == markdown(Html(page))
    lines = [line.replace("\\", "") for line in twin.splitlines() if line.startswith("| ")]
    rows = [row for found in re.findall(r"<table.*?</table>", page, flags=re.DOTALL) for row in found.split("<tr>")[1:]]
    assert len(rows) == len([line for line in lines if not line.startswith("| ---")]) > 100
    shown = iter(line for line in lines if not line.startswith("| ---"))
    for row in rows:
        numbers = re.findall(r"\d(?:[\d,.]*\d)?", html.unescape(re.sub(r"<[^>]+>", " ", row)))
        assert re.findall(r"\d(?:[\d,.]*\d)?", next(shown)) == numbers
