"""The base of all analytic states: their grid, their text, their fingerprint, their warnings.

All are in Hartree atomic units (ħ = m_e = e = 1), of a particle of the grid's mass, and normalised
to ∫|ψ|²dV = 1. Time runs from 0. Every state is exact at each time: nothing is propagated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import Box, Grid, Order
from ...lattice.unit_system import HARTREE, UnitSystem
from ..base import identity
from ..parameters import number_text
from .fit import Fit, warning

DEFAULT_EDGE: Final = 64
"""Points along each axis of the default grid of a state: 64³ is stored in a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytic(ABC):
    """A state given by a formula; a Source. Every field but `grid` is a parameter.

    `name` is its word on the command line. `formula` is raised when the values change for
    the same parameters, so that no load goes on with values of another formula. Reading changes
    nothing, so that a state is `parallel`.
    """

    name: ClassVar[str]
    formula: ClassVar[int] = 1
    parallel: ClassVar[bool] = True
    grid: Grid

    @property
    def order(self) -> Order:
        return "C"

    @property
    def spec(self) -> str:
        """The state as it can be given on the command line, with all parameters."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "grid"}
        if self.grid.mass != 1:
            values["mass"] = self.grid.mass
        return f"{self.name}:{','.join(f'{name}={number_text(value)}' for name, value in values.items())}"

    @abstractmethod
    def read(self, box: Box) -> NDArray[np.complex128]:
        """ψ over the box: complex128 [t, x, y, z] in units of bohr^(−d/2), in C order."""

    def fingerprint(self) -> str:
        """The parameters, the version of the formula, and the grid, as text."""
        return identity(self.spec, f"formula={self.formula}", grid=self.grid)

    def outside(self, axis: int, low: float, high: float) -> float:
        """Weight of |ψ|² outside an interval of an axis (bohr), 0 to 1: the largest of all frames, or a bound."""
        return 0.0

    def beyond(self, axis: int, k: float) -> float:
        """Weight of the momentum beyond ±k along an axis (1/bohr), 0 to 1: the largest of all frames, or a bound."""
        return 0.0

    def warnings(self) -> list[str]:
        """A warning if the grid does not hold the state, with one that does."""
        return self.warnings_in(HARTREE)

    def warnings_in(self, units: UnitSystem) -> list[str]:
        """The same with its numbers in other units."""
        steps = [axis.step or 0.0 for axis in self.grid.axes[1:]]
        fits = [
            Fit.of(
                axis,
                start=self.grid.axes[axis + 1].origin,
                step=steps[axis],
                points=self.grid.shape[axis + 1],
                outside=partial(self.outside, axis),
                beyond=partial(self.beyond, axis),
            )
            for axis in range(self.grid.dimensions)
        ]
        text = warning(self.spec if units is HARTREE else self.name, fits, units)
        return [] if text is None else [text]

    def close(self) -> None:  # noqa: B027 # a promise kept by doing nothing, not a gap to fill
        """There is nothing to close."""

    def times(self, box: Box) -> NDArray[np.float64]:
        """Times of the box's frames in ħ/Eh."""
        return self.grid.coordinates(0, box.start[0], box.stop[0])

    @property
    def ends(self) -> NDArray[np.float64]:
        """Times of the first and the last frame in ħ/Eh."""
        last = self.grid.shape[0]
        return np.concatenate([self.grid.coordinates(0, *at) for at in ((0, 1), (last - 1, last))])

    def along(self, axis: int, box: Box) -> NDArray[np.float64]:
        """Positions in bohr of the box's points along a spatial axis (0 is x)."""
        return self.grid.coordinates(axis + 1, box.start[axis + 1], box.stop[axis + 1])


def usable(grid: Grid | None, mass: float | None) -> Grid:
    """The grid in atomic units, or 64³ points if there is none, with a mass (electron masses) if one is given.

    Raises InvalidInput if an axis of one point comes before a longer one, or if there is only one
    point. The number of dimensions of the state would not be clear. Also for an unknown unit.
    """
    if grid is None:
        grid = Grid.cube(DEFAULT_EDGE)
    if mass is not None:
        grid = replace(grid, mass=mass)
    if 1 in grid.shape[1 : grid.dimensions + 1]:
        raise InvalidInput(
            f"a grid of {number_text(grid.shape[1:])} points cannot hold the state: "
            "each of its dimensions needs at least 2 points, and axes of one point come last"
        )
    return grid.in_atomic_units()


def with_frames(grid: Grid, period: float) -> Grid:
    """The grid, with its frames spread over `period` (ħ/Eh) without its end if their step is unknown."""
    frames = grid.shape[0]
    if frames == 1 or grid.axes[0].step is not None:
        return grid
    return grid.with_time_step(period / frames)


def with_extents(grid: Grid, extents: Sequence[float]) -> Grid:
    """The grid with each axis of unknown spacing laid over its extent (bohr), centred on 0."""
    over_box = grid.with_box(extents)
    _, x, y, z = (b if a.step is None else a for a, b in zip(grid.axes, over_box.axes, strict=True))
    return replace(grid, axes=(grid.axes[0], x, y, z))


def extents(grid: Grid) -> tuple[float, ...]:
    """The extent of each dimension in bohr, the left-out end included. Spacings must be known."""
    spatial = zip(grid.shape[1:], grid.axes[1:], strict=True)
    return tuple(size * (axis.step or 0.0) for size, axis in spatial)[: grid.dimensions]


def product(factors: Sequence[NDArray[np.complex128]]) -> NDArray[np.complex128]:
    """ψ[t, x, y, z] = Π_a factors[a][t, n_a], of one to three factors; axes without one have one point."""
    psi = factors[0][:, :, None, None]  # [t, x, 1, 1]
    if len(factors) > 1:
        psi = psi * factors[1][:, None, :, None]  # [t, x, 1, 1] × [t, 1, y, 1]
    if len(factors) > 2:
        psi = psi * factors[2][:, None, None, :]  # [t, x, y, 1] × [t, 1, 1, z]
    return psi
