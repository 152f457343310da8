"""An evolution from its parts: the state that it begins with, the potential, and its parameters, which are checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from ...checked import checked
from ...errors import InvalidInput, UsageError
from ...lattice.grid import Axis, Grid
from ...wording import option
from ..array import array
from ..base import Source
from ..parameters import MAX_MAGNITUDE
from .absorbing import damping
from .choosing import check_library
from .evolution import ACCURACY, Evolve
from .initial import initial_of
from .potentials import Potential, potential_of
from .stability import stable_step


@checked
def evolve(
    initial: Source | Any,
    potential: Potential | Callable[..., Any] | str = "free",
    *,
    frames: int | None = None,
    dt: float | None = None,
    steps: int = 0,
    accuracy: float = ACCURACY,
    absorb: float = 0.0,
    strength: float = 0.0,
    g: float = 0.0,
    mass: float | None = None,
    start: float | None = None,
    frame: int | None = None,
    fft: str = "auto",
) -> Evolve:
    """The state `initial`, propagated in a potential in 1 to 3 dimensions.

    `initial`: a source, or an array that `array` takes. Of data, as a file or an array, the run goes on
    where they end: with the last frame, or the one numbered `frame`, or the one at the time `start`
    (ħ/Eh). The times of the run begin at `start`, else at the time of that frame if it is known, else at 0.
    A state by its formula, or a function, is taken at its first time, or at `start`.

    `potential`: as text, "barrier:height=2,width=1" or "module:function"; a built-in one; or a
    function V(x, y, z) or V(x, y, z, t). The function gets float64 arrays that broadcast to
    [x, y, z] (bohr, ħ/Eh). It returns V in Hartree, real, of a shape that broadcasts likewise.
    `frames` and `dt` (ħ/Eh from frame to frame) are those of `initial` unless given: as many as it has.

    `accuracy`, 1e-10 to 0.1, bounds the error that the time steps make, ‖ψ − right ψ‖ / ‖first ψ‖ at
    every frame; the error of the grid comes on top. The steps are chosen during the run by an estimate
    (see `pace`) that takes a quarter of its time. With `g`, where an early error grows by itself, the run
    may be computed anew from its first frame, which takes two frames more. There are at least as
    many steps as are stable. In a
    stable step no wave of the grid turns its phase by more than π, and neither does the range of V
    over the grid. `steps` > 0 from frame to frame are taken as given, and `remarks` warns after the run
    if the error was larger. For the method see `propagator`.

    With `g` ≠ 0 (Hartree·bohr^d in d dimensions) it obeys the Gross–Pitaevskii equation, the nonlinear
    Schrödinger equation iħ∂ψ/∂t = (p²/2m + V + g|ψ|²)ψ: g > 0 repels, g < 0 attracts. ψ is taken as it
    is, of whatever norm. An attraction can make ψ collapse, which `read` raises as InvalidInput.
    `mass` is that of the particle in electron masses, by default that of the grid of `initial`.
    Source: Pethick and Smith, Bose–Einstein Condensation in Dilute Gases, section 6.1.

    `fft` is the library that transforms: "scipy", "fftw", or "auto", which is FFTW where pyfftw is installed
    and the run is long enough to measure plans for. Both differ by rounding, so one does not continue the other.

    The grid is periodic: what leaves it on one side comes back on the other, unless it is absorbed.
    With `absorb` > 0 the potential has an imaginary part within so many bohr of both edges of each
    axis. All but 1e-3 is absorbed of waves from 5.5/absorb to 80/absorb ħ/bohr; `warnings` tells if
    the initial state has others (see `absorbing`). `strength` is the imaginary part at the edge in
    Hartree, 0 for the best one. The norm decreases by what is absorbed.

    Memory: four frames of complex128, a fifth where there are more than 256 stable steps from frame
    to frame, e^{−iVdt/2} of up to a frame, and V of half a frame; one frame less with given `steps`.
    Raises InvalidInput for a potential that is unknown or unfit, a grid of unknown spacing, or
    parameters out of range, and UsageError where SciPy is not installed.
    """
    _need_scipy()
    source = initial if isinstance(initial, Source) else array(initial)
    if frames is None:
        frames = source.grid.shape[0]
    source = initial_of(source, frame=frame, start=start)
    grid = _laid(source.grid, frames, dt)
    if mass is not None:
        grid = replace(grid, mass=mass)
    chosen = potential_of(potential)
    if steps < 0:
        raise InvalidInput(f"steps={steps} must be 0 (as many as `accuracy` needs) or more")
    if not 1e-10 <= accuracy <= 0.1:
        raise InvalidInput(f"accuracy={accuracy:g} must lie between 1e-10 and 0.1")
    if not (math.isfinite(absorb) and absorb >= 0 and math.isfinite(strength) and strength >= 0):
        raise InvalidInput(f"absorb={absorb:g} and strength={strength:g} must be finite, and not below 0")
    if not abs(g) <= MAX_MAGNITUDE:
        raise InvalidInput(f"g={g:g} must be finite and at most {MAX_MAGNITUDE:g} in magnitude")
    check_library(fft)
    damping(grid, absorb, strength)
    times = {grid.axes[0].origin + number * (grid.axes[0].step or 0.0) for number in (0, grid.shape[0] - 1)}
    return Evolve(
        initial=source,
        potential=chosen,
        grid=grid,
        given=steps,
        accuracy=float(accuracy),
        stable=stable_step(grid, chosen, sorted(times)),
        absorb=float(absorb),
        strength=float(strength),
        g=float(g),
        fft=fft,
    )


def _laid(grid: Grid, number: int, dt: float | None) -> Grid:
    """The grid of the evolution, in atomic units. Raises InvalidInput for unknown spacings and units."""
    for axis in (1, 2, 3):
        grid.coordinates(axis, 0, 1)
    grid = grid.in_atomic_units()
    time = grid.axes[0] if dt is None else Axis(origin=grid.axes[0].origin, step=dt, unit="hbar/Eh")
    if number > 1 and time.step is None:
        raise InvalidInput(f"{number} frames need a time step: give {option('dt')}")
    return replace(grid, shape=(number, *grid.shape[1:]), axes=(time, *grid.axes[1:]))


def _need_scipy() -> None:
    if find_spec("scipy") is None:
        raise UsageError(
            "time evolution needs scipy, which is not installed: pip install 'qwf_async[physics]'"
        )
