"""Complex values ↔ the bytes of a stored value.

- `c16`: complex128, little-endian, 16 bytes: every bit is kept.
- `c8`: complex64, little-endian, 8 bytes.
- `text10`: the older text form, exactly Python's `f"{re:.10f},{im:.10f}"`. It loses digits
  (1e-12 becomes 0) and exists for compatibility.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..errors import DamagedData, InvalidInput, UsageError
from ..wording import quoted
from . import text10

CODECS: Final = ("c16", "c8", "text10")
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"c16": np.dtype("<c16"), "c8": np.dtype("<c8")}


def check_codec(name: str) -> str:
    """The name, if it is a codec. Raises UsageError otherwise."""
    if name not in CODECS:
        raise UsageError(f"unknown codec {quoted(name)}: one of {', '.join(CODECS)}")
    return name


def binary_dtype(codec: str) -> np.dtype[Any] | None:
    """The dtype of a stored value, or None where values are text."""
    return _DTYPES.get(codec)


def max_bytes(codec: str) -> int:
    """The most bytes that a stored value can have."""
    dtype = _DTYPES.get(codec)
    return dtype.itemsize if dtype is not None else text10.MAX_BYTES


def mean_bytes(codec: str) -> int:
    """Bytes of a stored value, on average: of text, two numbers below 10, half of them negative."""
    dtype = _DTYPES.get(codec)
    return dtype.itemsize if dtype is not None else 26


def stored_dtype(codec: str) -> np.dtype[Any]:
    """The dtype of values that are ready to be encoded: the codec's own, complex128 for text."""
    return _DTYPES.get(codec, np.dtype("<c16"))


def stored(codec: str, values: NDArray[Any]) -> NDArray[Any]:
    """The values in the codec's dtype (complex128 for text), a view where they are so already.

    Raises InvalidInput if a finite value is too large for complex64.
    """
    dtype = stored_dtype(codec)
    with np.errstate(over="ignore"):
        result: NDArray[Any] = values.astype(dtype, copy=False)
    if dtype.itemsize < values.dtype.itemsize and not np.array_equal(
        np.isfinite(values), np.isfinite(result)
    ):
        raise InvalidInput("a value is too large for complex64 (3.4e38): use codec c16")
    return result


def digest(codec: str, values: NDArray[Any]) -> int:
    """xxh3-64 of the stored form of the values, in C order, as the journal keeps it of each chunk.

    `values` are in the dtype of the codec (`stored`).
    """
    if codec not in _DTYPES:
        return xxhash.xxh3_64_intdigest(text10.encode(values).data.data)
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def decode(codec: str, value: bytes) -> complex:
    """One stored value as a complex number. Raises DamagedData if it is not of the codec's form."""
    dtype = _DTYPES.get(codec)
    try:
        if dtype is None:
            re, im = value.split(b",")
            return complex(float(re), float(im))
        (number,) = np.frombuffer(value, dtype)
    except ValueError as error:
        raise DamagedData(
            f"a stored value of {len(value)} bytes is not of codec {codec}: {value[:40]!r}"
        ) from error
    return complex(number)


def is_whole(codec: str, value: Any) -> bool:
    """Whether it is a stored value of the codec."""
    dtype = _DTYPES.get(codec)
    if dtype is not None:
        return is_value(value, dtype.itemsize)
    try:
        return isinstance(value, bytes) and decode(codec, value) is not None
    except DamagedData:
        return False


def joined(values: Sequence[Any], size: int) -> bytes | None:
    """The values one after the other; None if one of them is missing or has not `size` bytes."""
    try:
        return b"".join(values) if set(map(len, values)) == {size} else None
    except TypeError:  # a value that is not bytes has no length, or cannot be joined
        return None


def is_value(value: Any, size: int) -> bool:
    """Whether a value is bytes of this length."""
    return isinstance(value, bytes) and len(value) == size


def damage(key: bytes, field: bytes, value: Any, wrong: str) -> DamagedData:
    """The error for a field that holds no value of its codec: it names key and field, and says what came instead.

    `wrong` follows the number of bytes if bytes came, as in "instead of 8192".
    """
    if value is None:
        text = "lacks"
    elif isinstance(value, bytes):
        text = f"holds {len(value)} bytes {wrong} in"
    else:
        text = f"was answered with {value!r:.40} for"
    return DamagedData(f"{key.decode()} {text} the field {field.decode()}")
