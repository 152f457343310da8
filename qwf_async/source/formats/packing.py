"""Packed numbers, which are stored as others, and stored numbers that mean missing: as xarray's `mask_and_scale`.

Conventions: CF 1.11, section 2.5.1 (missing data) and 8.1 (packed data); `_Unsigned` by the
NetCDF User's Guide, "Best practices". xarray compares numbers with fill values after it has
converted them to floating point. There -9999.9 of type float64 is no float32, and a large
integer is equal to its neighbours. Here the stored numbers are compared, in their own type. With
`_Unsigned`, `missing_value` is understood in the way of `_FillValue`. xarray knows no default
fill values; netCDF4 does, and takes those of bytes for missing too. Not covered: `valid_min`,
`valid_max` and `valid_range`, which xarray ignores as well.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInput
from ..elements import missing

DEFAULT_FILLS: Final = {
    "i2": -32767, "u2": 65535, "i4": -2147483647, "u4": 4294967295, "i8": -9223372036854775806,
    "u8": 18446744073709551614, "f4": 9.9692099683868690e36, "f8": 9.9692099683868690e36,
}  # fmt: skip
"""What NetCDF holds where nothing was written, by type. Source: netcdf-c, `netcdf.h`, NC_FILL_*.

Bytes have none, as the NetCDF User's Guide advises: each of their few values can be meant.
"""


class Attributes(Protocol):
    """Attributes of an array by name, as every library has them."""

    def get(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What the stored numbers of an array mean.

    Stored numbers are read as numbers of type `viewed`, of the same size: `_Unsigned` can say so
    of integers. A number equal to one of `missing`, which have that type, means missing. Any other
    means itself times `scale` plus `offset`. `dtype` is the type of the result: xarray's choice,
    and with complex numbers the complex type of that precision.
    """

    viewed: np.dtype[Any]
    dtype: np.dtype[Any]
    missing: tuple[Any, ...] = ()
    scale: Any = None
    offset: Any = None

    def unpack(self, stored: NDArray[Any]) -> NDArray[Any]:
        """The numbers that are meant, NaN for missing ones; `stored` itself is not changed.

        Numbers that need neither scaling nor a NaN are returned as they are, without a copy: then
        they can be integers, or have another byte order than `dtype`.
        """
        values = stored
        if self.viewed.kind != stored.dtype.kind:
            values = stored.view(self.viewed.newbyteorder(stored.dtype.byteorder))
        absent: NDArray[np.bool] | None = None
        for number in self.missing:
            same = values == number
            absent = same if absent is None else absent | same
        if absent is not None and not absent.any():
            absent = None
        if absent is None and self.scale is None and self.offset is None:
            return values
        result = values.astype(self.dtype)
        if self.scale is not None:
            result *= self.scale
        if self.offset is not None:
            result += self.offset
        if absent is not None:
            result[absent] = missing(self.dtype)
        return result

    def __str__(self) -> str:
        scaled = "" if self.scale is None else f" × {self.scale}"
        return f"{self.viewed}{scaled}{'' if self.offset is None else f' + {self.offset}'}"


def packing_of(
    dtype: np.dtype[Any],
    attributes: Attributes,
    *,
    what: str,
    netcdf: bool = False,
    fill: Any = None,
) -> Packing | None:
    """The packing of an array of numbers of `dtype`; None if its numbers mean themselves.

    `netcdf`: the NetCDF library wrote the array, so that its default fill value means missing
    where no other is declared. `fill`: one more number that means missing. Raises InvalidInput,
    naming `what`, if an attribute cannot be understood.
    """
    stored = _complex(dtype) if dtype.names is not None else dtype.newbyteorder("=")
    if stored.kind not in "cfiu":
        return None
    viewed = _viewed(stored, attributes)
    declared = attributes.get("_FillValue")
    named = [
        *_fills(declared, stored, what, "_FillValue"),
        *_fills(attributes.get("missing_value"), stored, what, "missing_value"),
        *_fills(fill, stored, what, "fill_value"),
    ]
    if netcdf and declared is None and viewed == stored and (default := DEFAULT_FILLS.get(stored.str[1:])):
        named.append(default)
    # An attribute can give the number in either type, which have the same bits: 255 is -1.
    held = (_held(number, stored) for number in named)
    all_of = (
        _held(number, viewed) if own is None else own.view(viewed)
        for number, own in zip(named, held, strict=True)
    )
    absent = tuple(dict.fromkeys(number for number in all_of if number is not None))
    scale, offset = (_factor(attributes.get(name), what, name) for name in ("scale_factor", "add_offset"))
    if scale is None and offset is None:
        if not absent and viewed == stored:
            return None
        result = np.result_type(viewed, np.float32) if absent else viewed
        return Packing(viewed=viewed, dtype=result, missing=absent)
    real = _precision(stored, scale, offset)
    return Packing(
        viewed=viewed,
        dtype=np.result_type(real, np.complex64) if stored.kind == "c" else np.dtype(real),
        missing=absent,
        scale=None if scale is None else real(scale),
        offset=None if offset is None else real(offset),
    )


