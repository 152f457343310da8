"""Which arrays hold complex numbers, and complex numbers made of what they hold: two fields, an axis of two, a pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ..elements import complex_type
from .dims import is_parts
from .variable import Variable

COMPLEX_RECORDS: Final = (("r", "i"), ("re", "im"), ("real", "imag"), ("real", "imaginary"))
"""Names of the two fields of a compound type. Source of the first: h5py, which has it from HDF5's own examples."""


def holds_complex(dtype: np.dtype[Any], names: Sequence[str | None], shape: Sequence[int]) -> bool:
    """Whether an array is one of complex numbers: by its type, or by a dimension named as one of re and im."""
    if dtype.names is not None:
        return _is_record(dtype)
    return dtype.kind == "c" or (
        dtype.kind in "fiu" and any(is_parts(name, size) for name, size in zip(names, shape, strict=True))
    )


def complex_type_of(part: Variable) -> np.dtype[Any]:
    """The complex type of an array's values, which can be packed, or of a compound type {r, i}.

    Raises InvalidInput if they are no numbers, or records of something else.
    """
    dtype = part.dtype
    if dtype.names is None:
        return complex_type(part.meant, part.what)
    if _is_record(dtype):
        types = {dtype[name] for name in dtype.names}
        if len(types) == 1 and (real := types.pop()).kind == "f":
            return complex_type(real if part.packing is None else part.meant, part.what)
    raise InvalidInput(
        f"{part.what} holds records of {', '.join(dtype.names)}; a complex number has two real fields of one type, "
        "in this order: r and i, re and im, or real and imag"
    )


def as_complex(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Complex numbers [t, x, y, z] of complex or real ones, of records of two fields, or of [t, x, y, z, 2]."""
    if values.dtype.names is not None:
        re, im = values.dtype.names
        return joined(values[re], values[im], dtype)
    if values.ndim == 5:
        return joined(values[..., 0], values[..., 1], dtype)
    return values.astype(dtype, copy=False)


def joined(re: NDArray[Any], im: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Complex numbers of their real parts and imaginary parts, in the memory order of the parts."""
    result = np.empty_like(re, dtype)
    result.real, result.imag = re, im
    return result


def _is_record(dtype: np.dtype[Any]) -> bool:
    """Whether a compound type has the two fields of a complex number, by their names."""
    return tuple(name.lower() for name in dtype.names or ()) in COMPLEX_RECORDS
