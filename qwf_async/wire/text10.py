"""The text form of a complex value, `re,im`: exactly Python's `f"{re:.10f},{im:.10f}"`, in ASCII.

Numbers below 9e5 in modulus are converted together by numpy, in both directions. All others
(nan, inf, large, or written in another way) are left to Python's own conversion, one by one.
The form keeps 10 decimals and no more: 1e-12 becomes 0.0000000000.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .decimal_digits import four_digits
from .string_form import StringForm

SCALE: Final = 1e10
"""Units of the last decimal in 1. 10**10 = 2**10 · 5**10 has 24 significant bits, so it is exact."""

BORDER: Final = 9e5
"""Moduli from here on are left to Python: times SCALE they come near 2**53, the end of exact integers."""

BODY_BYTES: Final = 12
"""Bytes of the part that every ordinary number ends with: one digit, the point, ten digits."""

MAX_BYTES: Final = 643
"""Bytes of the longest text: two numbers with a sign, 309 digits, the point and ten digits, and the comma."""

MAX_NUMBER_BYTES: Final = 18
"""Bytes of the longest number read on the fast road, sign apart: seven digits, the point, ten digits."""

MAX_ORDINARY_BYTES: Final = 2 * (1 + MAX_NUMBER_BYTES) + 1
"""Bytes of the longest text of two such numbers."""

_MINUS, _COMMA, _ZERO = b"-,0"
_POWERS: Final = 10 ** np.arange(5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texts:
    """Texts in order, without anything between them.

    data: their bytes, uint8, one-dimensional. lengths: bytes of each, int64.
    Raises ValueError if the lengths do not add up to the data.
    """

    data: NDArray[np.uint8]
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        if np.any(self.lengths < 0) or self.lengths.sum() != self.data.size:
            raise ValueError(f"the lengths of the texts are not those of {self.data.size} bytes of data")

    @classmethod
    def of(cls, values: Sequence[Any]) -> Texts:
        """Values as the server gave them. Raises ValueError if one is missing, or is no bytes."""
        try:
            data, lengths = b"".join(values), np.fromiter(map(len, values), np.int64, len(values))
        except TypeError as error:
            raise ValueError("a value is missing") from error
        return cls(data=np.frombuffer(data, np.uint8), lengths=lengths)


def encode(values: NDArray[np.complex128]) -> Texts:
    """The text of each value, in the order of the array (flattened in C order).

    Ties are rounded to even on the exact value of the double, as Python does. A negative zero
    keeps its sign, and so does a negative number that is rounded to zero.
    """
    numbers = np.ascontiguousarray(values, np.complex128).reshape(-1).view(np.float64)
    size = np.abs(numbers)
    odd = np.flatnonzero(~(size < BORDER))
    size[odd] = 0.0
    body, leading = _digits(_last_decimals(size))
    negative = np.signbit(numbers)
    spelled = [f"{number:.10f}".encode() for number in numbers[odd].tolist()]

    tall = np.flatnonzero(leading)
    leading = leading[tall]
    width = BODY_BYTES + negative.astype(np.int64)
    width[tall] += np.searchsorted(_POWERS, leading, side="right")
    width[odd] = [len(text) for text in spelled]
    lengths = width[0::2] + width[1::2] + 1
    stop = np.empty_like(width)
    stop[1::2] = np.cumsum(lengths)
    stop[0::2] = stop[1::2] - width[1::2] - 1

    # A body ends where its number ends, so with a margin of BODY_BYTES in front its position is `stop`.
    # The body of an odd number may be longer than its text, so it goes into the margin.
    bordered = np.empty(BODY_BYTES + int(lengths.sum()), np.uint8)
    data = bordered[BODY_BYTES:]
    position = stop.copy()
    position[odd] = 0
    _windows(bordered, BODY_BYTES)[position] = body
    data[stop[0::2]] = _COMMA
    data[(stop - width)[np.flatnonzero(negative)]] = _MINUS
    position = stop[tall] - BODY_BYTES
    while leading.size:
        position -= 1
        data[position] = leading % 10 + _ZERO
        longer = np.flatnonzero(leading >= 10)
        leading, position = leading[longer] // 10, position[longer]
    # Last, because a nan may have had a sign written where its text goes.
    for end, text in zip(stop[odd].tolist(), spelled, strict=True):
        data[end - len(text) : end] = np.frombuffer(text, np.uint8)
    return Texts(data=data, lengths=lengths)


def records(
    fields: NDArray[np.uint8],
    texts: Texts,
    form: StringForm,
    chosen: NDArray[np.int64] | slice = slice(None),
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """What a request has for each point: its field, then its text as a string of this form.

    fields: uint8 [n, F], row i a field as it is to be sent.
    chosen: int64 [n], which of the texts belongs to each field; by default all, in order.
    Returns the bytes of the n records in the order of the fields, uint8, and the end offset
    of each, int64 [n]. Raises ValueError if there are not as many fields as chosen texts.
    """
    lengths = texts.lengths[chosen]
    source = (np.cumsum(texts.lengths) - texts.lengths)[chosen]
    if len(fields) != len(lengths):
        raise ValueError(f"{len(fields)} fields for {len(lengths)} texts")
    width = fields.shape[1]
    classes = [
        (length, np.flatnonzero(lengths == length), form.begin(length))
        for length in np.flatnonzero(np.bincount(lengths)).tolist()
    ]
    sizes = lengths + (width + len(form.end))
    for _, alike, header in classes:
        sizes[alike] += len(header)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.empty(int(sizes.sum()), np.uint8)
    # Windows are copied as single items, 5 ns each whatever their width. All this takes as long as the
    # compression alone of a padded matrix, and less than grouping by length, which loses the order.
    _windows(out, width)[starts] = _rows(fields)
    for length, alike, header in classes:
        position = starts[alike] + width
        _windows(out, len(header))[position] = np.frombuffer(header, f"V{len(header)}")
        position += len(header)
        _windows(out, length)[position] = _windows(texts.data, length)[source[alike]]
        if form.end:
            _windows(out, len(form.end))[position + length] = np.frombuffer(form.end, f"V{len(form.end)}")
    return out, ends


def decode(texts: Texts) -> NDArray[np.complex128]:
    """The value of each text, complex128 [n]: both parts rounded correctly, equal to Python's `float`.

    Whatever `float` reads is accepted. Raises ValueError, with the index of the first text
    that is not two such numbers with one comma between them.
    """
    points = texts.lengths.size
    out = np.empty(2 * points)
    ends = np.cumsum(texts.lengths)
    commas = np.flatnonzero(texts.data == _COMMA)
    if commas.size != points:
        _decode_singly(texts, range(points), out)
        return out.view(np.complex128)
    # If comma i is not in text i, or not alone in it, a part of the text gets a length below 0 or a comma
    # among its digits. It then counts as not ordinary, and is decoded singly.
    start = np.empty(2 * points, np.int64)
    start[0::2] = ends - texts.lengths
    start[1::2] = commas + 1
    stop = np.empty_like(start)
    stop[0::2] = commas
    stop[1::2] = ends

    # A border on both sides, so that a window or a sign looked for where a short or empty part has none
    # is still within the array.
    bordered = np.pad(texts.data, BODY_BYTES)
    negative = bordered[start + BODY_BYTES] == _MINUS
    width = stop - start - negative
    units, ordinary = _read_bodies(_windows(bordered, BODY_BYTES)[stop])
    ordinary &= (width >= BODY_BYTES) & (width <= MAX_NUMBER_BYTES)
    wider = np.flatnonzero(ordinary & (width > BODY_BYTES))
    position = stop[wider]
    unit = SCALE
    for taken in range(BODY_BYTES, MAX_NUMBER_BYTES):
        position, wider = position[width[wider] > taken] - 1, wider[width[wider] > taken]
        digit = bordered[position] - np.uint8(_ZERO)
        ordinary[wider] &= digit <= 9
        unit *= 10
        units[wider] += digit * unit
    ordinary &= units < 2**53
    np.divide(units, SCALE, out=out)  # two exact doubles: their quotient is the number, correctly rounded
    np.negative(out, out=out, where=negative)
    odd = np.flatnonzero(~(ordinary[0::2] & ordinary[1::2]))
    _decode_singly(texts, odd.tolist(), out)
    return out.view(np.complex128)


def _last_decimals(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """size · 10**10 (0 <= size < BORDER) rounded to an integer, half to even, as if computed exactly.

    Rounding keeps order, so the rounded product lies on the same side of k + 1/2 as the exact
    one unless it is k + 1/2 itself. Then the error of the product decides, which is exact by
    Dekker's splitting (Numer. Math. 18, 224, 1971): 26 + 24 and 27 + 24 bits fit a double.
    """
    product = size * SCALE
    units = np.rint(product)
    ties = np.flatnonzero(np.abs(product - units) == 0.5)
    if ties.size:
        whole, product = size[ties], product[ties]
        high = (whole.view(np.uint64) & np.uint64(0xFFFF_FFFF_F800_0000)).view(np.float64)
        error = (high * SCALE - product) + (whole - high) * SCALE
        below = np.floor(product)
        units[ties] = np.where(error == 0, units[ties], below + (error > 0))
    return units


def _digits(units: NDArray[np.float64]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The body of each number of so many 1e-10, as items of 12 bytes, and the integer part left of it.

    The quotients are floored in doubles: below 2**53 / 10**4 a remainder of 9999 is never
    rounded up to the next integer.
    """
    upper = np.floor(units / 1e4)
    top = np.floor(upper / 1e4)
    leading = np.floor(top / 1e3)
    words = np.empty((units.size, 3), np.uint32)
    words[:, 0] = _point_digits()[(top - leading * 1e3).astype(np.intp)]
    words[:, 1] = four_digits()[(upper - top * 1e4).astype(np.intp)]
    words[:, 2] = four_digits()[(units - upper * 1e4).astype(np.intp)]
    return words.reshape(-1).view(f"V{BODY_BYTES}"), leading.astype(np.int64)


