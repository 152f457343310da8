"""One array of a file, as any format has it: read a block at a time, with names and coordinates of its dimensions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import Axis
from ...lattice.units import in_atomic_units
from ...wording import option
from .packing import Packing

EVENNESS: Final = 1e-6
"""Of a step: how far a coordinate may lie from where even spacing has it."""

Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinate:
    """Where the points along one dimension lie, as the file states it.

    `stated` are the origin and the step where the file has them as numbers beside the
    coordinates; `unit` None is a coordinate without a unit.
    """

    values: NDArray[Any]
    unit: str | None = None
    stated: tuple[float, float] | None = None
    periodic: bool = True

    def axis(self, *, time: bool, what: str) -> Axis:
        """The same as an axis in atomic units; without a unit the numbers are taken as they are.

        Raises InvalidInput, naming `what`, if the points are not numbers, not evenly spaced, run
        downwards, or are in a unit that is not known.
        """
        way = option("dt" if time else "box")
        if self.values.dtype.kind in "mM":
            raise InvalidInput(
                f"{what} holds {self.values.dtype}: open it with decode_times=False and decode_timedelta=False to "
                f"have its numbers, or say where its points lie by {way}"
            )
        if self.values.ndim != 1 or self.values.dtype.kind not in "fiu":
            raise InvalidInput(
                f"{what} holds {self.values.dtype}, [{self.values.ndim} dimensions]; it must be numbers along one"
            )
        points = self.values.astype(np.float64)
        if not np.isfinite(points).all():
            raise InvalidInput(
                f"{what} holds NaN, infinity or what its file says is missing: say where its points lie by {way}"
            )
        factor, unit = in_atomic_units(self.unit, time=time, what=what)
        origin, step = self._line(points, what, way)
        return Axis(
            origin=origin * factor,
            step=None if step is None else step * factor,
            unit=unit,
            periodic=self.periodic,
        )

    def _line(self, points: NDArray[np.float64], what: str, way: str) -> tuple[float, float | None]:
        """Origin and step; the step of one point is known only if it is stated."""
        if self.stated is not None:
            origin, step = self.stated
        elif len(points) == 1:
            return float(points[0]), None
        else:
            origin, step = float(points[0]), float((points[-1] - points[0]) / (len(points) - 1))
        if not step > 0:
            raise InvalidInput(
                f"{what} does not run upwards: turn it and ψ, or say where its points lie by {way}"
            )
        kept = np.finfo(self.values.dtype if self.values.dtype.kind == "f" else np.float64).eps
        allowed = EVENNESS * step + 8 * kept * np.abs(points).max()
        off = np.abs(points - (origin + step * np.arange(len(points))))
        if off.max() > allowed:
            worst = int(off.argmax())
            raise InvalidInput(
                f"{what} is not evenly spaced: point {worst} is at {points[worst]:.9g}, where a step of {step:.9g} "
                f"has {origin + worst * step:.9g}; interpolate ψ to an even grid, or say where its points lie by "
                f"{way}"
            )
        return origin, step


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisArray:
    """An array beside ψ that may be its axis `letter`, see `beside`; `read` is asked only if it is.

    `what` names it in messages, `length` is its number of points.
    """

    letter: str
    what: str
    length: int
    read: Callable[[], Coordinate] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`read` yields a block of `shape`'s dimensions; `what` names it in messages.

    `chunk` is the block in which the file stores it, and that is read as a whole; None if it
    lies with nothing between, so that any row of its last dimension is cheap, or of its first
    if it is `fortran`. `parted` says that of a block a part can be read alone, `parallel` that
    several threads may read at once. `member` is what tells it from others of the same file.
    What `read` yields is of `dtype`, and means what `packing` says; None if it means itself.
    `beside` are arrays that may be axes where a dimension has no name and no coordinate.
    """

    what: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Slices], NDArray[Any]] = field(repr=False)
    names: tuple[str | None, ...]
    packing: Packing | None = None
    chunk: tuple[int, ...] | None = None
    fortran: bool = False
    parted: bool = False
    parallel: bool = False
    coordinates: Mapping[int, Coordinate] = field(default_factory=dict, repr=False)
    beside: Sequence[AxisArray] = field(default=(), repr=False)
    member: str = ""

    @property
    def meant(self) -> np.dtype[Any]:
        """The type of the numbers that the stored ones mean."""
        return self.dtype if self.packing is None else self.packing.dtype


def transposed(part: Variable) -> Variable:
    """The same array with its dimensions in the other order, as a program has it that counts the first one fastest."""
    last = len(part.shape) - 1
    return replace(
        part,
        shape=part.shape[::-1],
        read=lambda slices: part.read(slices[::-1]).T,
        names=part.names[::-1],
        chunk=None if part.chunk is None else part.chunk[::-1],
        fortran=not part.fortran,
        coordinates={last - place: one for place, one in part.coordinates.items()},
    )


def coordinate_of(values: NDArray[Any], attributes: Any, packing: Packing | None = None) -> Coordinate:
    """A coordinate by its values and its attributes `units`, and `origin`, `step`, `periodic` where we wrote it.

    The values are stored ones, which mean what `packing` says.
    """
    stated = None
    if "origin" in attributes and "step" in attributes:
        stated = _number(attributes["origin"]), _number(attributes["step"])
    return Coordinate(
        values=np.asarray(values) if packing is None else packing.unpack(np.asarray(values)),
        unit=_text(attributes.get("units")),
        stated=stated,
        periodic=bool(_number(attributes.get("periodic", 1))),
    )


def _text(value: Any) -> str | None:
    """An attribute that is a text, or bytes, or an array of one of them; None if there is none."""
    if getattr(value, "shape", ()) is None:
        return None  # h5py.Empty, which netcdf-c writes for a text without letters
    flat = np.asarray(value, object).reshape(-1)
    one = flat[0] if flat.size == 1 else "" if flat.size == 0 else value
    if one is None:
        return None
    # h5py hides bytes that are no UTF-8 in surrogates: Å of old Fortran and of Windows is one byte.
    data = one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogateescape")
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(-1)[0])
