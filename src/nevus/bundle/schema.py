"""What bundle.json must say for a bundle to answer: a table of its keys, with what each must be.

A hash says that a document is as it was written, not that it was written well.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from nevus.bundle import Bundle
from nevus.errors import BundleError, listed

Check = Callable[[Any], bool]
_MISSING = object()


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _classes(value: Any) -> bool:
    return _texts(value) and len(set(value)) == len(value) > 1


def _sizes(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_count(item) for item in value)


def _shares(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(_number(item) and 0 < item <= 1 for item in value)


# Key, with a dot into an object → what it must be, in words and as a function.
_KEYS: dict[str, tuple[str, Check]] = {
    "name": ("a text", lambda value: isinstance(value, str)),
    "task": ("diagnosis or malignant", lambda value: value in ("diagnosis", "malignant")),
    "classes": ("two or more different names", _classes),
    "preprocessing.size": ("a number of pixels", _count),
    "preprocessing.views": ("1, 2, 4 or 8", lambda value: value in (1, 2, 4, 8)),
    "metadata.fields": ("a list of names", _texts),
    "metadata.age_mean": ("a number", _number),
    "metadata.age_sd": ("a number above 0", lambda value: _number(value) and value > 0),
    "metadata.categories": ("an object", lambda value: isinstance(value, Mapping)),
    "temperature": ("a number above 0", lambda value: _number(value) and value > 0),
    "operating_point.positive": ("a class or null", lambda value: value is None or isinstance(value, str)),
    "operating_point.rule": ("a text", lambda value: isinstance(value, str)),
    "operating_point.threshold": ("a probability or null", lambda value: value is None or (_number(value) and 0 <= value <= 1)),
}
# As above, of what bundles from before it do not say.
_LATER: dict[str, tuple[str, Check]] = {
    "preprocessing.crop": ("none or mask", lambda value: value in ("none", "mask")),
    "preprocessing.resolutions": ("a list of numbers of pixels", _sizes),
    "preprocessing.central": ("a list of shares above 0 and at most 1", _shares),
    "decisions": ("likeliest or balanced", lambda value: value in ("likeliest", "balanced")),
}


def check_schema(bundle: Bundle) -> None:
    """Refuse a bundle whose document lacks what an answer needs.

    Raises
    ------
    BundleError
        Every key that is missing or wrong is named.
    """
    if problems := schema_problems(bundle.document):
        remedy = "It was not written by nevus, or by one that was broken. Train it again."
        raise BundleError(
            listed(f"{bundle.path}: its bundle.json does not say all that an answer needs:", problems, remedy=remedy)
        )


def schema_problems(document: Mapping[str, Any]) -> list[str]:
    """What is missing or wrong, one line a key.

    >>> schema_problems({})[:2]
    ['name: missing, expected a text', 'task: missing, expected diagnosis or malignant']
    """
    problems = []
    for key, (words, check) in {**_KEYS, **_LATER}.items():
        value: Any = document
        for part in key.split("."):
            value = value.get(part, _MISSING) if isinstance(value, Mapping) else _MISSING
        if value is _MISSING and key in _LATER:
            continue
        if value is _MISSING:
            problems.append(f"{key}: missing, expected {words}")
        elif not check(value):
            problems.append(f"{key}: {str(value)[:60]}, expected {words}")
    if problems:
        return problems
    positive = document["operating_point"]["positive"]
    if positive is not None and positive not in document["classes"]:
        return [f"operating_point.positive: {positive}, which is none of the classes {', '.join(document['classes'])}"]
    return []
