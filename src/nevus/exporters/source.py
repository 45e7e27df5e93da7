"""What an export is made from, and what it is compared with."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from nevus.bundle import Bundle
from nevus.data.looks import looks_of, side_for
from nevus.exporters.photos import Photos
from nevus.exporters.served import Served
from nevus.exporters.trained import load_network, serve
from nevus.networks.classifier import LesionClassifier


@dataclass(frozen=True)
class Source:
    """A bundle, the photos to compare on, of which `num_images` are drawn, and the file `out` that errors name."""

    bundle: Bundle
    photos: Photos
    out: Path
    num_images: int
    network: LesionClassifier = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", load_network(self.bundle).eval())

    @cached_property
    def served(self) -> Served:
        """What is to be written: the network from pixels to probabilities."""
        return serve(self.network, self.bundle)

    @property
    def side(self) -> int:
        """Pixels that a photo's shorter side may be reduced to; see `nevus.data.images.read_reduced`."""
        return side_for(looks_of(self.bundle.document["preprocessing"]))