def _read_bodies(bodies: NDArray[np.void]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The inverse of `_digits`, without a leading part: units of 1e-10, and whether it is a body at all.

    Four digits at a time within a word, after D. Lemire, Software: Practice and Experience 51, 1700 (2021).
    """
    words = bodies.view("<u4").reshape(-1, 3) ^ np.array([0x3030_2E30, 0x3030_3030, 0x3030_3030], np.uint32)
    wrong = ((words + np.uint32(0x7676_7676)) | words) & np.uint32(0x8080_8080)
    wrong[:, 0] |= words[:, 0] & np.uint32(0x0000_FF00)
    words[:, 0] = words[:, 0] & np.uint32(0xFFFF_0000) | (words[:, 0] & np.uint32(0xFF)) << np.uint32(8)
    pairs = (words * np.uint32(10) + (words >> np.uint32(8))) & np.uint32(0x00FF_00FF)
    fours = (pairs * np.uint32(100) + (pairs >> np.uint32(16))) & np.uint32(0xFFFF)
    units = fours[:, 0] * 1e8 + fours[:, 1] * 1e4 + fours[:, 2]
    return units, (wrong[:, 0] | wrong[:, 1] | wrong[:, 2]) == 0


def _decode_singly(texts: Texts, indices: Iterable[int], out: NDArray[np.float64]) -> None:
    """Put the numbers of the texts at `indices` into `out`. Raises ValueError at the first malformed one."""
    data = texts.data.tobytes()
    ends = np.cumsum(texts.lengths)
    for index in indices:
        text = data[ends[index] - texts.lengths[index] : ends[index]]
        re, _, im = text.partition(b",")
        try:
            out[2 * index : 2 * index + 2] = float(re), float(im)
        except ValueError as error:
            raise ValueError(f"text {index} is not `re,im`: {text[:80]!r}") from error


def _windows(data: NDArray[np.uint8], width: int) -> NDArray[np.void]:
    """Every run of `width` bytes as one item: element i is data[i : i + width]. A view."""
    shape = (max(0, data.size - width + 1),)
    return np.ndarray(shape, f"V{width}", data, strides=(1,))


def _rows(matrix: NDArray[np.uint8]) -> NDArray[np.void]:
    """The rows of a matrix, each as one item."""
    return np.ascontiguousarray(matrix).view(f"V{matrix.shape[1]}").reshape(-1)


@cache
def _point_digits() -> NDArray[np.uint32]:
    """`0.00` … `9.99`, four bytes each, as words."""
    return np.frombuffer(b"".join(b"%d.%02d" % divmod(n, 100) for n in range(1000)), np.uint32)
