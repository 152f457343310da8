"""A picture: the values of ψ on a view, their density, and its title."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..lattice.grid import AXIS_NAMES
from ..lattice.position import position_label
from ..observables import density
from .labels import title_of
from .view_plan import View

MIN_PHASE_SHARE: Final = 0.01
"""Share of the largest |ψ| below which no phase is shown: it is that of rounding errors."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """ψ on a view: `psi` is [frames, points] or [frames, points, points], complex64 or complex128."""

    name: str
    view: View
    psi: NDArray[Any]

    @cached_property
    def density(self) -> NDArray[np.float64]:
        """|ψ|², of the shape of `psi`."""
        with np.errstate(over="ignore", invalid="ignore"):  # values that are not finite have no colour
            return density(self.psi)

    @cached_property
    def peak(self) -> float:
        """The largest |ψ|² of all frames shown that is a finite number; 0 if there is none."""
        return float(self.density.max(initial=0.0, where=np.isfinite(self.density)))

    @cached_property
    def has_phase(self) -> NDArray[np.bool_]:
        """Where |ψ| is large enough for its phase to be shown, of the shape of `psi`."""
        return (self.density > MIN_PHASE_SHARE**2 * self.peak) & np.isfinite(self.density)

    def title(self, number: int | None) -> str:
        """The name, the time of the number-th frame shown (unless it is None), and the position of the cut."""
        view = self.view
        if number is None:
            cuts = (position_label(view.grid, axis, view.fixed[axis - 1]) for axis in view.cut)
            return "   ".join([self.name, *cuts])
        return title_of(self.name, view.grid, view.frames[number], view.cut, view.fixed)

    @property
    def note(self) -> str:
        """The steps between the points that are shown, in words; empty if all points are shown."""
        shown = zip((0, *self.view.axes), (self.view.frames.step, *self.view.steps), strict=True)
        parts = [f"{AXIS_NAMES[axis]} {step}" for axis, step in shown if step > 1]
        return f"every n-th point is shown: {', '.join(parts)}" if parts else ""
