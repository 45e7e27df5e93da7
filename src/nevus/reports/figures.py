"""The report's figures as matplotlib `Figure`s: data in, drawing out, no global state.

Colours are Okabe and Ito's, told apart by readers with any colour vision; black becomes the page's ink.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nevus.reports.svg import INK, SETTINGS

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PALETTE = (BLUE, VERMILION, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK)
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)))


@dataclass(frozen=True)
class Axis:
    """An axis's label and limits; a limit of None follows the data."""

    label: str
    low: float | None = None
    high: float | None = None


WIDTH, HEIGHT = 4.0, 3.7  # inches
SHARE = (0.0, 1.0)
FALSE_POSITIVES = Axis("1 − specificity (share of negatives flagged)", *SHARE)
SENSITIVITY = Axis("Sensitivity (share of positives flagged)", *SHARE)
RECALL = Axis("Recall (share of positives flagged)", *SHARE)
PRECISION = Axis("Precision (share of flagged that are positive)", *SHARE)


def curves(
    title: str,
    axes: tuple[Axis, Axis],
    named: Mapping[str, Curve],
    *,
    faint: Sequence[Curve] = (),
    points: Sequence[tuple[float, float]] = (),
    reference: Curve | None = None,
) -> Figure:
    """Named curves in strong colours over faint ones (folds), with points (operating points) and a dotted reference line."""
    with _panel(title, *axes) as (figure, panel):
        if reference is not None:
            panel.plot(*reference, color=INK, alpha=0.45, linewidth=0.9, linestyle=":")
        for curve in faint:
            panel.plot(*_thinned(curve), color=INK, alpha=0.3, linewidth=0.8)
        for index, (name, curve) in enumerate(named.items()):
            dashes = DASHES[index // len(PALETTE) if len(named) > len(PALETTE) else index % 2 if len(named) > 3 else 0]
            panel.plot(*_thinned(curve), color=PALETTE[index % len(PALETTE)], linestyle=dashes, label=_literal(name))
        for index, (x, y) in enumerate(points):
            label = "operating point" if index == 0 else None
            panel.plot(x, y, "o", color=VERMILION, markersize=8, markeredgecolor="white", label=label)
        if len(named) > 3:
            _legend_beneath(figure, panel)
        else:
            panel.legend(loc="best")
    return figure


def learning(title: str, value_axis: Axis, series: Mapping[str, Sequence[Curve]]) -> Figure:
    """Values over epochs: a faint line a fold, and the mean over the folds still training as a strong one."""
    with _panel(title, Axis("Epoch"), value_axis) as (figure, panel):
        for (name, folds), colour in zip(series.items(), PALETTE, strict=False):
            for epochs, values in folds:
                panel.plot(epochs, values, color=colour, alpha=0.35, linewidth=0.8)
            marker = "o" if max((len(epochs) for epochs, _ in folds), default=0) == 1 else ""
            panel.plot(*_mean(folds), color=colour, label=name, marker=marker, markersize=4)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(series) > 1:
            panel.legend(loc="best")
    return figure


def reliability(
    title: str,
    confidence: NDArray[np.float64],
    observed: NDArray[np.float64],
    labels: tuple[str, str],
    intervals: Curve | None = None,
) -> Figure:
    """Observed frequency against stated probability, a point a bin; on the diagonal probabilities mean what they say.

    `intervals` are the frequencies' lower and upper limits, NaN where there is none.
    """
    with _panel(title, Axis(labels[0], *SHARE), Axis(labels[1], *SHARE)) as (figure, panel):
        diagonal = np.array(SHARE)
        panel.plot(diagonal, diagonal, color=INK, alpha=0.45, linewidth=0.9, linestyle=":", label="perfectly calibrated")
        if intervals is not None:
            panel.vlines(confidence, *intervals, color=VERMILION, alpha=0.7, linewidth=1.4, label="95% interval")
        panel.plot(confidence, observed, "-o", color=BLUE, markersize=4.5, label="a bin of images")
        panel.legend(loc="best")
    return figure


@dataclass(frozen=True)
class Estimate:
    """A line of a forest plot; `sure` is False where it comes from few images. `name` alone, with NaN values, is a heading."""

    name: str
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    sure: bool = True


def forest(title: str, axis: Axis, estimates: Sequence[Estimate], whole: Estimate) -> Figure:
    """A line an estimate, from the top: a dot with its interval, hollow where it is unsure; dotted and shaded, the whole."""
    height = 0.75 + 0.23 * len(estimates)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, height))
        panel = figure.add_axes((0.36, 0.5 / height, 0.61, 1 - 0.8 / height))
        panel.axvspan(whole.low, whole.high, color=INK, alpha=0.07, linewidth=0)
        panel.axvline(whole.value, color=INK, alpha=0.45, linewidth=0.9, linestyle=":")
        for place, estimate in enumerate(estimates):
            if np.isfinite(estimate.low):
                panel.hlines(place, estimate.low, estimate.high, color=BLUE, linewidth=1.4, alpha=1 if estimate.sure else 0.5)
            face = BLUE if estimate.sure else "none"
            panel.plot(estimate.value, place, "o", color=BLUE, markerfacecolor=face, markersize=5)
        panel.set(title=title, xlabel=axis.label, ylim=(len(estimates) - 0.4, -0.6), xlim=(-0.02, 1.02))
        panel.set_yticks(range(len(estimates)), [_literal(estimate.name) for estimate in estimates])
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
    return figure


