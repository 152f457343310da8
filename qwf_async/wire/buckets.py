"""Buckets of consecutive points, encoded many at a time: as HSET of their fields, or as RESTORE of a listpack.

All full buckets whose numbers have the same number of digits give requests of the same
length, so they are one array of bytes [buckets, length]. A request is made once and copied;
then the digits of the numbers and the values are written over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from anycrc import Model
from numpy.typing import NDArray

from .arena import Arena
from .batch import NumberedPart, byte_view
from .decimal_digits import digit_spans, digits
from .listpack import payload
from .rdb import CRC_BYTES, RESTORED, restore
from .resp import bulk, hset

BUCKET: Final = 128
"""Points in a bucket: as many as a listpack may have by default on Redis 7; insertion into longer ones is slow."""

FIELD: Final = b"%d"
"""The name of a point's field: the place of the point in its bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTemplate:
    """The request of one bucket with zeros for the values, which lie at `offsets`.

    `answer` is its reply, as for `Part`. If the request ends with a CRC, `checked` are the
    bytes that the CRC is taken of.
    """

    request: bytes
    offsets: NDArray[np.int64]
    answer: bytes = b""
    checked: slice | None = None


def hset_template(key: bytes, points: int, size: int) -> RequestTemplate:
    """HSET of the fields 0 … points−1 with values of `size` bytes."""
    parts = [hset(key, 2 * points)]
    offsets, length = [], len(parts[0])
    for point in range(points):
        field = bulk(FIELD % point) + b"$%d\r\n" % size
        parts.append(field + bytes(size) + b"\r\n")
        offsets.append(length + len(field))
        length += len(parts[-1])
    return RequestTemplate(request=b"".join(parts), offsets=np.array(offsets))


def restore_template(key: bytes, points: int, size: int) -> RequestTemplate:
    """RESTORE of a listpack with the fields 0 … points−1 and values of `size` bytes."""
    packed = payload(points, size)
    before = restore(key, len(packed.data))
    end = len(before) + len(packed.data) - CRC_BYTES
    return RequestTemplate(
        request=before + packed.data + b"\r\n",
        offsets=packed.offsets + len(before),
        answer=RESTORED,
        checked=slice(len(before), end),
    )


def requests(
    prefix: bytes,
    first: int,
    values: NDArray[Any],
    template: Callable[[bytes, int, int], RequestTemplate],
    arena: Arena,
) -> Iterator[NumberedPart]:
    """The requests that store `values` [points] in the buckets from number `first` on, one a bucket.

    The keys are `{prefix}{number}`. Values are in the codec's dtype; the last bucket may be
    a partial one.
    """
    full = len(values) // BUCKET
    for start, stop in digit_spans(first, first + full) if full else ():
        buckets = values[(start - first) * BUCKET : (stop - first) * BUCKET].reshape(-1, BUCKET)
        yield _same_length(prefix, start, buckets, template, arena)
    if rest := len(values) - full * BUCKET:
        yield _same_length(prefix, first + full, values[-rest:].reshape(1, rest), template, arena)


def _same_length(
    prefix: bytes,
    first: int,
    values: NDArray[Any],
    template: Callable[[bytes, int, int], RequestTemplate],
    arena: Arena,
) -> NumberedPart:
    """Requests of one length, for buckets from number `first` on. `values` is [buckets, points]."""
    count, points = values.shape
    key = b"%s%d" % (prefix, first)
    sample = template(key, points, values.dtype.itemsize)
    length = len(sample.request)
    data = arena.take(count * length).reshape(count, length)  # a row is a request
    data[:] = np.frombuffer(sample.request, np.uint8)
    numbers = digits(first, first + count)
    end = sample.request.index(key) + len(key)
    data[:, end - numbers.shape[1] : end] = numbers
    for columns, slots in value_slots(data, sample.offsets, values.dtype):
        slots[...] = values[:, columns]
    view = byte_view(data)
    if sample.checked is not None:
        _write_crc(data, sample.checked)
    return NumberedPart(
        key=key, requests=count, buffers=(view,), answer=sample.answer, prefix=prefix, first=first
    )


def value_slots(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], dtype: np.dtype[Any]
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Views of the values that lie at `offsets` in each row of `data`, uint8 [rows, length].

    Values that are equally far apart are one view, [rows, some of the values]. With each view
    comes which of the values it has.
    """
    rows, length = data.shape
    for start, stop, step in _runs(offsets):
        yield (
            slice(start, stop),
            np.ndarray((rows, stop - start), dtype, data, int(offsets[start]), (length, step)),
        )


def _runs(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """The longest runs of offsets that are `step` apart, as (start, stop, step)."""
    start = 0
    while start < len(offsets):
        step = int(offsets[start + 1] - offsets[start]) if start + 1 < len(offsets) else 0
        stop = start + 1
        while stop < len(offsets) and offsets[stop] - offsets[stop - 1] == step:
            stop += 1
        yield start, stop, step
        start = stop


def _write_crc(data: NDArray[np.uint8], checked: slice) -> None:
    """Write the CRC64 (Jones; CRC-64/REDIS) of each row's checked bytes behind them. `data` is [rows, length]."""
    count, length = data.shape
    behind: NDArray[Any] = np.ndarray((count,), "<u8", data, checked.stop, (length,))  # one of each row
    behind[...] = np.fromiter(map(Model("CRC64-REDIS").calc, data[:, checked]), np.uint64, count)
