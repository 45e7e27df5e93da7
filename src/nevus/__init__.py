"""nevus classifies skin lesions from a dermoscopy image and the patient's age, sex and body site.

The public names are loaded when they are first used, so that `import nevus` stays fast and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nevus.bundle import Bundle
    from nevus.data.manifest import Manifest
    from nevus.data.splits import split
    from nevus.errors import NevusError
    from nevus.evaluation.cross_validate import cross_validate
    from nevus.evaluation.evaluate import evaluate
    from nevus.networks.classifier import LesionClassifier
    from nevus.predictor import Predictor
    from nevus.recipe import Recipe
    from nevus.training.fit import fit

_PLACES = {
    "Bundle": "nevus.bundle",
    "LesionClassifier": "nevus.networks.classifier",
    "Manifest": "nevus.data.manifest",
    "NevusError": "nevus.errors",
    "Predictor": "nevus.predictor",
    "Recipe": "nevus.recipe",
    "cross_validate": "nevus.evaluation.cross_validate",
    "evaluate": "nevus.evaluation.evaluate",
    "fit": "nevus.training.fit",
    "split": "nevus.data.splits",
}

__all__ = [
    "Bundle",
    "LesionClassifier",
    "Manifest",
    "NevusError",
    "Predictor",
    "Recipe",
    "cross_validate",
    "evaluate",
    "fit",
    "split",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'nevus' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
