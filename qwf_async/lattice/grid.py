"""Grids and boxes: which points there are, and where they lie.

A wavefunction is indexed [t, x, y, z] everywhere in this module. Everything here is a pure
function of numbers, without a connection, a file or an array of points.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ..checked import check_fields, checked
from ..errors import InvalidInput, UnusableIndex
from ..wording import option, quoted
from .units import in_atomic_units

AXIS_NAMES: Final = ("t", "x", "y", "z")

MAX_EXTENT: Final = 1e50
"""The largest extent of an axis in bohr: squares, quotients and products along three axes stay finite."""

Shape3 = tuple[int, int, int]
Shape4 = tuple[int, int, int, int]
Order = Literal["C", "F"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The positions of the points of one axis: point i is at `origin + i * step`.

    `step` None means that the spacing is not known, as of a plain array: nothing is guessed.
    `unit` is a name in the table of `units`; None means atomic units (bohr, ħ/Eh).
    `periodic` says that the end point is left out, because it is the first point again.
    """

    origin: float = 0.0
    step: float | None = None
    unit: str | None = None
    periodic: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        # NumPy's numbers are converted, because they cannot be written as JSON.
        object.__setattr__(self, "origin", float(self.origin))
        object.__setattr__(self, "step", None if self.step is None else float(self.step))
        if not math.isfinite(self.origin):
            raise InvalidInput(f"axis origin {self.origin!r} is not a finite number")
        if self.step is not None and not (math.isfinite(self.step) and self.step > 0):
            raise InvalidInput(f"axis step {self.step!r} must be a finite number above 0")

    def in_atomic_units(self, name: str) -> Axis:
        """The same points in bohr, or in ħ/Eh on the axis named t. Raises InvalidInput for an unknown unit."""
        factor, unit = in_atomic_units(self.unit, time=name == "t", what=f"axis {name}")
        if factor == 1:
            return replace(self, unit=unit)
        step = None if self.step is None else self.step * factor
        return replace(self, origin=self.origin * factor, step=step, unit=unit)


