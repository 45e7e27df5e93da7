"""The page's content as Markdown: made from the same markup, so that the two can never disagree."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

from nevus.reports.markup import VOID

_SPACE = re.compile(r"\s+")
# What only a browser needs.
_HIDDEN = ("head", "style", "nav")
_BLOCKS = ("p", "ul", "dl", "div", "section", "table", "figure", "details", "pre", "header", "main", "body", "html")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


def markdown(markup: str) -> str:
    """Markup as GitHub's Markdown: headings, paragraphs, lists and tables; a picture becomes its words, what is folded is shown.

    Parameters
    ----------
    markup
        A page or a part of one, as `markup.element` makes it. Links inside the page become plain text.

    Examples
    --------
    >>> from nevus.reports.markup import element, join, table
    >>> print(markdown(join([element("h2", "Figures"), table("AUC", ("Run", "Value"), [("a", "0.9")])])))
    ## Figures
    <BLANKLINE>
    **AUC**
    <BLANKLINE>
    | Run | Value |
    | --- | --- |
    | a | 0.9 |
    <BLANKLINE>
    """
    parser = _Parser()
    parser.feed(markup)
    parser.close()
    return "\n\n".join(_blocks(parser.root)) + "\n"


@dataclass
class _Node:
    tag: str
    attributes: dict[str, str]
    children: "list[_Node | str]" = field(default_factory=list)

    def all(self, *tags: str) -> "list[_Node]":
        """The nodes of these tags in it, in order, however deep."""
        nodes = [child for child in self.children if isinstance(child, _Node)]
        return [found for node in nodes for found in ([node] if node.tag in tags else node.all(*tags))]

    @property
    def hidden(self) -> bool:
        """Whether a reader of text is not to see it."""
        return self.tag in _HIDDEN or self.attributes.get("aria-hidden") == "true" or self.attributes.get("class") == "skip"


class _Parser(HTMLParser):
    """Markup as a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.root = _Node("body", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = _Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def _blocks(node: _Node) -> list[str]:
    """The blocks of a node's children; loose text between blocks is a paragraph."""
    blocks, loose = [], _Node("p", {})
    for child in [*node.children, _Node("p", {})]:
        if isinstance(child, str) or (child.tag not in _RENDER and not _holds_blocks(child)):
            loose.children.append(child)
            continue
        blocks += [text for text in (_paragraph(loose),) if text]
        loose = _Node("p", {})
        if not child.hidden:
            blocks += [text for text in _RENDER.get(child.tag, _blocks)(child) if text]
    return blocks


def _holds_blocks(node: _Node) -> bool:
    return node.tag in _BLOCKS and bool(node.all(*_BLOCKS, *_HEADINGS))


def _paragraph(node: _Node) -> str:
    """Its text, which no first character turns into a heading, a list or a quotation."""
    return re.sub(r"^([#>+-]|\d+(?=\. ))", r"\\\1", _inline(node))


def _heading(node: _Node) -> list[str]:
    return [f"{'#' * int(node.tag[1])} {_inline(node)}"]


def _list(node: _Node) -> list[str]:
    return ["\n".join(f"- {_inline(item)}" for item in node.all("li"))]


def _terms(node: _Node) -> list[str]:
    """A list of terms: the term in bold, then what is said of it."""
    lines: list[str] = []
    for part in node.all("dt", "dd"):
        if part.tag == "dt":
            lines.append(f"- **{_inline(part)}:**")
        else:
            lines[-1] += f" {_inline(part)}"
    return ["\n".join(lines)]


def _table(node: _Node) -> list[str]:
    caption = " ".join(_inline(part) for part in node.all("caption"))
    rows = [[_cell(cell) for cell in row.all("th", "td")] for row in node.all("tr")]
    # A column of bars has no words.
    kept = [column for column in range(max(map(len, rows))) if any(row[column : column + 1] != [""] for row in rows)]
    lines = [f"| {' | '.join(row[column] for column in kept if column < len(row))} |" for row in rows]
    return [f"**{caption}**" if caption else "", "\n".join([lines[0], "|" + " --- |" * len(kept), *lines[1:]])]


def _cell(node: _Node) -> str:
    return _inline(node).replace("|", "\\|")


def _figure(node: _Node) -> list[str]:
    """A picture's words and its caption."""
    label = _picture(node)
    caption = " ".join(_inline(part) for part in node.all("figcaption"))
    return [f"*Figure: {' '.join(part for part in (label, caption) if part)}*"]


def _picture(node: _Node) -> str:
    words = [part.attributes.get("alt") or part.attributes.get("aria-label", "") for part in node.all("img", "svg", "span")]
    return next((_escape(text).rstrip(".") + "." for text in words if text), "")


def _details(node: _Node) -> list[str]:
    summary = node.all("summary")[0]
    rest = _Node("div", {}, [child for child in node.children if child is not summary])
    return [f"**{_inline(summary)}**", *_blocks(rest)]


def _code(node: _Node) -> list[str]:
    return [f"```\n{_text(node)}\n```"]


def _text(node: _Node) -> str:
    return "".join(child if isinstance(child, str) else _text(child) for child in node.children)


def _inline(node: _Node) -> str:
    """A node's text in one line, with strong text, code and links to other pages marked."""
    return _SPACE.sub(" ", "".join(_pieces(node.children))).strip()


def _pieces(children: "Iterable[_Node | str]") -> Iterable[str]:
    for child in children:
        if isinstance(child, str):
            yield _escape(child)
        elif not child.hidden:
            text = _text(child) if child.tag == "code" else "".join(_pieces(child.children))
            yield _marked(child, text)


def _marked(node: _Node, text: str) -> str:
    bare, href = text.strip(), node.attributes.get("href", "")
    if bare and (node.tag == "strong" or node.attributes.get("class") == "badge"):
        return text.replace(bare, f"**{bare}**")
    if bare and node.tag == "code":
        return f"`` {bare} ``" if "`" in bare else f"`{bare}`"
    if node.tag == "a" and href.startswith("https://"):
        return f"[{bare}]({href})"
    # On the page these stand below or beside each other by style alone.
    return f" {text} " if node.tag in (*_BLOCKS, "span", "dd") and "interval" not in node.attributes.get("class", "") else text


def _escape(text: str) -> str:
    """Text that Markdown leaves as it is."""
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*$]|(?<=\])\()", r"\\\1", text)


_RENDER: dict[str, Callable[[_Node], list[str]]] = {
    **dict.fromkeys(_HEADINGS, _heading),
    **dict.fromkeys(_HIDDEN, lambda node: []),
    "p": lambda node: [_paragraph(node)],
    "ul": _list,
    "dl": _terms,
    "table": _table,
    "figure": _figure,
    "details": _details,
    "pre": _code,
}
