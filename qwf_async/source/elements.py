"""Which element types an array of a wavefunction can have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput


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


def unmasked(values: Any) -> NDArray[Any]:
    """An array of numpy of anything that can be one, not copied; NaN where a masked array hides a number."""
    if not isinstance(values, np.ma.MaskedArray):
        return np.asarray(values)
    hidden = np.ma.getmaskarray(values)
    if not hidden.any() or values.dtype.kind not in "cfiu":
        return values.data
    shown = values.data.astype(np.result_type(values.dtype, np.float32))
    shown[hidden] = missing(shown.dtype)
    return shown


def missing(dtype: np.dtype[Any]) -> complex:
    """NaN of a type: in real part and imaginary part."""
    return complex(math.nan, math.nan) if dtype.kind == "c" else math.nan
