"""What an image is called in tables, whatever its file is called."""

from nevus.data.images import SUFFIXES


def plain_id(name: str) -> str:
    """An image's id as every table writes it: no folder, no suffix, no "_downsampled".

    >>> plain_id("images/ISIC_0000001_downsampled.jpg")
    'ISIC_0000001'
    """
    last = name.strip().rstrip("/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return (stem if stem and dot + suffix.lower() in SUFFIXES else last).removesuffix("_downsampled")
