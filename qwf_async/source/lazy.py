"""Arrays that are not in memory yet, of any library: dask, xarray, zarr, h5py, and what is like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..grid import Grid
from ..plan import BoxPlan
from .file.field import Field, field_of
from .file.stamp import Files
from .file.variable import Coordinate, Slices, Variable, coordinate_of
from .identity import identity


class LazyArray(Field):
    """A `Field` of an array that somebody handed over: known again by its values."""

    __slots__ = ()

    def fingerprint(self) -> str:
        """A hash of all values and the grid: reads, and computes, the array once."""
        from xxhash import xxh3_128

        digest = xxh3_128()
        for chunk in BoxPlan.cut(self.grid.shape, order=self.order):
            digest.update(np.ascontiguousarray(self.read(chunk.box)).data)
        return identity(self.spec, f"dims={self.letters}", f"xxh3={digest.hexdigest()}", grid=self.grid)


def is_lazy(values: Any) -> bool:
    """Whether it can be read a block at a time, and is not an array of numpy."""
    return not isinstance(values, np.ndarray) and all(
        hasattr(values, name) for name in ("shape", "dtype", "__getitem__")
    )


def lazy(
    values: Any,
    *,
    grid: Grid | None = None,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> LazyArray:
    """ψ in an array that is read a block at a time; see `array`."""
    found = field_of(
        [_variable(values)],
        spec=f"{type(values).__module__.partition('.')[0]} array of {values.dtype}, shape {tuple(values.shape)}",
        format="array",
        files=Files(),
        dims=dims,
        box=box,
        dt=dt,
        axes=None if grid is None else grid.axes,
    )
    if grid is not None and grid.shape != found.grid.shape:
        raise InvalidInput(
            f"the array has the shape {found.grid.shape} as t, x, y, z, but its grid has {grid.shape}"
        )
    return LazyArray(**{name: getattr(found, name) for name in Field.__dataclass_fields__})


def _variable(values: Any) -> Variable:
    shape = tuple(int(n) for n in values.shape)
    names = getattr(values, "dims", None)
    coordinates: dict[int, Coordinate] = {}
    chunk = _blocks(values, shape)
    if isinstance(names, tuple) and len(names) == len(shape) and hasattr(values, "coords"):
        for place, name in enumerate(names):
            if name in values.coords:
                coordinates[place] = coordinate_of(values.coords[name].values, values.coords[name].attrs)
    else:
        names = (None,) * len(shape)
    return Variable(
        what="the array",
        shape=shape,
        dtype=np.dtype(values.dtype),
        read=lambda slices: _computed(values, slices),
        names=tuple(None if name is None else str(name) for name in names),
        chunk=chunk,
        coordinates=coordinates,
    )


def _blocks(values: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The blocks in which it is computed or stored: the largest along each dimension; None if there are none."""
    chunks = getattr(values, "chunks", None)
    if not chunks or len(chunks) != len(shape):
        return None
    return tuple(
        min(n, max(one) if isinstance(one, tuple) else int(one)) for one, n in zip(chunks, shape, strict=True)
    )


def _computed(values: Any, slices: Slices) -> NDArray[Any]:
    """A block. Of dask only the tasks that it depends on run, in dask's own scheduler."""
    return np.asarray(values[slices])
