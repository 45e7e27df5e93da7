"""From a matplotlib figure to SVG inside the page: real text, ink that follows light and dark, the same bytes every time."""

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from nevus.reports.markup import Html, element

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

# Stands for the page's text colour while matplotlib draws; no palette uses it.
INK = "#010203"

# What figures are drawn and saved under.
SETTINGS: "dict[RcKeyType, Any]" = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.major.width": 0.6,
}


def inline(figure: Figure, name: str, message: str, caption: str) -> Html:
    """A `<figure>` with its SVG inline. `name` makes its ids unique in the page; `message` says what the picture shows."""
    buffer = io.StringIO()
    # Ticks are made while saving: the settings must hold then too.
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawing = Html(_page_svg(buffer.getvalue(), name))
    view = re.search(r'viewBox="([^"]*)"', buffer.getvalue())
    assert view is not None
    picture = element("svg", drawing, viewBox=view[1], role="img", aria_label=message)
    return element("figure", picture, element("figcaption", caption))


def _page_svg(document: str, name: str) -> str:
    """The drawing inside `<svg>`, without what only a file needs, with ids that no other picture of the page has."""
    body = document[document.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href").replace(INK, "currentColor")
    body = re.sub(r"font(-family)?: ([\d.]+px )?'DejaVu Sans'[^;\"]*", _system_font, body)
    used = set(re.findall(r"url\(#([^)]+)\)", body)) | set(re.findall(r'href="#([^"]+)"', body))
    body = re.sub(r' id="([^"]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    return re.sub(r"\n\s*", "\n", body)


def _system_font(match: re.Match[str]) -> str:
    return f"font{match[1] or ''}: {match[2] or ''}system-ui, sans-serif"