@dataclass(frozen=True)
class Measured:
    """Values with the ends of their intervals, NaN where there is none, each (K,)."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def dots(title: str, axis: Axis, names: Sequence[str], series: Mapping[str, Measured], line: float) -> Figure:
    """A row a name, from the top down: each series' values as dots with their intervals; a dotted line at what was promised."""
    with _panel(title, axis, Axis("")) as (figure, panel):
        rows = np.arange(len(names))
        panel.axvline(line, color=INK, alpha=0.6, linewidth=0.9, linestyle=":", label="promised")
        for index, (name, measured) in enumerate(series.items()):
            places = rows + 0.28 * (index - (len(series) - 1) / 2)
            colour, marker = PALETTE[index], "os^"[index % 3]
            panel.hlines(places, measured.low, measured.high, color=colour, linewidth=1.4)
            panel.plot(measured.value, places, linestyle="", label=_literal(name), color=colour, marker=marker, markersize=4.5)
        panel.set_yticks(rows, [_literal(name) for name in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.grid(visible=False, axis="y")
        _legend_beneath(figure, panel, num_columns=1)
        place = panel.get_position()
        panel.set_position((0.2, place.y0, 0.78, place.height))  # room for the names
    return figure


def bands(
    title: str,
    axes: tuple[Axis, Axis],
    x: NDArray[np.float64],
    series: Mapping[str, Measured],
    level: tuple[float, float] | None = None,
) -> Figure:
    """Values over x as strong lines with a point each, their intervals as faint bands; `level` is a band across the whole."""
    with _panel(title, *axes) as (figure, panel):
        if level is not None:
            panel.axhspan(*level, color=INK, alpha=0.08, linewidth=0)
        for index, (name, measured) in enumerate(series.items()):
            colour, dashes, marker = PALETTE[index], DASHES[index % len(DASHES)], "os^"[index % 3]
            panel.fill_between(x, measured.low, measured.high, color=colour, alpha=0.16, linewidth=0)
            panel.plot(x, measured.value, color=colour, linestyle=dashes, marker=marker, markersize=4, label=_literal(name))
        _legend_beneath(figure, panel, num_columns=1)
    return figure


def benefit(
    title: str, thresholds: NDArray[np.float64], model: NDArray[np.float64], band: Curve, treat_all: NDArray[np.float64]
) -> Figure:
    """Net benefit over threshold probabilities: the model in its 95% band, everybody flagged, and nobody."""
    top = max(float(np.nanmax(model)), float(treat_all.max()), 1e-6)
    x, y = Axis("Threshold probability (%)", 0.0, 100 * float(thresholds.max())), Axis("Net benefit per 1,000 people")
    with _panel(title, x, y) as (figure, panel):
        panel.fill_between(100 * thresholds, 1000 * band[0], 1000 * band[1], color=BLUE, alpha=0.2, linewidth=0)
        panel.plot(100 * thresholds, 1000 * model, color=BLUE, label="by the model")
        panel.plot(100 * thresholds, 1000 * treat_all, color=VERMILION, linestyle=DASHES[1], label="everybody flagged")
        panel.axhline(0, color=INK, linewidth=1.2, linestyle=DASHES[2], label="nobody flagged")
        # Flagging everybody falls without end; what matters lies above nothing.
        panel.set_ylim(-250 * top, 1100 * top)
        panel.legend(loc="best")
    return figure


@contextmanager
def _panel(title: str, x: Axis, y: Axis) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(SETTINGS):
        # Fixed margins, so that panels beside each other line up; a layout engine would also take as long as the drawing.
        figure = Figure(figsize=(WIDTH, HEIGHT))
        panel = figure.add_axes((0.15, 0.13, 0.83, 0.79))
        panel.set(title=title, xlabel=x.label, ylabel=y.label)
        yield figure, panel
        for axis, set_limits in ((x, panel.set_xlim), (y, panel.set_ylim)):
            if axis.low is not None and axis.high is not None:
                margin = 0.02 * (axis.high - axis.low)
                set_limits(axis.low - margin, axis.high + margin)


def _legend_beneath(figure: Figure, panel: Axes, num_columns: int = 2) -> None:
    lines = -(-len(panel.get_legend_handles_labels()[0]) // num_columns)
    taller = HEIGHT + 0.19 * lines
    figure.set_size_inches(WIDTH, taller)
    panel.set_position((0.15, (0.13 * HEIGHT + taller - HEIGHT) / taller, 0.83, 0.79 * HEIGHT / taller))
    panel.legend(loc="upper left", bbox_to_anchor=(0.0, -0.13), ncols=num_columns, handlelength=2.6, columnspacing=2.5)


def _literal(name: str) -> str:
    """A name as matplotlib must be given it: `$` would start a formula, and a leading `_` would hide it from the legend."""
    return "\u200b" + name.replace("$", r"\$")


def _thinned(curve: Curve, num_points: int = 300) -> Curve:
    """The points nearest to equal steps along the curve: ten thousand would only make the page heavy."""
    x, y = curve
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], num_points)).clip(max=len(x) - 1))
    return x[kept], y[kept]


def _mean(folds: Sequence[Curve]) -> Curve:
    """Mean over the folds that have a value, at each epoch any fold has."""
    epochs = np.unique(np.concatenate([epochs for epochs, _ in folds]))
    values = np.concatenate([values for _, values in folds])
    at = np.concatenate([epochs for epochs, _ in folds])
    return epochs, np.array([_mean_of(values[(at == epoch) & np.isfinite(values)]) for epoch in epochs])


def _mean_of(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
