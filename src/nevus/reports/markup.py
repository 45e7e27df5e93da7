"""HTML that is safe by construction: text is escaped unless it is `Html`, and only these functions make `Html`."""

import html
from collections.abc import Iterable, Sequence
from typing import final

VOID = ("img", "meta")


@final
class Html(str):
    """Markup that is already escaped; an f-string of it is plain text again, and is escaped again."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Escape text; `Html` is returned as it is.

    >>> escape("a < b"), escape(Html("<b>"))
    ('a &lt; b', '<b>')
    """
    return text if isinstance(text, Html) else Html(html.escape(text))


def join(parts: Iterable[str], separator: str = "") -> Html:
    """Concatenate markup and text, the text escaped."""
    return Html(separator.join(escape(part) for part in parts))


def element(tag: str, *children: str, **attributes: str | None) -> Html:
    """An element with escaped children and attributes; None leaves an attribute out.

    Python's names become HTML's: a trailing underscore goes, the others become hyphens.

    >>> element("p", "5 < 6", class_="note", aria_label=None)
    '<p class="note">5 &lt; 6</p>'
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    opening = "".join(f' {name}="{html.escape(value)}"' for name, value in named.items())
    return Html(f"<{tag}{opening}>" if tag in VOID else f"<{tag}{opening}>{join(children)}</{tag}>")


def section(anchor: str, title: str, *children: str, level: int = 3) -> Html:
    """A section named by its heading, for the people who move from heading to heading."""
    heading = element(f"h{level}", title, id=anchor)
    return element("section", heading, *children, aria_labelledby=anchor)


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "numbers") -> Html:
    """A table whose first column heads its rows, in a container that scrolls sideways by itself and takes the keyboard's focus.

    `kind` is "numbers" (all but the first column right-aligned) or "words".
    """
    columns = element("tr", *(element("th", cell, scope="col") for cell in header))
    body = join(element("tr", element("th", row[0], scope="row"), *map(_cell, row[1:])) for row in rows)
    inner = element(
        "table", element("caption", element("span", caption)), element("thead", columns), element("tbody", body), class_=kind
    )
    return element("div", inner, class_="scroll", role="group", aria_label=caption, tabindex="0")


def listing(items: Iterable[str], **attributes: str | None) -> Html:
    """A bulleted list; nothing where there are no items."""
    points = [element("li", item) for item in items]
    return element("ul", *points, **attributes) if points else Html()


def folded(summary: str, *children: str) -> Html:
    """What only some readers want: closed at first, opened by a click, a key or printing."""
    return element("details", element("summary", summary), *children)


def bar(share: float) -> Html:
    """A bar of `share` (0 to 1) of its cell's width, beside a number that says the same."""
    return element("span", class_="bar", style=f"--share:{100 * share:.1f}%", aria_hidden="true")


def _cell(content: str) -> Html:
    return content if isinstance(content, Html) and content.startswith("<td") else element("td", content)
