"""The elements of an array of a wavefunction: their complex type, and NaN for those that are masked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput


def complex_type(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """The native complex type in which a source yields values of `dtype`.

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


def unmasked(values: Any) -> NDArray[Any]:
    """A value as an array of NumPy, not copied; of a masked array a copy with NaN where it is masked."""
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    mask = np.ma.getmaskarray(values)
    if not mask.any() or values.dtype.kind not in "cfiu":
        return values.data
    copy = values.data.astype(np.result_type(values.dtype, np.float32))
    copy[mask] = missing(copy.dtype)
    return copy


def missing(dtype: np.dtype[Any]) -> complex:
    """NaN of a type; of a complex type NaN in both parts."""
    return complex(math.nan, math.nan) if dtype.kind == "c" else math.nan
