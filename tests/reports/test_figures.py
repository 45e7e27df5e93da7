"""Drawings: the same bytes each time, ids of their own, nothing loaded from elsewhere."""

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from nevus.reports import figures
from nevus.reports.figures import Axis
from nevus.reports.svg import inline

DIAGONAL = (np.linspace(0, 1, 2000), np.linspace(0, 1, 2000))
AXES = (figures.FALSE_POSITIVES, figures.SENSITIVITY)


def _drawn(figure: Figure, name: str = "a") -> str:
    return inline(figure, name, "what it shows", "a caption")


def test_the_same_data_give_the_same_bytes() -> None:
    first, second = (_drawn(figures.curves("T", AXES, {"x": DIAGONAL}, points=[(0.2, 0.4)])) for _ in range(2))
    assert first == second


def test_two_drawings_in_one_page_share_no_id_and_every_reference_has_its_target() -> None:
    drawings = [_drawn(figures.curves("T", AXES, {"x": DIAGONAL}), name) for name in ("one", "two")]
    ids = [set(re.findall(r' id="([^"]+)"', drawing)) for drawing in drawings]
    assert ids[0]
    assert not ids[0] & ids[1]
    for drawing, own in zip(drawings, ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', drawing)) == own


def test_a_drawing_has_text_as_text_in_the_pages_ink_and_loads_nothing() -> None:
    drawing = _drawn(figures.curves("Title & more", AXES, {"x": DIAGONAL}))
    assert ">Title &amp; more</text>" in drawing
    assert "currentColor" in drawing
    assert "http" not in drawing
    assert "DejaVu" not in drawing
    assert 'aria-label="what it shows"' in drawing


@pytest.mark.parametrize("name", ["_hidden", "$x^2$", "$unbalanced", "a<b"])
def test_class_names_are_drawn_as_they_are(name: str) -> None:
    escaped = name.replace("<", "&lt;")
    assert f"{escaped}</text>" in _drawn(figures.curves("T", AXES, {name: DIAGONAL}))


def test_long_curves_are_thinned_but_keep_their_ends_and_shape() -> None:
    x = np.linspace(0, 1, 20_000)
    drawing = figures.curves("T", AXES, {"x": (x, np.sqrt(x))})
    drawn_x, drawn_y = (np.asarray(values, dtype=float) for values in drawing.axes[0].lines[0].get_data())
    assert len(drawn_x) <= 300
    assert (drawn_x[0], drawn_y[0]) == (0, 0)
    assert (drawn_x[-1], drawn_y[-1]) == (1, 1)
    assert np.abs(np.interp(x, drawn_x, drawn_y) - np.sqrt(x)).max() < 0.01


def test_the_mean_learning_curve_leaves_out_folds_that_have_stopped_and_undefined_values() -> None:
    folds = [(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0])), (np.array([1.0, 2.0]), np.array([3.0, np.nan]))]
    drawing = figures.learning("T", Axis("Loss"), {"training": folds})
    mean = drawing.axes[0].lines[-1]
    np.testing.assert_allclose(np.asarray(mean.get_xdata(), dtype=float), [1, 2, 3])
    np.testing.assert_allclose(np.asarray(mean.get_ydata(), dtype=float), [2, 2, 9])


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    _drawn(figures.reliability("T", np.array([0.2, 0.8]), np.array([0.1, 0.9]), ("a", "b")))
    assert dict(matplotlib.rcParams) == before
