"""States of quantum registers and of solvers, Qiskit's or QuTiP's, as wavefunctions. Neither library is imported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checked import checked
from ..errors import InvalidInput
from ..lattice.grid import UNKNOWN_AXIS, Axis, Grid
from ..states import from_qobj, from_statevector
from ..states.amplitudes import psi_of
from .array import ArraySource, array
from .formats.coordinate import Coordinate
from .parameters import values_of


@checked
def statevector(state: Any, grid: Grid) -> ArraySource:
    """A `qiskit.quantum_info.Statevector` on a grid of one frame, ψ = amplitudes / √dV; a Source.

    The lowest bits of the index of an amplitude are z, see `states.qiskit`. The amplitudes are
    copied. Raises InvalidInput if their number is not that of the points, or dV is not known.
    """
    return array(from_statevector(state, grid)[None], grid)


@checked
def qobj(ket: Any, grid: Grid) -> ArraySource:
    """A ket `qutip.Qobj` of subsystems x, y, z on a grid of one frame, ψ = amplitudes / √dV; a Source.

    The amplitudes are copied. Raises InvalidInput if it is no ket, if their number is not that of
    the points, or dV is not known.
    """
    return array(from_qobj(ket, grid)[None], grid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kets:
    """Kets of `sizes` along x, y, z, each a frame. `vector` gives the amplitudes of one, z fastest."""

    what: str
    states: Sequence[Any]
    vector: Callable[[Any], NDArray[Any]]
    sizes: tuple[int, ...]
    times: Sequence[float] | None = None


def kets_in(x: Any) -> Kets | None:
    """The kets that something of QuTiP or Qiskit holds; None if it is of neither library, nor a list of kets.

    Raises InvalidInput for what has no kets: operators, density matrices, results without states.
    """
    if _is(x, "qiskit", "Statevector"):
        # Qiskit counts the first subsystem fastest.
        return Kets(
            what="a Statevector",
            states=[x],
            vector=lambda state: np.asarray(state.data),
            sizes=_sizes(x.dims()[::-1]),
        )
    states, times, what = x, None, "kets of QuTiP"
    if _is(x, "qutip", "Qobj"):
        states = [x]
    elif _library(x) == "qutip" and hasattr(x, "states") and hasattr(x, "times"):
        states, times, what = x.states, x.times, f"the {type(x).__name__} of a solver of QuTiP"
        if not states:
            raise InvalidInput(f"{what} has no states: solve with options={{'store_states': True}}")
    elif _library(x) in ("qutip", "qiskit"):
        raise InvalidInput(
            f"a {type(x).__name__} of {_library(x)} is no ket: a wavefunction is a Qobj of type ket, "
            "a Result with states, or a Statevector"
        )
    elif not (isinstance(x, list | tuple) and x and all(_is(item, "qutip", "Qobj") for item in x)):
        return None
    for number, state in enumerate(states):
        if not getattr(state, "isket", False):
            kind = getattr(state, "type", None) or type(state).__name__
            raise InvalidInput(f"{what}: a wavefunction is a ket, and state {number} is of type {kind}")
        if state.dims != states[0].dims:
            raise InvalidInput(
                f"{what}: state {number} has the dims {state.dims}, and the first {states[0].dims}"
            )
    if times is not None and len(times) != len(states):
        raise InvalidInput(f"{what} has {len(states)} states for {len(times)} times")
    count, subsystems = states[0].shape[0], np.asarray(states[0].dims[0]).reshape(-1).tolist()
    # Where the number of excitations is restricted, there are fewer amplitudes than the subsystems have states.
    sizes = _sizes(subsystems if math.prod(subsystems) == count else [count])
    return Kets(what=what, states=states, vector=lambda ket: ket.full().reshape(-1), sizes=sizes, times=times)


def frames_of_kets(
    kets: Kets,
    grid: Grid | None = None,
    *,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> ArraySource:
    """Kets as the frames of a wavefunction, ψ = amplitudes / √dV; without a grid or box the amplitudes themselves.

    A grid of one frame is that of each; its time axis is then that of the kets. Nothing is copied
    before it is read. Raises InvalidInput if the number of amplitudes or kets is not that of
    the grid, if its dV is not known, or if the times are not evenly spaced.
    """
    count = len(kets.states)
    if grid is None:
        points = Grid.of(kets.sizes, frames=count)
    else:
        points = grid if grid.shape[0] == count else replace(grid, shape=(count, *grid.shape[1:]))
        if grid.shape[0] not in (1, count):
            raise InvalidInput(f"{kets.what}: {count} states, but the grid has {grid.shape[0]} frames")
    if box is not None:
        points = points.with_box(values_of(box))
    if dt is not None:
        points = points.with_time_step(dt)
    elif grid is None or grid.shape[0] != count or grid.axes[0].step is None:
        points = replace(points, axes=(_time_axis(kets), *points.axes[1:]))
    laid = grid is not None or box is not None
    source = array(_Frames(kets=kets, grid=points, laid=laid), points, dims="t,x,y,z")
    spec = f"{kets.what}, {count} of {'×'.join(map(str, kets.sizes))} amplitudes"
    return source.extended(ArraySource, spec=spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frames:
    """Kets as an array [t, x, y, z] that is read a block at a time. `laid`: over a grid whose dV is known."""

    kets: Kets
    grid: Grid
    laid: bool

    def __post_init__(self) -> None:
        self._frame(0)  # raises InvalidInput if the kets do not fit the grid

    @property
    def shape(self) -> tuple[int, ...]:
        return self.grid.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.complex128)

    def __getitem__(self, slices: tuple[slice, ...]) -> NDArray[Any]:
        times, *place = slices
        return np.stack([self._frame(number)[tuple(place)] for number in range(times.start, times.stop)])

    def _frame(self, number: int) -> NDArray[Any]:
        vector = self.kets.vector(self.kets.states[number])
        return psi_of(vector, self.grid) if self.laid else vector.reshape(self.grid.shape[1:])


def _time_axis(kets: Kets) -> Axis:
    if kets.times is None:
        return UNKNOWN_AXIS
    times = np.asarray(kets.times)
    return Coordinate(values=times).axis(time=True, what=f"the list of times of {kets.what}")


def _sizes(subsystems: Sequence[int]) -> tuple[int, ...]:
    """Points along x, y, z of up to three subsystems, the last one fastest; of more, or of qubits, all along x."""
    several = len(subsystems) > 1 and all(size == 2 for size in subsystems)
    return (math.prod(subsystems),) if several or len(subsystems) > 3 else tuple(subsystems)


def _library(x: Any) -> str:
    return type(x).__module__.partition(".")[0]


def _is(x: Any, library: str, name: str) -> bool:
    """Whether something is of a class of this name of a library, or of one derived from it."""
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == library for kind in type(x).__mro__
    )
