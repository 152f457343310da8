"""A wavefunction that is an array in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..grid import Box, Grid, Order
from ..plan import BoxPlan
from .amplitudes import complex_type, shape_of
from .analytic.parameters import values_of
from .base import Source
from .identity import identity
from .lazy import is_lazy, lazy


@dataclass(frozen=True, slots=True, kw_only=True)
class ArraySource:
    """An array in memory; a Source. `psi` is a view of it, indexed [t, x, y, z]."""

    psi: NDArray[Any]
    grid: Grid

    @property
    def spec(self) -> str:
        return f"array of {self.psi.dtype}, shape {self.psi.shape}"

    @property
    def order(self) -> Order:
        flags = self.psi.flags
        return "F" if flags.f_contiguous and not flags.c_contiguous else "C"

    def read(self, box: Box) -> NDArray[Any]:
        """ψ over the box: a view if the array is complex and in native byte order."""
        return self.psi[box.slices].astype(complex_type(self.psi.dtype, self.spec), copy=False)

    def fingerprint(self) -> str:
        """A hash of all values, with their type, and the grid: reads the array once."""
        from xxhash import xxh3_128

        digest = xxh3_128()
        for chunk in BoxPlan.cut(self.grid.shape, order=self.order):
            digest.update(np.ascontiguousarray(self.psi[chunk.box.slices]).data)
        return identity(self.spec, f"xxh3={digest.hexdigest()}", grid=self.grid)

    def close(self) -> None:
        """There is nothing to give back."""


@overload
def array(psi: NDArray[Any], grid: Grid | None = None) -> ArraySource: ...


@overload
def array(
    psi: Any,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Source: ...


def array(
    psi: Any,
    grid: Grid | None = None,
    *,
    dims: str | None = None,
    box: float | Sequence[float] | None = None,
    dt: float | None = None,
) -> Source:
    """A wavefunction in an array, not copied; leave it alone until it is stored.

    `psi`: [x], [x, y], [x, y, z] or [t, x, y, z], complex or real, any order and byte
    order; float32 is stored as complex64, other reals as complex128. An array that is not
    numpy's but has a shape, a dtype and blocks by index (of dask, zarr, h5py) is read, and
    computed, a block at a time; an xarray DataArray with dimensions t (or time), x, y, z is
    turned to this order, and its evenly spaced coordinates become the axes: their `units`
    are converted to atomic units. `dims`: which dimension is which axis, "x,y,z,t" in their
    order or "lon=x" by name. `grid`: where its points lie; its shape must be that of the
    array. `box` (bohr) and `dt` (ħ/Eh) lay it over extents. Else the spacing is unknown.
    Raises InvalidInput for another shape, an empty array, values of another type, dimensions
    of other names, or coordinates that cannot be taken.
    """
    if is_lazy(psi) or dims is not None:
        return lazy(psi if is_lazy(psi) else np.asarray(psi), grid=grid, dims=dims, box=box, dt=dt)
    values = np.asarray(psi)
    complex_type(values.dtype, "the array")
    shape = shape_of(values.shape, "the array")
    if grid is not None and grid.shape != shape:
        raise InvalidInput(f"the array has the shape {shape} as t, x, y, z, but its grid has {grid.shape}")
    laid = grid or Grid(shape=shape)
    if box is not None:
        laid = laid.with_box(values_of(box))
    if dt is not None:
        laid = laid.with_time_step(dt)
    return ArraySource(psi=values.reshape(shape), grid=laid)
