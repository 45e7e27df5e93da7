"""Photographs inside the page: small JPEGs as data URIs, or a frame that says why there is none."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from nevus.data.images import read_image, shrink
from nevus.errors import DataError
from nevus.reports.markup import Html, element


def photograph(root: Path | None, path: str, message: str, caption: Sequence[str], *, side: int) -> Html:
    """A `<figure>` with the image at `root / path`, its short side `side` pixels; `message` is its alternative text."""
    words = element("figcaption", *caption)
    try:
        if root is None or not path:
            raise DataError("the manifest is not at hand")
        image = shrink(read_image(root / path), side)
    except DataError:
        gone = element("span", "photograph not available", class_="gone", role="img", aria_label=f"{message} (not available)")
        return element("figure", gone, words)
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=82, colorspace="RGB", colorsubsampling="420")
    data = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
    height, width = image.shape[:2]
    return element("figure", element("img", src=data, alt=message, width=str(width), height=str(height)), words)
