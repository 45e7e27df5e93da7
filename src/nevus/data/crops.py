"""A part of an image, named as a path is: `lesion.jpg#crop=10,20,130,180of150x200`, as keys of containers are.

The numbers are top, left, bottom and right in pixels of the upright image, whose height and width follow: an image of another
size is refused, since the box would be another part of it. Packs and the predictor read such names as they read others.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"(.+)#crop=(\d+),(\d+),(\d+),(\d+)of(\d+)x(\d+)", re.DOTALL)


@dataclass(frozen=True)
class Crop:
    """Rows `top` to `bottom` and columns `left` to `right`, the ends not among them, of an image of `height` × `width`."""

    top: int
    left: int
    bottom: int
    right: int
    height: int
    width: int

    def of(self, path: Path | str) -> Path:
        """The name of this part of an image.

        >>> str(Crop(10, 20, 130, 180, 150, 200).of("lesion.jpg"))
        'lesion.jpg#crop=10,20,130,180of150x200'
        """
        return Path(f"{path}#crop={self.top},{self.left},{self.bottom},{self.right}of{self.height}x{self.width}")


def split_crop(path: Path | str) -> tuple[str, Crop | None]:
    """The image that a name is of, and which part of it; None is the whole.

    >>> split_crop("lesion.jpg#crop=10,20,130,180of150x200")[0]
    'lesion.jpg'
    """
    text = str(path)
    found = _NAME.fullmatch(text) if "#crop=" in text else None
    return (found[1], Crop(*map(int, found.groups()[1:]))) if found else (text, None)
