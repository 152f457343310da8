"""Where the points along a dimension of ψ are, as a file states it, and the axis that this makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ...lattice.grid import Axis
from ...lattice.units import in_atomic_units
from ...wording import option
from .packing import Packing

EVENNESS: Final = 1e-6
"""The part of a step by which a coordinate may differ from even spacing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinate:
    """Where the points along one dimension are, as the file states it.

    `stated` are the origin and the step if the file has them as numbers of their own; `unit` is
    None for a coordinate without a unit.
    """

    values: NDArray[Any]
    unit: str | None = None
    stated: tuple[float, float] | None = None
    periodic: bool = True

    def axis(self, *, time: bool, what: str) -> Axis:
        """The axis of these points in atomic units; without a unit the numbers are taken as they are.

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
        """Origin and step; the step of a single point is None unless it is stated."""
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
        rounding = np.finfo(self.values.dtype if self.values.dtype.kind == "f" else np.float64).eps
        allowed = EVENNESS * step + 8 * rounding * np.abs(points).max()
        off = np.abs(points - (origin + step * np.arange(len(points))))
        if off.max() > allowed:
            worst = int(off.argmax())
            raise InvalidInput(
                f"{what} is not evenly spaced: point {worst} is at {points[worst]:.9g}, where a step of {step:.9g} "
                f"has {origin + worst * step:.9g}; interpolate ψ to an even grid, or say where its points lie by "
                f"{way}"
            )
        return origin, step


def coordinate_of(values: NDArray[Any], attributes: Any, packing: Packing | None = None) -> Coordinate:
    """The coordinate that an array states by its stored values and its attributes.

    The values mean what `packing` says. The attributes are `units`, and in files that were
    written here also `origin`, `step` and `periodic`.
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
    """The text of an attribute that is a text, or bytes, or an array of one of them; None if there is none."""
    if getattr(value, "shape", ()) is None:
        return None  # h5py.Empty, which netcdf-c writes for a text without letters
    flat = np.asarray(value, object).reshape(-1)
    item = flat[0] if flat.size == 1 else "" if flat.size == 0 else value
    if item is None:
        return None
    # h5py keeps bytes that are no UTF-8 as surrogates: Å of old Fortran and of Windows is one byte.
    data = item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape")
    try:
        return data.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _number(value: Any) -> float:
    """The number of an attribute that is one, or an array of one."""
    return float(np.asarray(value).reshape(-1)[0])