UNKNOWN_AXIS: Final = Axis()


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A block of points, half open: `start[a] <= i < stop[a]` on each of the axes t, x, y, z."""

    start: Shape4
    stop: Shape4

    @property
    def shape(self) -> Shape4:
        (t, x, y, z), (t_stop, x_stop, y_stop, z_stop) = self.start, self.stop
        return t_stop - t, x_stop - x, y_stop - y, z_stop - z

    @property
    def points(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice, slice]:
        return self.within(Box(start=(0, 0, 0, 0), stop=self.stop))

    def halves(self, grain: Shape4) -> tuple[Box, Box, int] | None:
        """The two boxes of a cut at a multiple of the grain, and the axis that is cut; None if none can be."""
        cells = [
            range(-(-(start + 1) // step) * step, stop, step)
            for start, stop, step in zip(self.start, self.stop, grain, strict=True)
        ]  # the indices at which each axis can be cut
        axis = max(range(4), key=lambda a: len(cells[a]))
        if not cells[axis]:
            return None
        cut = cells[axis][len(cells[axis]) // 2]
        stop, start = list(self.stop), list(self.start)
        stop[axis] = start[axis] = cut
        return Box(start=self.start, stop=shape4(stop)), Box(start=shape4(start), stop=self.stop), axis

    def from_corner(self, outer: Box) -> Box:
        """The same box with its indices counted from the first point of another."""
        start = shape4(a - b for a, b in zip(self.start, outer.start, strict=True))
        return Box(start=start, stop=shape4(a - b for a, b in zip(self.stop, outer.start, strict=True)))

    def within(self, outer: Box) -> tuple[slice, slice, slice, slice]:
        """Slices that cut this box out of an array that holds `outer`."""
        ends = zip(self.start, self.stop, outer.start, strict=True)
        t, x, y, z = (slice(a - first, b - first) for a, b, first in ends)
        return t, x, y, z


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Shape and axes of a wavefunction ψ[t, x, y, z], and the mass of its particle.

    A state of fewer dimensions has axes of one point at the end (1-D: y = z = 1). Units are Hartree
    atomic units (ħ = m_e = e = 1) unless an axis has another unit. `mass` is in electron masses:
    kinetic energies and currents follow from ψ only together with it.
    """

    shape: Shape4
    axes: tuple[Axis, Axis, Axis, Axis] = (UNKNOWN_AXIS,) * 4
    mass: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "shape", shape4(map(int, self.shape)))
        for name, size in zip(AXIS_NAMES, self.shape, strict=True):
            if size < 1:
                raise InvalidInput(f"axis {name} of the grid has {size} points; it needs at least 1")
        object.__setattr__(self, "mass", float(self.mass))
        if not 1 / MAX_EXTENT <= self.mass <= MAX_EXTENT:
            raise InvalidInput(f"mass={self.mass:g} must be above 0 (electron masses, from 1e-50 to 1e50)")
        if self.points > 2**62:
            raise InvalidInput("a grid of more than 2**62 points is beyond what can be counted")

    @classmethod
    @checked
    def cube(cls, n: int, *, box: float | None = None, frames: int = 1, dt: float | None = None) -> Grid:
        """A grid of n³ points a frame; `box` is the edge of the cube in bohr, `dt` the time step in ħ/Eh."""
        return cls.of((n, n, n), box=None if box is None else (box,) * 3, frames=frames, dt=dt)

    @classmethod
    @checked
    def of(
        cls,
        sizes: Sequence[int],
        *,
        box: Sequence[float] | None = None,
        frames: int = 1,
        dt: float | None = None,
    ) -> Grid:
        """A grid of one to three spatial sizes (x, y, z), periodic and centred on 0.

        `box` gives the extent of each axis in bohr. Without it the spacing is unknown until a source
        with a natural extent sets it. Raises InvalidInput for sizes below 1, more than three sizes,
        or extents that do not match the sizes.
        """
        if not 1 <= len(sizes) <= 3:
            raise InvalidInput(f"a grid has 1 to 3 spatial sizes, got {len(sizes)}")
        x, y, z = (*sizes, 1, 1)[:3]
        step = Axis(step=dt, unit="hbar/Eh") if dt is not None else UNKNOWN_AXIS
        grid = cls(shape=(frames, x, y, z), axes=(step, UNKNOWN_AXIS, UNKNOWN_AXIS, UNKNOWN_AXIS))
        return grid if box is None else grid.with_box(box)

    @property
    def dimensions(self) -> int:
        """The number of spatial dimensions: the last axis of more than one point, at least 1."""
        return max((i for i in (1, 2, 3) if self.shape[i] > 1), default=1)

    @property
    def points(self) -> int:
        return math.prod(self.shape)

    @property
    def frame_points(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def whole(self) -> Box:
        return Box(start=(0, 0, 0, 0), stop=self.shape)

    @property
    def cell_volume(self) -> float | None:
        """dV in bohr^d over the spatial axes that have more than one point; None if unknown.

        Raises InvalidInput for an axis whose unit is not known.
        """
        volume = 1.0
        for name, size, axis in zip(AXIS_NAMES[1:], self.shape[1:], self.axes[1:], strict=True):
            if size > 1:
                step = axis.in_atomic_units(name).step
                if step is None:
                    return None
                volume *= step
        return volume

    def in_atomic_units(self) -> Grid:
        """The same points with all axes in bohr and ħ/Eh. Raises InvalidInput for an unknown unit."""
        named = zip(AXIS_NAMES, self.axes, strict=True)
        t, x, y, z = (axis.in_atomic_units(name) for name, axis in named)
        return replace(self, axes=(t, x, y, z))

    @checked
    def with_box(self, extents: Sequence[float], *, centred: bool = True) -> Grid:
        """The same points over the given extents in bohr: step = extent / size, the end left out."""
        extents = tuple(map(float, extents))
        if len(extents) == 1:
            extents *= self.dimensions
        if not self.dimensions <= len(extents) <= 3:
            raise InvalidInput(
                f"{len(extents)} extents given for a grid of {self.dimensions} dimensions, "
                f"{'×'.join(map(str, self.shape[1:]))} points: {option('box')} takes one for all, or one an axis"
            )
        axes = list(self.axes)
        for i, extent in enumerate(extents, start=1):
            if not 1 / MAX_EXTENT <= extent <= MAX_EXTENT:
                raise InvalidInput(
                    f"the extent of axis {AXIS_NAMES[i]} is {extent}; it must be above 0, from 1e-50 to 1e50"
                )
            if self.shape[i] > 1:
                origin = -extent / 2 if centred else 0.0
                axes[i] = Axis(origin=origin, step=extent / self.shape[i], unit="bohr")
        return replace(self, axes=(axes[0], axes[1], axes[2], axes[3]))

    @checked
    def with_time_step(self, dt: float) -> Grid:
        """The same grid with frames at 0, dt, 2·dt, … (dt in ħ/Eh)."""
        return replace(self, axes=(Axis(step=dt, unit="hbar/Eh"), *self.axes[1:]))

    def coordinates(self, axis: int, start: int, stop: int) -> NDArray[np.float64]:
        """Positions of the points start … stop−1 of an axis, float64, in the axis's unit.

        Raises InvalidInput if the axis has more than one point and an unknown spacing.
        """
        a = self.axes[axis]
        if a.step is None and self.shape[axis] > 1:
            way = option("box" if axis else "dt")
            raise InvalidInput(f"the spacing of axis {AXIS_NAMES[axis]} is not known: give {way}")
        return a.origin + np.arange(start, stop, dtype=np.float64) * (a.step or 0.0)

    def index(self, x: int, y: int = 0, z: int = 0, t: int = 0) -> Shape4:
        """The array index [t, x, y, z] of a point named x, y, z, t; one below 0 counts from the end, as in NumPy.

        Raises InvalidInput for a point outside the grid, and for an index that is no integer.
        """
        named = zip(AXIS_NAMES, (t, x, y, z), self.shape, strict=True)
        return shape4(index_on_axis(name, _whole(i), size) for name, i, size in named)

    def to_json(self) -> dict[str, Any]:
        """Shape and axes as plain values, for the manifest, and the mass if it is not 1."""
        axes = [
            {"name": n, "origin": a.origin, "step": a.step, "unit": a.unit, "periodic": a.periodic}
            for n, a in zip(AXIS_NAMES, self.axes, strict=True)
        ]
        return {"shape": list(self.shape), "axes": axes, **({} if self.mass == 1 else {"mass": self.mass})}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grid:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError if it is malformed."""
        t, x, y, z = (
            Axis(origin=a["origin"], step=a["step"], unit=a["unit"], periodic=a["periodic"])
            for a in value["axes"]
        )
        shape = shape4(map(json_integer, value["shape"]))
        return cls(shape=shape, axes=(t, x, y, z), mass=float(value.get("mass", 1)))


def index_on_axis(name: str, index: int, size: int) -> int:
    """An index from 0 to size − 1, of one that may count from the end as in NumPy. Raises UnusableIndex outside."""
    if not -size <= index < size:
        also = "" if index >= 0 else f"; counted from the end, from -{size} to -1"
        raise UnusableIndex(f"{name} = {index} is outside the grid: {name} runs from 0 to {size - 1}{also}")
    return index % size


def _whole(index: int) -> int:
    try:
        return operator.index(index)
    except TypeError as error:
        raise UnusableIndex(f"an index is an integer, not {quoted(repr(index))}") from error


def json_integer(value: Any) -> int:
    """A whole number from JSON. Raises TypeError for any other value."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{quoted(value)} is no whole number")
    return value


def shape4(sizes: Iterable[int]) -> Shape4:
    """Four sizes or indices as a tuple."""
    t, x, y, z = sizes
    return t, x, y, z
