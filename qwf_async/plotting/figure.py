"""matplotlib figures: a picture of one frame, a line over time, marginals, and expectation values over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES
from ..optional import library
from .curves import Expectations, Marginals
from .panels import add_map, add_panel, panel_kinds
from .picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOTH: Final = ("density", "phase")

FIGURE_DPI: Final = 150
"""Dots per inch of a file: a panel of 5 inches, its scale apart, has about 600 pixels for the values."""

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


def draw_marginals(marginals: Marginals) -> Figure:
    """A Figure of the probability density along each axis. Raises UsageError if matplotlib is not installed."""
    figure = new_figure(len(marginals.densities), wide=True)
    panels = figure.subplots(1, len(marginals.densities), squeeze=False)[0]
    for axes, x, rho, name in zip(
        panels, marginals.coordinates, marginals.densities, AXIS_NAMES[1:], strict=False
    ):
        axes.fill_between(x, rho, color="0.85", lw=0)
        axes.plot(x, rho, color="0.15", lw=1.2)
        axes.set_xlim(x[0], x[-1]) if len(x) > 1 else None
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"{name} ({marginals.unit(name)})")
        axes.set_ylabel(f"ρ({name}) (1/{marginals.unit(name)})")
    figure.suptitle(marginals.title)
    return figure


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
            expectations.times, mean, marker=marker, label=f"⟨{name}⟩ ± σ ({expectations.unit(name)})"
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
    from matplotlib.figure import Figure

    return Figure(
        figsize=((6.4 if wide else 5.0) * min(panels, 2) + (panels == 3) * 3, 4.2),
        dpi=dpi,
        layout="constrained",
    )


def need_matplotlib() -> None:
    """Raises UsageError if matplotlib is not installed."""
    library("matplotlib", extra="plot", what="a picture in a file")
