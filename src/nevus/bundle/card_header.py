"""The YAML head of a model card, by which the Hugging Face hub files a model."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# As https://huggingface.co/docs/hub/repositories-licenses calls them; each allows less than the one before.
_LICENCES = ("cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0")
_OTHERS = ("cc-by-sa-4.0", "cc-by-nc-sa-4.0")
_ALIASES = {"cc-0": "cc0-1.0", "cc-by": "cc-by-4.0", "cc-by-nc": "cc-by-nc-4.0"}
_TYPES = {"auc": "roc_auc", "macro_auc": "roc_auc"}
_TAGS = ("dermoscopy", "skin-lesion", "melanoma", "image-classification", "research-only", "not-for-diagnosis")


def card_header(
    name: str,
    *,
    licences: Iterable[str],
    datasets: Sequence[str],
    figures: Mapping[str, tuple[float, str]],
    task: str,
    split: str,
) -> str:
    """The head, with its lines of dashes; each value is written as JSON, which is YAML too.

    Parameters
    ----------
    name
        The model's.
    licences
        Those of the training images, as a manifest names them; the weights get the strictest, or "other" where that is unknown.
    datasets
        The data sets' names.
    figures
        What was measured: by the name of `nevus evaluate` its value, and in words what it is, with its interval.
    task
        What is asked, in words.
    split
        Which images it was measured on, in words.
    """
    values: dict[str, Any] = {
        "library_name": "nevus",
        "pipeline_tag": "image-classification",
        **_licence(licences),
        "tags": list(_TAGS),
        "datasets": sorted(datasets),
        "metrics": sorted({_TYPES.get(figure, figure) for figure in figures}),
    }
    if figures:
        data = " and ".join(sorted(datasets)) or "not recorded"
        results = {
            "task": {"type": "image-classification", "name": task},
            "dataset": {"type": data, "name": data, "split": split},
            "metrics": [
                {"type": _TYPES.get(figure, figure), "name": words, "value": round(value, 4)}
                for figure, (value, words) in figures.items()
            ],
        }
        values["model-index"] = [{"name": name, "results": [results]}]
    lines = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value != [])
    return f"---\n{lines}\n---\n\n"


def _licence(names: Iterable[str]) -> dict[str, str]:
    """The Hub's name of the strictest licence.

    >>> _licence(["CC BY-NC 4.0", "CC-0"]), _licence(["CC-0", ""])["license"]
    ({'license': 'cc-by-nc-4.0'}, 'other')
    """
    words = {name.lower().replace(" ", "-") for name in names}
    known = {_ALIASES.get(word, word) for word in words}
    if known and known <= set(_LICENCES):
        return {"license": max(known, key=_LICENCES.index)}
    if len(known) == 1 and known <= set(_OTHERS):
        return {"license": known.pop()}
    return {"license": "other", "license_name": "as-the-training-images"}
