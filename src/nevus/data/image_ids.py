"""What an image is called in tables, whatever its file is called."""

import hashlib
from collections.abc import Iterable

from nevus.data.images import SUFFIXES


def plain_id(name: str) -> str:
    """An image's id as every table writes it: no folder, no suffix, no "_downsampled".

    >>> plain_id("images/ISIC_0000001_downsampled.jpg")
    'ISIC_0000001'
    """
    last = name.strip().rstrip("/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return (stem if stem and dot + suffix.lower() in SUFFIXES else last).removesuffix("_downsampled")


def images_sha256(ids: Iterable[str]) -> str:
    """One hash of a set of images, whatever their order; by it a bundle knows those that it was trained on.

    >>> images_sha256(["b", "a"]) == images_sha256(["a", "b"])
    True
    """
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
