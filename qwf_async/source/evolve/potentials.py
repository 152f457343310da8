"""Potentials V(x, y, z[, t]): the built-in ones, a user's function, and either of them from text."""

from __future__ import annotations

import difflib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ...checked import checked
from ...errors import InvalidInput
from ...lattice.grid import Box, Grid
from ...lattice.unit_system import HARTREE, unit_system
from ...observables.geometry import coordinates, share_inside, spacing, spatial_axes
from ...optional import first_line
from ..arguments import arguments, imported
from ..elements import unmasked
from ..parameters import (
    MAX_MAGNITUDE,
    Energy,
    Frequencies,
    Length,
    Lengths,
    Position,
    number_text,
    positive,
    reals,
    values_of,
)

Real = NDArray[np.float64]

ONE_NUMBER: Final = ("float", "Energy", "Length")
ONE_AN_AXIS: Final = ("Frequencies", "Lengths", "Position")
"""Annotations of parameters of potentials that are numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The points of one dimension in bohr: `x` of the shape [n, 1, 1], [1, n, 1] or [1, 1, n], and their step."""

    x: Real
    step: float

    def inside(self, low: float, high: float) -> Real:
        """The share, 0 to 1, of each point's cell, x − step/2 … x + step/2, that lies between `low` and `high`."""
        return share_inside(self.x, self.step, low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Potential(ABC):
    """A real potential in Hartree. Every field is a parameter on the command line."""

    name: ClassVar[str]
    jumps: ClassVar[bool] = False
    """Whether V has edges where it is not continuous."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.type in (*ONE_NUMBER, *ONE_AN_AXIS):
                numbers = _floats(each.name, getattr(self, each.name))
                object.__setattr__(self, each.name, numbers[0] if each.type in ONE_NUMBER else numbers)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters as text."""
        return {each.name: number_text(getattr(self, each.name)) for each in fields(self)}

    @property
    def spec(self) -> str:
        """The potential as it can be given on the command line."""
        given = ",".join(f"{key}={value}" for key, value in self.parameters.items())
        return f"{self.name}:{given}" if given else self.name

    @property
    def moving(self) -> bool:
        """Whether it depends on time."""
        return False

    @abstractmethod
    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        """V at the points where the axes cross, in Hartree: of a shape that broadcasts to theirs.

        Where V jumps it is the mean over the point's cell, which reaches half a step to either side
        along each axis. So an edge may lie anywhere, not only in the middle between two points.
        `axes` are the dimensions of the grid, `t` is in ħ/Eh, `mass` in electron masses.
        Raises InvalidInput for parameters that do not fit the dimensions.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Free(Potential):
    """V = 0."""

    name: ClassVar[str] = "free"

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        return np.zeros((1, 1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonicTrap(Potential):
    """V = Σ mω²(x − centre)²/2 over the axes; `omega` in Eh/ħ, `centre` in bohr, m the mass of the grid.

    Source: Griffiths, Introduction to Quantum Mechanics, section 2.3.
    """

    name: ClassVar[str] = "harmonic"
    omega: Frequencies = 1.0
    centre: Position = 0.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        omegas, centres = positive("omega", self.omega, len(axes)), reals("centre", self.centre, len(axes))
        return sum(0.5 * mass * (w * (a.x - c)) ** 2 for w, a, c in zip(omegas, axes, centres, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTrap(Potential):
    """V = 0 within `width` (bohr, one number or one an axis) around `centre`, `height` (Eh) outside.

    Source: Griffiths, section 2.6, the finite square well, raised by its depth.
    """

    name: ClassVar[str] = "box"
    jumps: ClassVar[bool] = True
    width: Lengths
    height: Energy = 10.0
    centre: Position = 0.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        widths, centres = positive("width", self.width, len(axes)), reals("centre", self.centre, len(axes))
        inside: Any = 1.0
        for w, a, c in zip(widths, axes, centres, strict=True):
            inside = inside * a.inside(c - w / 2, c + w / 2)
        return self.height * (1.0 - inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier(Potential):
    """V = `height` (Eh) for |x − centre| < width/2 (bohr), 0 elsewhere; below 0 it is a well.

    The same along y and z. Source: Griffiths, section 2.6 and its problems.
    """

    name: ClassVar[str] = "barrier"
    jumps: ClassVar[bool] = True
    height: Energy = 1.0
    width: Length = 1.0
    centre: Length = 0.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        return self.height * axes[0].inside(self.centre - self.width / 2, self.centre + self.width / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Potential):
    """V = `height` (Eh) for x > centre (bohr), 0 elsewhere, up to the edge of the grid; the same along y and z.

    Source: Griffiths, section 2.6 and its problems.
    """

    name: ClassVar[str] = "step"
    jumps: ClassVar[bool] = True
    height: Energy = 1.0
    centre: Length = 0.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        return self.height * axes[0].inside(self.centre, math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleSlit(Potential):
    """A wall across x of `thickness` and `height` with two openings, each `slit` wide, `apart` from each other.

    The openings lie at y = ±apart/2 (from middle to middle) and go through along z. Lengths are
    in bohr, the height in Eh; `centre` is where along x the wall stands.
    """

    name: ClassVar[str] = "double-slit"
    jumps: ClassVar[bool] = True
    height: Energy = 20.0
    thickness: Length = 1.0
    slit: Length = 1.0
    apart: Length = 4.0
    centre: Length = 0.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        if len(axes) < 2:
            raise InvalidInput("double-slit needs two dimensions or three: give a grid such as 256x256")
        wall = axes[0].inside(self.centre - self.thickness / 2, self.centre + self.thickness / 2)
        low, high = max(0.0, (self.apart - self.slit) / 2), (self.apart + self.slit) / 2
        openings = axes[1].inside(low, high) + axes[1].inside(-high, -low)
        return self.height * wall * (1.0 - openings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftCoulomb(Potential):
    """V = −Z/√(r² + soft²), r from the origin, `soft` in bohr: attractive for Z > 0.

    Source: Javanainen, Eberly and Su, Phys. Rev. A 38, 3430 (1988).
    """

    name: ClassVar[str] = "coulomb"
    Z: float = 1.0
    soft: Length = 1.0

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        if not self.soft > 0:
            raise InvalidInput(f"soft={self.soft:g} must be above 0")
        return -self.Z / np.sqrt(sum(a.x * a.x for a in axes) + self.soft**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPotential(Potential):
    """A user's V(x, y, z) or V(x, y, z, t): it depends on time if it takes a fourth argument.

    It is evaluated at the points: if it jumps, the function itself must give the mean over a cell.
    """

    name: ClassVar[str] = "function"
    function: Callable[..., Any]
    text: str

    @property
    def parameters(self) -> dict[str, str]:
        return {}

    @property
    def spec(self) -> str:
        return self.text

    @property
    def moving(self) -> bool:
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            return False  # a NumPy ufunc does not say what it takes
        plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        return sum(p.default is p.empty for p in plain) >= 4 or any(p.name == "t" for p in plain[3:])

    def at(self, axes: Sequence[Line], t: float, mass: float) -> Any:
        x, y, z = (*(a.x for a in axes), np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))[:3]
        try:
            return self.function(x, y, z, t) if self.moving else self.function(x, y, z)
        except (Exception, SystemExit) as error:  # the function is the user's: it may raise anything
            raise InvalidInput(
                f"potential {self.text} failed: {type(error).__name__}: {first_line(error)}"
            ) from error


POTENTIALS: Final[Mapping[str, type[Potential]]] = {
    kind.name: kind for kind in (Free, HarmonicTrap, BoxTrap, Barrier, Step, DoubleSlit, SoftCoulomb)
}
"""Built-in potentials by name on the command line. Their parameters are their fields."""


@checked
def read_potential(text: str, units: str | None = None) -> Potential:
    """The potential that "barrier:height=2,width=1" or "module:function" stands for.

    With `units` "eV/nm/fs" its numbers are in these; those of a function are in atomic units always.
    Raises InvalidInput for others, and UsageError for units of another name.
    """
    system = HARTREE if units is None else unit_system(units)
    name, _, rest = text.partition(":")
    kind = POTENTIALS.get(name)
    if kind is not None:
        return kind(**arguments(name, kind, rest, units=system))
    near = difflib.get_close_matches(name, POTENTIALS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    unknown = f"unknown potential {text!r}{hint}: it is one of {', '.join(POTENTIALS)}, or module:function"
    if not rest or "=" in rest:
        raise InvalidInput(unknown)
    function = imported(text, "a function V(x, y, z) or V(x, y, z, t)", unknown=unknown)
    return FunctionPotential(function=function, text=text)


def potential_of(potential: Potential | Callable[..., Any] | str) -> Potential:
    """The potential that a user gives: as text, a built-in one, or a function. Raises as `read_potential`."""
    if isinstance(potential, str):
        return read_potential(potential)
    if isinstance(potential, Potential):
        return potential
    name = getattr(potential, "__qualname__", type(potential).__qualname__)
    return FunctionPotential(function=potential, text=f"{getattr(potential, '__module__', '')}:{name}")


def potential_values(potential: Potential, grid: Grid, t: float, box: Box | None = None) -> Real:
    """V at the points of the grid, or of a box, at time t (ħ/Eh), in Hartree: float64 that broadcasts to [x, y, z].

    Where a built-in potential jumps it is the mean over the point's cell.
    Raises InvalidInput if the grid's spacing is not known, or if the potential is of another
    shape, not real, or NaN or infinite anywhere.
    """
    part = box or grid.whole
    for axis in spatial_axes(grid):
        grid.coordinates(axis, 0, 0)  # raises: a potential needs positions in bohr, not in steps
    lines = [coordinates(grid, axis, part.start[axis], part.stop[axis]) for axis in spatial_axes(grid)]
    # A line [n] becomes [n, 1, 1], [1, n, 1] or [1, 1, n], so that lines broadcast to [x, y, z].
    axes = [
        Line(x=x.reshape([-1 if axis == own else 1 for axis in range(3)]), step=spacing(grid, own + 1))
        for own, x in enumerate(lines)
    ]
    v = unmasked(potential.at(axes, t, grid.mass))
    if v.dtype.kind not in "fiub":
        raise InvalidInput(f"potential {potential.spec} is of type {v.dtype}; it must be real")
    shape = part.shape[1:]
    try:
        np.broadcast_to(v, shape)
    except ValueError as error:
        raise InvalidInput(
            f"potential {potential.spec} has the shape {v.shape}, not one that fits {shape}"
        ) from error
    if not np.isfinite(v).all():
        raise InvalidInput(
            f"potential {potential.spec} is NaN or infinite at {np.count_nonzero(~np.isfinite(v)):,} points "
            f"at t = {t:g}: give it a large finite value there"
        )
    # As NumPy broadcasts, missing axes come first: [z] becomes [1, 1, z].
    return v.astype(np.float64, copy=False).reshape((1,) * (3 - v.ndim) + v.shape)


def _floats(name: str, value: Any) -> tuple[float, ...]:
    numbers = tuple(float(v) for v in values_of(value))
    if not all(abs(v) <= MAX_MAGNITUDE for v in numbers):
        raise InvalidInput(
            f"{name}={number_text(numbers)} must be finite and at most {MAX_MAGNITUDE:g} in magnitude"
        )
    return numbers
