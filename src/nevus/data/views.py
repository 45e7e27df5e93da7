"""The eight ways to hold a photo, which a network may see it in."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class View(NamedTuple):
    """One of the eight ways to hold a photo: rows and columns exchanged or not, then axes of (N, H, W, 3) flipped."""

    transposed: bool
    axes: tuple[int, ...]


# A lesion has no upside. The first two are mirror images, the first four half turns too, the last four the quarter turns: of the
# square that a network sees, a turn is a change of places and needs no further interpolation.
VIEWS = tuple(View(transposed, axes) for transposed in (False, True) for axes in ((), (2,), (1,), (1, 2)))


def seen(batch: NDArray[Any], view: View) -> NDArray[Any]:
    """A batch (N, H, W, 3) held in another way.

    >>> seen(np.arange(6).reshape(1, 2, 3, 1), VIEWS[1])[0, :, :, 0]
    array([[2, 1, 0],
           [5, 4, 3]])
    """
    return np.flip(batch.swapaxes(1, 2) if view.transposed else batch, view.axes)
