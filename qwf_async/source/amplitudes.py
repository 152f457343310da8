"""Which arrays can be taken as a wavefunction: their element types and their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..grid import Shape4


def complex_type(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """The native complex type in which values of `dtype` are yielded.

    complex64 and float32 become complex64; complex128, float64 and integers become
    complex128 (integers beyond 2^53 are rounded). Raises InvalidInput, naming `what`,
    for anything else.
    """
    if (dtype.kind, dtype.itemsize) in (("c", 8), ("f", 4)):
        return np.dtype(np.complex64)
    if (dtype.kind, dtype.itemsize) in (("c", 16), ("f", 8)) or dtype.kind in "iu":
        return np.dtype(np.complex128)
    raise InvalidInput(
        f"{what} holds values of type {dtype}; "
        "a wavefunction is of complex128, complex64, float64, float32 or integers"
    )


def shape_of(shape: tuple[int, ...], what: str) -> Shape4:
    """An array's shape as t, x, y, z: 1 to 3 dimensions are x, y, z, and 4 are t, x, y, z.

    Raises InvalidInput, naming `what`, for no or more dimensions, or an empty array.
    """
    if not 1 <= len(shape) <= 4:
        raise InvalidInput(
            f"{what} has {len(shape)} dimensions; a wavefunction has 1 to 4: x, y, z or t, x, y, z"
        )
    if min(shape) < 1:
        raise InvalidInput(f"{what} is empty: its shape is {shape}")
    if len(shape) == 4:
        t, x, y, z = shape
    else:
        t, (x, y, z) = 1, (*shape, 1, 1)[:3]
    return t, x, y, z
