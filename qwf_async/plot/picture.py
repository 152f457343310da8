"""The values that a picture shows, and what is written on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import AXIS_NAMES, Grid
from ..observables import density
from .view import View

FAINT: Final = 0.01
"""Below this share of the largest |ψ| there is no phase to be seen: it is that of rounding errors."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """ψ over a view: `psi` is [frames, points] or [frames, points, points], complex64 or complex128."""

    name: str
    view: View
    psi: NDArray[Any]

    @cached_property
    def density(self) -> NDArray[np.float64]:
        """|ψ|², of the shape of `psi`."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite has no colour
            return density(self.psi)

    @cached_property
    def peak(self) -> float:
        """The largest |ψ|² of all frames shown that is a finite number; 0 if there is none."""
        return float(self.density.max(initial=0.0, where=np.isfinite(self.density)))

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Where |ψ| is large enough for its phase to be shown."""
        return (self.density > FAINT**2 * self.peak) & np.isfinite(self.density)

    def title(self, number: int | None) -> str:
        """Name, time of the number-th frame shown (None: of none), and where the cut is."""
        view, words = self.view, [self.name]
        if number is not None and (view.grid.shape[0] > 1 or view.grid.axes[0].step is not None):
            words += [moment(view.grid, view.frames[number])]
        words += [position(view.grid, axis, view.fixed[axis - 1]) for axis in view.cut]
        return "   ".join(words)

    @property
    def note(self) -> str:
        """Every how many points are shown, if not all are."""
        shown = zip((0, *self.view.axes), (self.view.frames.step, *self.view.steps), strict=True)
        parts = [f"{AXIS_NAMES[axis]} {step}" for axis, step in shown if step > 1]
        return f"every n-th point is shown: {', '.join(parts)}" if parts else ""


def moment(grid: Grid, frame: int) -> str:
    """The time of a frame, or its number if the time step is not known."""
    return f"frame {frame}" if grid.axes[0].step is None else position(grid, 0, frame)


def position(grid: Grid, axis: int, index: int) -> str:
    """Where an index of an axis lies, as in "z = 1.5 bohr", or the index if the spacing is not known."""
    a = grid.axes[axis]
    if a.step is None:
        return f"{AXIS_NAMES[axis]} index {index}"
    return f"{AXIS_NAMES[axis]} = {a.origin + index * a.step:.5g} {written(a.unit)}".rstrip()


def axis_label(grid: Grid, axis: int) -> str:
    """What stands at an axis: its name and unit."""
    a, name = grid.axes[axis], AXIS_NAMES[axis]
    if a.step is None and grid.shape[axis] > 1:
        return f"{name} (frame)" if axis == 0 else f"{name} (grid index)"
    return f"{name} ({written(a.unit)})" if a.unit else name


def density_label(grid: Grid) -> str:
    """|ψ|² with its unit, which is known where all lengths are in bohr."""
    units = {
        grid.axes[axis].unit
        for axis in (1, 2, 3)
        if grid.shape[axis] > 1 and grid.axes[axis].step is not None
    }
    known = units == {"bohr"} and None not in [
        grid.axes[axis].step for axis in (1, 2, 3) if grid.shape[axis] > 1
    ]
    return f"|ψ|² (bohr⁻{'¹²³'[grid.dimensions - 1]})" if known else "|ψ|²"


def edges(view: View, axis: int) -> tuple[float, float]:
    """Where the first shown point's cell of an axis begins and the last one's ends, in its unit or as indices."""
    a, points = view.grid.axes[axis], view.points(axis)
    origin, step = (0.0, 1.0) if a.step is None else (a.origin, a.step)
    low = origin + (points[0] - 0.5) * step
    return low, low + len(points) * points.step * step


def places(view: View, axis: int) -> NDArray[np.float64]:
    """Where the shown points of an axis lie, in its unit or as indices."""
    a = view.grid.axes[axis]
    indices = np.array(view.points(axis), np.float64)
    return indices if a.step is None else a.origin + indices * a.step


def written(unit: str | None) -> str:
    """A unit as it is printed."""
    return {"hbar/Eh": "ħ/Eh", None: ""}.get(unit, unit or "")
