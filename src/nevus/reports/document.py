"""The one frame of every page: its head, its style, its language."""

from collections.abc import Iterable
from importlib.resources import files

from nevus.reports.markup import Html, element


def document(title: str, body: Iterable[str]) -> str:
    """A whole page, self-contained.

    >>> document("A & B", ["text"]).startswith("<!DOCTYPE html>")
    True
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(files("nevus.reports").joinpath("page.css").read_text(encoding="utf-8"))),
    ]
    return "<!DOCTYPE html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"
