"""Figures: a picture of one frame, a line over time, marginals, and expectation values over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import InvalidInput
from ..lattice.grid import AXIS_NAMES
from ..optional import library
from .curves import Expectations, Marginals
from .panels import add_map, add_panel, panels_of
from .picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOTH: Final = ("density", "phase")

DPI: Final = 150
"""Dots per inch of a file: 5 inches a panel with its scale leave about 600 for the values."""


NORM_SHOWN: Final = 1e-3
"""Changes of the norm far below this are drawn as none: they are of rounding."""


def draw(picture: Picture, what: Sequence[str] = BOTH) -> Figure:
    """A matplotlib Figure of a picture: |ψ|² ("density"), arg ψ ("phase"), or both.

    One frame of a plane or a line; of a line with more frames a map over time.
    Raises UsageError where matplotlib is not installed, InvalidInput for more frames of a plane.
    """
    over_time = len(picture.view.frames) > 1
    if over_time and len(picture.view.axes) == 2:
        raise InvalidInput("a plane over time is an animation: a figure shows one frame")
    kinds = tuple(what) if over_time else panels_of(picture, what)
    figure = new_figure(len(kinds), wide=len(picture.view.axes) == 1)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        if over_time:
            add_map(figure, axes, picture, kind)
        else:
            add_panel(figure, axes, picture, kind)(0)
    figure.suptitle(picture.title(None if over_time else 0))
    return figure


def draw_marginals(marginals: Marginals) -> Figure:
    """A Figure of the probability density along each axis. Raises UsageError where matplotlib is not installed."""
    figure = new_figure(len(marginals.densities), wide=True)
    drawn = figure.subplots(1, len(marginals.densities), squeeze=False)[0]
    for axes, x, rho, name in zip(drawn, marginals.places, marginals.densities, AXIS_NAMES[1:], strict=False):
        axes.fill_between(x, rho, color="0.85", lw=0)
        axes.plot(x, rho, color="0.15", lw=1.2)
        axes.set_xlim(x[0], x[-1]) if len(x) > 1 else None
        axes.set_ylim(bottom=0)
        axes.set_xlabel(f"{name} ({marginals.unit(name)})")
        axes.set_ylabel(f"ρ({name}) (1/{marginals.unit(name)})")
    figure.suptitle(marginals.title)
    return figure


def draw_expectations(found: Expectations) -> Figure:
    """A Figure of ⟨x⟩ ± σ of each axis and of the norm over time.

    Raises UsageError where matplotlib is not installed.
    """
    figure = new_figure(2, wide=True)
    means, norms = figure.subplots(1, 2, width_ratios=(2, 1))
    marker = "o" if len(found.times) == 1 else None
    for number, name in enumerate(AXIS_NAMES[1 : 1 + found.mean.shape[1]]):
        mean, sigma = found.mean[:, number], found.sigma[:, number]
        (line,) = means.plot(found.times, mean, marker=marker, label=f"⟨{name}⟩ ± σ ({found.unit(name)})")
        means.fill_between(found.times, mean - sigma, mean + sigma, color=line.get_color(), alpha=0.2, lw=0)
    means.legend()
    norms.plot(found.times, found.norm, marker=marker, color="0.15")
    finite = found.norm[np.isfinite(found.norm)]
    if len(finite):
        room = max(NORM_SHOWN, float(np.ptp(finite)))
        norms.set_ylim(float(finite.min()) - room, float(finite.max()) + room)
    norms.ticklabel_format(useOffset=False)
    norms.set_ylabel("Σ|ψ|²dV")
    for axes in (means, norms):
        axes.set_xlabel(found.time_label)
    figure.suptitle(found.name)
    return figure


def new_figure(panels: int, *, wide: bool, dpi: int = DPI) -> Figure:
    """An empty figure for so many panels beside each other. Raises UsageError where matplotlib is not installed."""
    need_matplotlib()
    from matplotlib.figure import Figure

    return Figure(
        figsize=((6.4 if wide else 5.0) * min(panels, 2) + (panels == 3) * 3, 4.2),
        dpi=dpi,
        layout="constrained",
    )


def need_matplotlib() -> None:
    """Raises UsageError where matplotlib is not installed."""
    library("matplotlib", extra="plot", what="a picture in a file")
