"""What a network looks at of a photo when it answers: how much of it, at how many pixels."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Look(NamedTuple):
    """The central `share` of a photo's sides, stretched to `size` by `size` pixels."""

    size: int
    share: float = 1.0


def looks_of(preprocessing: Mapping[str, Any]) -> tuple[Look, ...]:
    """Those of a bundle, whose logits are averaged; of one from before `central` the whole photo.

    >>> looks_of({"size": 144, "resolutions": [], "central": [1.0, 0.8]})
    (Look(size=144, share=1.0), Look(size=144, share=0.8))
    """
    sizes = (preprocessing["size"], *preprocessing.get("resolutions", ()))
    return tuple(Look(size, share) for share in preprocessing.get("central", (1.0,)) for size in sizes)


def side_for(looks: Sequence[Look]) -> int:
    """Pixels that a photo's shorter side should have at least, so that no look enlarges what was reduced before.

    >>> side_for([Look(144), Look(144, 0.8)])
    180
    """
    return max(math.ceil(size / share) for size, share in looks)