def _complex(records: np.dtype[Any]) -> np.dtype[Any]:
    """The complex type of records of two equal real numbers; the records' own type if they are others."""
    kinds = {records[name].newbyteorder("=") for name in records.names or ()}
    kind = kinds.pop()
    return records if kinds or kind.kind != "f" else np.result_type(kind, np.complex64)


def _viewed(stored: np.dtype[Any], attributes: Attributes) -> np.dtype[Any]:
    """The type that integers have by `_Unsigned`; the stored type without it."""
    attribute = attributes.get("_Unsigned")
    if attribute is None or stored.kind not in "iu":
        return stored
    word = np.asarray(attribute).reshape(-1)[0]
    kinds = {"true": "u", "false": "i"}
    kind = kinds.get(_text(word).casefold(), stored.kind) if isinstance(word, bytes | str) else stored.kind
    return np.dtype(f"{kind}{stored.itemsize}")


def _precision(stored: np.dtype[Any], scale: Any, offset: Any) -> type[np.floating[Any]]:
    """The type for scaled numbers. Source: xarray's `_choose_float_dtype` (coding/variables.py)."""
    single = [
        factor is None or (factor.dtype.kind == "f" and factor.dtype.itemsize <= 4)
        for factor in (scale, offset)
    ]
    rounded = stored.kind in "iu" and stored.itemsize == 4
    if offset is not None and (scale is None or rounded or not all(single)):
        return np.float64
    return np.float32 if single[0] else np.float64


def _factor(value: Any, what: str, name: str) -> Any:
    """The one number of an attribute, as a scalar of numpy; None if there is no such attribute."""
    if value is None:
        return None
    numbers = np.asarray(value).reshape(-1)
    if numbers.dtype.kind in "SUO" and numbers.size == 1:
        numbers = np.asarray([_number(numbers[0], what, name)])
    if numbers.size != 1 or numbers.dtype.kind not in "fiu":
        raise InvalidInput(f"{what}: its attribute {name} is {_quoted(value)}; it must be one real number")
    return numbers.astype(numbers.dtype.newbyteorder("="))[0]


def _fills(value: Any, stored: np.dtype[Any], what: str, name: str) -> list[Any]:
    """All numbers of an attribute."""
    if value is None:
        return []
    listed = np.asarray(value).reshape(-1).tolist() if isinstance(value, np.ndarray | np.generic) else value
    each = listed if isinstance(listed, list) else [listed]
    if stored.kind == "c" and len(each) == 2 and all(isinstance(item, str) for item in each):
        each = [tuple(each)]  # as xarray writes a complex fill value into Zarr 3
    return [_number(item, what, name) for item in each if not _is_word(item)]


def _number(value: Any, what: str, name: str) -> Any:
    """A number, or one that a text states: decimal, or eight bytes in base64, as xarray writes it into Zarr 3.

    Two numbers in a record are real part and imaginary part.
    """
    if isinstance(value, int | float | complex | np.number):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        return complex(*(_number(part, what, name) for part in value))
    number = _read(_text(value)) if isinstance(value, bytes | str) else None
    if number is None:
        raise InvalidInput(f"{what}: its attribute {name} is {_quoted(value)}; it must be a number")
    return number


def _is_word(value: Any) -> bool:
    """Whether a value is empty, or a text like "none", which no stored number is equal to."""
    if isinstance(value, bytes | str):
        text = _text(value)
        return _read(text) is None and not any(letter.isdigit() for letter in text)
    return getattr(value, "shape", ()) is None  # h5py.Empty


def _read(text: str) -> float | None:
    """The number that a text states, None if it states none."""
    for read in (int, float, _from_base64):
        try:
            return read(text)
        except ValueError:
            continue
    return None


def _from_base64(text: str) -> float:
    return float(np.frombuffer(b64decode(text, validate=True), "<f8", count=1)[0])


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _held(number: Any, dtype: np.dtype[Any]) -> Any:
    """A number as a scalar of a type; None if the type cannot hold it, or if it is NaN, which is equal to nothing."""
    if number != number:
        return None
    if isinstance(number, complex | np.complexfloating):
        if dtype.kind != "c":
            return _held(number.real, dtype) if number.imag == 0 else None
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = limits.min <= number <= limits.max and number == int(number)
        return dtype.type(int(number)) if fits else None
    with np.errstate(over="ignore"):
        held = np.asarray(number).astype(dtype)[()]
    return held if np.isfinite(held) or not np.isfinite(number) else None


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
