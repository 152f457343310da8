"""The panels of a figure: density, phase, or both in one, of one frame or of one after the other.

matplotlib's Figure is used without pyplot, so that there is no global state and no window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from .colours import density_table, phase_colours, phase_table
from .labels import axis_label, density_label
from .picture import MIN_PHASE_SHARE, Picture

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Show = Callable[[int], Sequence["Artist"]]
"""Sets a panel to the number-th frame shown, and returns the artists that changed."""

BACKGROUND: Final = "0.92"
"""The grey of points that have no phase to show."""

ROWS: Final = 200
"""Rows of the image that fills the area below a density with the colours of the phase."""


def panel_kinds(picture: Picture, quantities: Sequence[str]) -> tuple[str, ...]:
    """The panels for "density" and "phase"; along a line both together are one panel, "filled"."""
    both = len(quantities) > 1 and len(picture.view.axes) == 1
    return ("filled",) if both else tuple(quantities)


def add_panel(figure: Figure, axes: Axes, picture: Picture, kind: str) -> Show:
    """Lay out a panel, "density", "phase" or "filled"; the result shows a frame in it."""
    if len(picture.view.axes) == 2:
        a, b = picture.view.axes
        return _add_plane(figure, axes, picture, kind, across=a, up=b)
    axes.set_xlabel(axis_label(picture.view.grid, picture.view.axes[0]))
    axes.set_xlim(*picture.view.edges(picture.view.axes[0]))
    return {"density": _add_density, "phase": _add_phase, "filled": _add_filled}[kind](axes, picture)


def add_map(figure: Figure, axes: Axes, picture: Picture, kind: str) -> None:
    """Lay out a line over time as a map, with time across and the line up."""
    (line,) = picture.view.axes
    show = _add_plane(figure, axes, picture, kind, across=0, up=line)
    axes.set_aspect("auto")
    show(-1)


def _add_plane(figure: Figure, axes: Axes, picture: Picture, kind: str, *, across: int, up: int) -> Show:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    view = picture.view
    limits = (*view.edges(across), *view.edges(up))
    phase = kind == "phase"
    colours = ListedColormap((phase_table() if phase else density_table()) / 255)
    scale = Normalize(-math.pi, math.pi) if phase else Normalize(0, picture.peak or 1.0)
    shape = (len(view.points(up)), len(view.points(across)))
    image = axes.imshow(
        np.zeros((*shape, 4), np.uint8) if phase else np.zeros(shape),
        cmap=None if phase else colours,
        norm=None if phase else scale,
        origin="lower",
        extent=limits,
        interpolation="nearest",
        aspect=_aspect(picture, across, up),
    )
    axes.set_facecolor(BACKGROUND)
    axes.set_xlabel(axis_label(view.grid, across))
    axes.set_ylabel(axis_label(view.grid, up))
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes, shrink=0.85)
    if phase:
        _mark_phase(bar.ax)
        axes.set_title(f"phase, where |ψ| > {MIN_PHASE_SHARE:.0%} of its maximum", fontsize="medium")
    else:
        axes.set_title(density_label(view.grid), fontsize="medium")

    def show(number: int) -> Sequence[Artist]:
        chosen = slice(None) if across == 0 else number
        if phase:
            image.set_data(_masked_phase(picture, chosen).swapaxes(0, 1))  # [across, up, 4] → [up, across, 4]
        else:
            image.set_data(picture.density[chosen].T)  # [across, up] → [up, across]
        return [image]

    return show


def _add_density(axes: Axes, picture: Picture) -> Show:
    x = picture.view.coordinates(picture.view.axes[0])
    (line,) = axes.plot(x, np.zeros_like(x), color="0.15", lw=1.2)
    axes.set_ylim(0, 1.05 * picture.peak or 1.0)
    axes.set_ylabel(density_label(picture.view.grid))

    def show(number: int) -> Sequence[Artist]:
        line.set_ydata(picture.density[number])
        return [line]

    return show


def _add_phase(axes: Axes, picture: Picture) -> Show:
    x = picture.view.coordinates(picture.view.axes[0])
    marks = axes.scatter(x, np.zeros_like(x), s=6, linewidths=0)
    axes.set_ylim(-math.pi, math.pi)
    axes.set_ylabel(f"phase, where |ψ| > {MIN_PHASE_SHARE:.0%} of its maximum")
    _mark_phase(axes)

    def show(number: int) -> Sequence[Artist]:
        psi, shown = picture.psi[number], picture.has_phase[number]
        marks.set_offsets(np.column_stack((x[shown], np.angle(psi[shown]))))
        marks.set_color(phase_colours(psi[shown]) / 255)
        return [marks]

    return show


def _add_filled(axes: Axes, picture: Picture) -> Show:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    show_line = _add_density(axes, picture)
    limits = (*picture.view.edges(picture.view.axes[0]), *axes.get_ylim())
    levels = (np.arange(ROWS)[:, None] + 0.5) / ROWS * (limits[3] - limits[2])
    blank = np.zeros((ROWS, len(picture.view.points(picture.view.axes[0])), 4), np.uint8)
    image = axes.imshow(
        blank, origin="lower", extent=limits, interpolation="nearest", aspect="auto", zorder=0
    )
    scale = ScalarMappable(Normalize(-math.pi, math.pi), ListedColormap(phase_table() / 255))
    figure = axes.figure
    bar = figure.colorbar(scale, ax=axes, label="phase")
    _mark_phase(bar.ax)

    def show(number: int) -> Sequence[Artist]:
        # The same colours, [points, 4], in each row: [ROWS, points, 4].
        colours = np.broadcast_to(_masked_phase(picture, number), blank.shape).copy()
        colours[..., 3] = np.where(levels < picture.density[number], colours[..., 3], 0)
        image.set_data(colours)
        return [image, *show_line(number)]

    return show


def _masked_phase(picture: Picture, number: int | slice) -> NDArray[np.uint8]:
    """Colours of the phase with opacity, uint8 [..., 4], transparent where |ψ| is too small."""
    opacity = 255 * picture.has_phase[number].astype(np.uint8)
    return np.concatenate((phase_colours(picture.psi[number]), opacity[..., None]), axis=-1)


def _mark_phase(axes: Axes) -> None:
    axes.set_yticks([-math.pi, -math.pi / 2, 0, math.pi / 2, math.pi], ["−π", "−π/2", "0", "π/2", "π"])


def _aspect(picture: Picture, across: int, up: int) -> Any:
    """The aspect of a plane: true to scale if both axes have the same unit and neither would be a thin stripe."""
    axes = picture.view.grid.axes
    (left, right), (low, high) = picture.view.edges(across), picture.view.edges(up)
    alike = (axes[across].unit, axes[across].step is None) == (axes[up].unit, axes[up].step is None)
    return "equal" if alike and 0.25 <= (high - low) / (right - left) <= 4 else "auto"
