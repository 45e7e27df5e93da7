"""What is exported to runtimes whose inputs have one fixed shape: one photo, already stretched to the network's squares."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nevus.data.images import Pixels
from nevus.data.looks import Look
from nevus.data.resample import stretch
from nevus.errors import BundleError
from nevus.exporters.parity import Run
from nevus.exporters.served import Served
from nevus.exporters.source import Source

INPUTS = ("images", "age", "sex", "site")
OUTPUTS = ("probabilities", "logits", "features")
# A phone's libraries have no 64-bit integers to give.
_DTYPES = {"age": np.float32, "sex": np.int32, "site": np.int32}

Values = Mapping[str, NDArray[Any]]


class Square(nn.Module):
    """A `Served` for one photo at a time that `nevus.data.resample.stretch` has brought to L squares (S, S), unrounded.

    L is the number of the served network's looks: of most one, the whole photo.

    Parameters
    ----------
    served
        Of one input size; see `squared`, which refuses another.

    Examples
    --------
    >>> from nevus.data.metadata import MetadataEncoder
    >>> from nevus.networks.classifier import LesionClassifier
    >>> from nevus.recipe import ModelRecipe
    >>> network = LesionClassifier(ModelRecipe(backbone="resnet10t"), 7, 0)
    >>> served = Served(network.eval(), MetadataEncoder(()), {"size": 64, "resolutions": [], "views": 1}, 1.0)
    >>> unknown = torch.tensor([-1], dtype=torch.int32)
    >>> Square(served)(torch.zeros(1, 64, 64, 3), torch.tensor([torch.nan]), unknown, unknown)["probabilities"].shape
    torch.Size([1, 7])
    """

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served

    def forward(self, images: torch.Tensor, age: torch.Tensor, sex: torch.Tensor, site: torch.Tensor) -> dict[str, torch.Tensor]:
        """Answer for one photo.

        Parameters
        ----------
        images
            float32 (L, S, S, 3), RGB, upright, 0 to 255, a square a look.
        age
            float32 (1,), years, NaN where unknown.
        sex, site
            int32 (1,), places in `CATEGORIES`, -1 where unknown.

        Returns
        -------
        outputs
            `probabilities` and `logits` float32 (1, classes), `features` float32 (1, F); see `Served.forward`.
        """
        stretched = images.permute(0, 3, 1, 2)
        each = [stretched[index : index + 1] for index in range(len(self.looks))]
        probabilities, logits, features, _ = self.served.answer(each, age, sex, site)
        return {"probabilities": probabilities, "logits": logits, "features": features}

    @property
    def looks(self) -> tuple[Look, ...]:
        """What of a photo the squares are."""
        return self.served.looks

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(L, S, S, 3)."""
        size = self.looks[0].size
        return len(self.looks), size, size, 3

    def example(self) -> dict[str, torch.Tensor]:
        """Inputs of the right shapes and types, by name, to trace the network with."""
        # A tensor each: a converter may take one tensor given twice for one input.
        codes = {name: torch.tensor([-1], dtype=torch.int32) for name in ("sex", "site")}
        return {"images": torch.zeros(self.shape), "age": torch.tensor([60.0]), **codes}


def squared(source: Source) -> Square:
    """The network of `source` for a runtime of fixed inputs.

    Raises
    ------
    BundleError
        It looks at a photo at several sizes, and the smaller photo that such a runtime is given would have lost the detail.
    """
    each = list(dict.fromkeys(look.size for look in source.served.looks))
    if len(each) > 1:
        sizes = ", ".join(map(str, each))
        raise BundleError(
            f"{source.bundle.path}: looks at a photo at {sizes} pixels, and a file with a fixed input has one size. "
            "Choose --to onnx or openvino, which take photos of any size."
        )
    return Square(source.served).eval()


def one_by_one(answer: Callable[[Values], NDArray[Any]], looks: Sequence[Look]) -> Run:
    """The `Run` of a file with fixed inputs: photos are stretched and go in one after another.

    Parameters
    ----------
    answer
        From the inputs of `Square.forward`, by name, to probabilities (1, classes).
    looks
        Those of `Square`.
    """

    def run(images: Pixels, known: Values) -> NDArray[np.float32]:
        rows = []
        for index, image in enumerate(images):
            own = {name: known[name][index : index + 1].astype(dtype) for name, dtype in _DTYPES.items()}
            rows.append(answer({"images": np.stack([stretch(image, *look) for look in looks]), **own}))
        return np.concatenate(rows)

    return run


def described(square: Square) -> dict[str, Any]:
    """What differs from the inputs and outputs that a label names: where the stretch is made, and the types."""
    shown = ["the whole photo" if share == 1 else f"the central {share:g} of the photo's sides" for _, share in square.looks]
    return {
        "inputs": {
            "images": f"float32 {square.shape}, RGB, upright, 0 to 255, {' and '.join(shown)} stretched by "
            "nevus.data.resample.stretch (bilinear, antialiased, unrounded), which is not in the file",
            "age": "float32 (1,), years, NaN unknown",
            "sex": "int32 (1,), a code, -1 unknown",
            "site": "int32 (1,), a code, -1 unknown",
        },
    }
