"""Text cannot become markup, whatever it holds."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from nevus.reports.markup import Html, element, escape, join, listing, table


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"))), st.text(alphabet="<>&\"'abc="))
def test_a_parser_gets_back_the_text_and_the_attribute_and_no_further_tag(text: str, attribute: str) -> None:
    reader = _Reader()
    reader.feed(element("p", text, title=attribute))
    reader.close()
    assert reader.tags == ["p"]
    assert reader.attributes == {"title": attribute}
    assert reader.text == text


def test_markup_is_escaped_once_and_formatting_it_makes_it_text_again() -> None:
    bold = element("b", "a & b")
    assert escape(bold) == "<b>a &amp; b</b>"
    assert escape(f"{bold}") == "&lt;b&gt;a &amp;amp; b&lt;/b&gt;"
    assert join([bold, "<"]) == "<b>a &amp; b</b>&lt;"


def test_attributes_take_html_names_and_none_leaves_one_out() -> None:
    assert element("p", class_="note", aria_label="a", id=None) == '<p class="note" aria-label="a"></p>'
    assert element("img", alt="x") == '<img alt="x">'


def test_a_table_heads_its_rows_and_columns_and_can_be_scrolled_by_key() -> None:
    made = table("Caption", ("A", "B"), [("row", "1"), ("row 2", element("td", "2", class_="x"))])
    assert made.count('scope="col"') == 2
    assert made.count('scope="row"') == 2
    assert "<caption><span>Caption</span></caption>" in made
    assert "<td>1</td>" in made
    assert '<td class="x">2</td>' in made
    assert 'tabindex="0"' in made


def test_an_empty_list_is_nothing() -> None:
    assert listing([]) == Html()
