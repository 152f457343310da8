"""A wavefunction that is an array in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..grid import Box, Grid, Order
from ..plan import BoxPlan
from .amplitudes import complex_type, shape_of
from .identity import identity


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


def array(psi: NDArray[Any], grid: Grid | None = None) -> ArraySource:
    """A wavefunction in memory, not copied; leave it alone until it is stored.

    `psi`: [x], [x, y], [x, y, z] or [t, x, y, z], complex or real, any order and byte
    order; float32 is stored as complex64, other reals as complex128. `grid`: where its
    points lie; its shape must be that of the array. Without it the spacing is unknown.
    Raises InvalidInput for another shape, an empty array, or values of another type.
    """
    values = np.asarray(psi)
    complex_type(values.dtype, "the array")
    shape = shape_of(values.shape, "the array")
    if grid is not None and grid.shape != shape:
        raise InvalidInput(f"the array has the shape {shape} as t, x, y, z, but its grid has {grid.shape}")
    return ArraySource(psi=values.reshape(shape), grid=grid or Grid(shape=shape))
