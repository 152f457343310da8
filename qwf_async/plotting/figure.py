"""matplotlib figures: pictures of a frame, lines over time, curves, fields, and expectation values over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES
from ..optional import library
from .colours import density_table
from .curves import Arrows, Curves, Expectations, Field
from .panels import add_map, add_panel, panel_kinds
from .picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BOTH: Final = ("density", "phase")

FIGURE_DPI: Final = 150
"""Dots per inch of a file: a panel of 5 inches, its scale apart, has about 600 pixels for the values."""

MAX_MARKS: Final = 12
"""Marks of a curve that get their text: the strongest lines of a spectrum."""

MIN_DIP: Final = 1e-3
"""Share of the largest |value| that a curve must be below 0 for that to be shown: less is a window's side lobes."""

MIN_ARROW: Final = 0.02
"""Share of the longest arrow below which none is drawn."""

MIN_NORM_RANGE: Final = 1e-3
"""Height of the scale of the norm: smaller changes come from rounding, and must not fill the panel."""


def draw(picture: Picture, quantities: Sequence[str] = BOTH) -> Figure:
    """A matplotlib Figure of a picture: |ψ|² ("density"), arg ψ ("phase"), or both.

    The picture has one frame; a line with more frames is drawn as a map over time. Raises
    UsageError if matplotlib is not installed, and InvalidInput for a plane with more frames.
    """
    over_time = len(picture.view.frames) > 1
    if over_time and len(picture.view.axes) == 2:
        raise InvalidInput("a plane over time is an animation: a figure shows one frame")
    kinds = tuple(quantities) if over_time else panel_kinds(picture, quantities)
    figure = new_figure(len(kinds), wide=len(picture.view.axes) == 1)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        if over_time:
            add_map(figure, axes, picture, kind)
        else:
            add_panel(figure, axes, picture, kind)(0)
    figure.suptitle(picture.title(None if over_time else 0))
    return figure


def draw_curves(curves: Curves) -> Figure:
    """A Figure of curves beside each other. Raises UsageError if matplotlib is not installed."""
    figure = new_figure(len(curves.curves), wide=True)
    for axes, curve in zip(
        figure.subplots(1, len(curves.curves), squeeze=False)[0], curves.curves, strict=True
    ):
        axes.fill_between(curve.x, curve.y, color="0.85", lw=0)
        axes.plot(curve.x, curve.y, color="0.15", lw=1.2)
        axes.set_xlim(curve.x[0], curve.x[-1]) if len(curve.x) > 1 else None
        if not (curve.y < -MIN_DIP * np.abs(curve.y).max(initial=0.0)).any():
            axes.set_ylim(bottom=0)
        axes.set_xlabel(curve.x_label)
        axes.set_ylabel(curve.y_label)
        for place, text in curve.marks[:MAX_MARKS]:
            height = np.interp(place, curve.x, curve.y)
            axes.annotate(
                text, (place, height), (0, 3), textcoords="offset points", ha="center", fontsize="small"
            )
        axes.margins(y=0.1)
    figure.suptitle(curves.title)
    return figure


def draw_field(field: Field) -> Figure:
    """A Figure of a field on a plane, with its arrows. Raises UsageError if matplotlib is not installed."""
    figure = new_figure(1, wide=True)
    from matplotlib.colors import ListedColormap

    axes = figure.subplots()
    (left, right), (low, high) = field.across, field.up
    image = axes.imshow(
        field.values.T,  # [across, up] → [up, across]
        cmap=ListedColormap(density_table() / 255),
        vmin=0,
        vmax=field.peak or 1.0,
        origin="lower",
        extent=(left, right, low, high),
        interpolation="nearest",
        aspect="equal" if field.alike and 0.25 <= (high - low) / (right - left) <= 4 else "auto",
    )
    figure.colorbar(image, ax=axes, label=field.label)
    axes.set_xlabel(field.across_label)
    axes.set_ylabel(field.up_label)
    if field.arrows is not None:
        _add_arrows(axes, field.arrows)
    figure.suptitle(field.title)
    return figure


def _add_arrows(axes: Axes, arrows: Arrows) -> None:
    x, y = arrows.along
    length = np.hypot(x, y)
    shown = length > MIN_ARROW * arrows.longest
    step = (arrows.across[-1] - arrows.across[0]) / max(1, len(arrows.across) - 1) or 1.0
    across, up = np.meshgrid(arrows.across, arrows.up, indexing="ij")
    axes.quiver(
        across[shown], up[shown], x[shown], y[shown],
        color="white", edgecolor="0.15", linewidth=0.4, pivot="mid", width=0.004,
        angles="xy", scale_units="xy", scale=(arrows.longest or 1.0) / (1.6 * step),
    )  # fmt: skip
    axes.set_title(f"arrows: {arrows.label}, the longest is {arrows.longest:.3g}", fontsize="medium")


def draw_expectations(expectations: Expectations) -> Figure:
    """A Figure of ⟨x⟩ ± σ of each axis and of the norm over time.

    Raises UsageError if matplotlib is not installed.
    """
    figure = new_figure(2, wide=True)
    means, norms = figure.subplots(1, 2, width_ratios=(2, 1))
    marker = "o" if len(expectations.times) == 1 else None
    for number, name in enumerate(AXIS_NAMES[1 : 1 + expectations.mean.shape[1]]):
        mean, sigma = expectations.mean[:, number], expectations.sigma[:, number]
        (line,) = means.plot(
            expectations.times, mean, marker=marker, label=f"⟨{name}⟩ ± σ ({expectations.units[number]})"
        )
        means.fill_between(
            expectations.times, mean - sigma, mean + sigma, color=line.get_color(), alpha=0.2, lw=0
        )
    means.legend()
    norms.plot(expectations.times, expectations.norm, marker=marker, color="0.15")
    finite = expectations.norm[np.isfinite(expectations.norm)]
    if len(finite):
        room = max(MIN_NORM_RANGE, float(np.ptp(finite)))
        norms.set_ylim(float(finite.min()) - room, float(finite.max()) + room)
    norms.ticklabel_format(useOffset=False)
    norms.set_ylabel("Σ|ψ|²dV")
    for axes in (means, norms):
        axes.set_xlabel(expectations.time_label)
    figure.suptitle(expectations.name)
    return figure


def new_figure(panels: int, *, wide: bool, dpi: int = FIGURE_DPI) -> Figure:
    """An empty figure for a number of panels side by side. Raises UsageError if matplotlib is not installed."""
    need_matplotlib()
    from .shown_figure import ShownFigure

    return ShownFigure(
        figsize=((6.4 if wide else 5.0) * min(panels, 2) + (panels == 3) * 3, 4.2),
        dpi=dpi,
        layout="constrained",
    )


def need_matplotlib() -> None:
    """Raises UsageError if matplotlib is not installed."""
    library("matplotlib", extra="plot", what="a picture in a file")
