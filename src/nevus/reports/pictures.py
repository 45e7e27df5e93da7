"""Photographs inside the page: small JPEGs as data URIs, or a frame that says why there is none."""

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from nevus.data.images import read_image, shrink
from nevus.errors import DataError
from nevus.reports.markup import Html, element

_PICTURE = re.compile(r'<img src="data:[^"]*" alt="(?P<words>[^"]*)"[^>]*>')


def photograph(root: Path | None, path: str, message: str, caption: Sequence[str], *, side: int) -> Html:
    """A `<figure>` with the image at `root / path`, its short side `side` pixels; `message` is its alternative text."""
    words = element("figcaption", *caption)
    try:
        if root is None or not path:
            raise DataError("the manifest is not at hand")
        image = shrink(read_image(root / path), side)
    except DataError:
        return element("figure", _frame("photograph not available", f"{message} (not available)"), words)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=82, colorspace="RGB", colorsubsampling="420")
    data = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    height, width = image.shape[:2]
    return element("figure", element("img", src=data, alt=message, width=str(width), height=str(height)), words)


def _frame(words: str, message: str) -> Html:
    return element("span", words, class_="gone", role="img", aria_label=message)


def within(markup: Html, max_bytes: int) -> tuple[Html, Html]:
    """The markup with as many of its photographs, from the first on, as `max_bytes` hold, and a note on those left out."""
    pictures = [(match, len(match[0])) for match in _PICTURE.finditer(markup)]
    room = max_bytes - len(markup.encode()) + sum(size for _, size in pictures)
    parts, end, num_left_out = [], 0, 0
    for match, size in pictures:
        if size <= room:
            room -= size
            continue
        room, num_left_out = 0, num_left_out + 1
        parts += [markup[end : match.start()], _frame("left out: see the note above", html.unescape(match["words"]))]
        end = match.end()
    if not num_left_out:
        return markup, Html()
    note = f"{num_left_out:,} of {len(pictures):,} photographs are left out, to keep this page small enough to send."
    return Html("".join([*parts, markup[end:]])), element("p", note, class_="note")
