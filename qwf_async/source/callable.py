"""A wavefunction given as a Python function of time and position."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import Box, Grid, Order
from ..optional import first_line
from .arguments import imported
from .base import identity
from .elements import complex_type, unmasked
from .words import unknown_source

Psi = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], Any]

SAMPLES_PER_AXIS = 8
"""Points along each axis at which a function is evaluated for its fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSource:
    """A function of t, x, y, z; a Source."""

    function: Psi
    spec: str
    grid: Grid
    parallel: bool = False

    @property
    def order(self) -> Order:
        return "C"

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box. Raises InvalidInput if the function fails or returns no array that fits."""
        return self._at(
            *(
                self.grid.coordinates(a, i, j)
                for a, (i, j) in enumerate(zip(box.start, box.stop, strict=True))
            )
        )

    def fingerprint(self) -> str:
        """A hash of the values at up to 8 points along each axis, both ends included, and the grid.

        What a function depends on cannot be known: a change that shows at none of these points is missed.
        """
        samples = self._at(
            *(
                self.grid.coordinates(a, 0, size)[
                    np.linspace(0, size - 1, min(size, SAMPLES_PER_AXIS)).astype(int)
                ]
                for a, size in enumerate(self.grid.shape)
            )
        )
        digest = hashlib.sha256(np.ascontiguousarray(samples).data).hexdigest()[:32]
        return identity(self.spec, f"samples={digest}", grid=self.grid)

    def close(self) -> None:
        """There is nothing to close."""

    def _at(self, *coordinates: NDArray[np.float64]) -> NDArray[Any]:
        """ψ[t, x, y, z] where the coordinates cross: t [nt], x [nx], y [ny], z [nz]."""
        shape = tuple(len(c) for c in coordinates)
        t, x, y, z = np.ix_(*coordinates)  # [t, 1, 1, 1], [1, x, 1, 1], [1, 1, y, 1], [1, 1, 1, z]
        try:
            values = unmasked(self.function(t, x, y, z))
        except (Exception, SystemExit) as error:  # the function is the user's: it may raise anything
            raise InvalidInput(f"{self.spec} failed: {type(error).__name__}: {first_line(error)}") from error
        kind = complex_type(values.dtype, self.spec)
        try:
            return np.broadcast_to(values, shape).astype(kind, copy=False)
        except ValueError as error:
            raise InvalidInput(
                f"{self.spec} returned the shape {values.shape}, not one that fits {shape}"
            ) from error


@checked
def function(psi: Psi, *, grid: Grid, parallel: bool = False) -> FunctionSource:
    """A wavefunction given as a function, evaluated a chunk at a time in a worker thread.

    `psi(t, x, y, z)` gets float64 arrays that broadcast to [t, x, y, z] (times in ħ/Eh,
    positions in bohr) and returns ψ there, complex or real, of any shape that broadcasts
    likewise. `grid` must have a known spacing along every axis of more than one point; it is
    converted to atomic units. `parallel` allows that several threads call `psi` at once.
    Raises InvalidInput if a spacing or a unit is not known; an error that `psi` raises becomes
    InvalidInput when it is read.
    """
    for axis in range(4):
        grid.coordinates(axis, 0, 1)
    grid = grid.in_atomic_units()
    name = getattr(psi, "__qualname__", type(psi).__qualname__)
    spec = f"{getattr(psi, '__module__', '')}:{name}"
    return FunctionSource(function=psi, spec=spec, grid=grid, parallel=parallel)


def open_function(text: str, points: Grid) -> FunctionSource:
    """A wavefunction written as module:function. Raises InvalidInput if there is no such function, or it fails."""
    psi = imported(text, "a function of t, x, y, z", unknown=unknown_source(text))
    try:
        return replace(function(psi, grid=points), spec=text)
    except InvalidInput as error:
        raise InvalidInput(f"{text}: {error}") from error
