"""Text stands out from its ground as WCAG 2.2 asks (AA, 4.5 to 1), light, dark and on paper."""

import re
from importlib.resources import files

import pytest

CSS = files("nevus.reports").joinpath("page.css").read_text(encoding="utf-8")
SCHEMES = dict(zip(("light", "dark", "paper"), re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL), strict=True))
PAIRS = [(ink, ground) for ink in ("ink", "soft", "accent", "warn-ink") for ground in ("paper", "card")]
# A cell of the confusion matrix is shaded by 60% of its colour at most.
SHADE = 0.6


def _colours(scheme: str) -> dict[str, tuple[float, ...]]:
    found = dict(re.findall(r"--([a-z-]+): #([0-9a-f]+);", SCHEMES[scheme]))
    long = {name: value if len(value) == 6 else "".join(2 * digit for digit in value) for name, value in found.items()}
    return {name: tuple(int(value[place : place + 2], 16) / 255 for place in (0, 2, 4)) for name, value in long.items()}


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_is_21_to_1() -> None:
    assert _contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_ink_on_every_ground(scheme: str) -> None:
    colours = _colours(scheme)
    found = {
        (ink, ground): _contrast(colours[ink], colours[ground]) for ink, ground in [*PAIRS, ("warn-ink", "warn"), ("ink", "warn")]
    }
    assert all(contrast >= 4.5 for contrast in found.values()), found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_counts_in_the_darkest_cells_of_the_confusion_matrix(scheme: str) -> None:
    assert re.findall(r"calc\(var\(--share\) \* ([\d.]+)\)", CSS) == [str(SHADE)] * 2
    colours = _colours(scheme)
    for shade in ("shade", "wrong"):
        mixed = tuple(SHADE * part + (1 - SHADE) * ground for part, ground in zip(colours[shade], colours["paper"], strict=True))
        assert _contrast(colours["ink"], mixed) >= 4.5, shade
