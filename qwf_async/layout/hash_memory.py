"""How much memory a hash will take on a server, before anything is written.

The model counts what `used_memory` counts, allocation by allocation, for one hash in
hashtable encoding that grows field by field from nothing, or that RESTORE makes. Not covered: the listpack that
a hash of up to `hash-max-listpack-entries` fields is kept in (smaller), the buffers of
clients (tens of KB each), fragmentation, and pages copied while a fork saves.

Measured against both servers from 3,000 to 4 million fields, values of 8, 16 and 26
bytes: see `tests/layout/test_hash_memory.py` for the check that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

Server = Literal["valkey", "redis"]

KEY_BYTES: Final = 160
"""Bytes of a small key: its name, object and entry in the key space."""

TABLE_HEAD_BYTES: Final = 400
"""Bytes of the key, its object, its entry in the key space and the head of the table."""

MARGIN: Final = 1.02
"""The model came out up to 0.8 % low against measured growth (2.9 % high); a prediction must not."""


def hash_bytes(
    fields: int,
    field_bytes: float,
    value_bytes: float,
    *,
    server: Server,
    peak: bool = False,
    restored: bool = False,
) -> int:
    """Growth of `used_memory` in bytes by a hash of `fields` fields.

    `field_bytes` and `value_bytes` are mean lengths. Field names of a grid differ by a
    digit or two, so their lengths are taken as spread about the mean. Values are taken as
    of one length (two, if the mean is not whole). The result is for the moment just after
    the last field was added, an unfinished rehash included. With `peak` it is the most that
    the hash took at any moment until then. A `restored` hash has a table of the right size at once.

    `server` is "valkey" for Valkey 9 and later on libc malloc, "redis" for Redis 7 on the
    system's jemalloc (Debian). Builds with the jemalloc that they bundle take the same or
    less. The larger of the two also covers Valkey 8.
    """
    pair_bytes, table = (_valkey_pair, _valkey_table) if server == "valkey" else (_redis_pair, _redis_table)
    pair = _mean_pair(pair_bytes, field_bytes, value_bytes)
    if restored:
        size = _valkey_restored(fields) if server == "valkey" else 8 * _power_of_two(fields)
        return TABLE_HEAD_BYTES + math.ceil(MARGIN * (fields * pair + size))
    moments = (fields, table(fields).rehashed) if peak else (fields,)
    return TABLE_HEAD_BYTES + math.ceil(MARGIN * max(n * pair + table(n).bytes for n in moments))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Bytes of the table, and the last number of fields so far at which an older one still lived."""

    bytes: float
    rehashed: int


def _valkey_table(fields: int) -> _Table:
    """Buckets of 64 bytes for 7 entries; a full bucket gives one place to a child bucket.

    Source: `hashtable.c` of Valkey 8.1 to 9.1. The number of buckets is a power of two.
    The table doubles when every place would be taken (MAX_FILL_PERCENT_SOFT 100), and each
    insertion then empties one old bucket. A hash leaves its listpack with 128 buckets.
    """
    buckets = _power_of_two(max(128, -(-fields // 7)))
    old = buckets // 2 if buckets > 128 else 0
    unmoved = min(old, max(0, 8 * old + 1 - fields))
    size = 64 * buckets + _valkey_children(buckets, fields - 7 * unmoved)
    if unmoved:
        size += 64 * old + _valkey_children(unmoved, 7 * unmoved)
    return _Table(bytes=size, rehashed=min(fields, 8 * old))


def _valkey_restored(fields: int) -> float:
    """Bytes of a table that is made for so many fields: 6.4 of the 7 places of its buckets at most are taken.

    Measured with Valkey 9.1: it has twice the buckets from 3,277 and from 13,108 fields on.
    """
    buckets = _power_of_two(max(128, -(-5 * fields // 32)))
    return 64 * buckets + _valkey_children(buckets, fields)


def _valkey_children(buckets: int, entries: int) -> float:
    """Bytes of child buckets. A chain needs its c-th from 6c + 2 entries on.

    Hashing is at random, so the number of entries in a chain follows a Poisson law.
    """
    mean = entries / buckets
    share, fewer, children = math.exp(-mean), 0.0, 0.0
    for length in range(27):
        if length in (8, 14, 20, 26):
            children += 1 - fewer
        fewer += share
        share *= mean / (length + 1)
    return buckets * children * _glibc(64)


def _valkey_pair(field: int, value: int) -> int:
    """Field and value in one allocation: two sds strings, the value's with the larger header.

    Source: `entry.c` of Valkey 9 (types 1 and 2). Past 128 bytes in all the value has an
    allocation of its own (type 3).
    """
    together = _sds(field) + 3 + value + 1
    if together <= 128:
        return _glibc(together)
    return _glibc(8 + 3 + field + 1) + _glibc(_sds(value))


def _redis_table(fields: int) -> _Table:
    """An array of pointers, as many as the next power of two.

    Source: `dict.c` of Redis 7. The array doubles when there are as many entries as
    pointers. From then on each insertion takes two steps (dictFind, dictAdd). A step empties
    one chain and passes over the empty ones before it, which are 1/e of all. So the old
    array, of n pointers, lives for (1 − 1/e)/2·n insertions more. A hash leaves its
    listpack with 1024 pointers.
    """
    size = _power_of_two(max(1024, fields))
    old = size // 2 if size > 1024 else 0
    rehashed = min(fields, old + math.ceil(old * (1 - 1 / math.e) / 2))
    return _Table(bytes=8 * (size + (old if fields == rehashed else 0)), rehashed=rehashed)


def _redis_pair(field: int, value: int) -> int:
    """A dictEntry (key, value, next: 24 bytes) and two sds strings. Source: `dict.c`, `t_hash.c`, `sds.c`."""
    return _jemalloc(24) + _jemalloc(_sds(field)) + _jemalloc(_sds(value))


def _sds(length: int) -> int:
    """A string with its header (1 byte below 32, 3 below 256, then 5) and the zero after it (`sds.h`)."""
    return (1 if length < 32 else 3 if length < 256 else 5) + length + 1


def _glibc(size: int) -> int:
    """`malloc_usable_size`: chunks are multiples of 16 bytes, of at least 32, less 8 for their header."""
    return max(24, (size + 8 + 15) // 16 * 16 - 8)


def _jemalloc(size: int) -> int:
    """Size class with a quantum of 16: 8, then multiples of 16 up to 128, then four to each doubling."""
    if size <= 8:
        return 8
    step = 16 if size <= 128 else 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _mean_pair(pair: Callable[[int, int], int], field_bytes: float, value_bytes: float) -> float:
    """Mean bytes of a pair, over lengths of the field spread by one either way."""
    around = ((-1, 0.25), (0, 0.5), (1, 0.25))
    return sum(
        p * q * r * pair(max(0, field + shift), value)
        for (field, p), (shift, q), (value, r) in product(_whole(field_bytes), around, _whole(value_bytes))
    )


def _whole(mean: float) -> Iterator[tuple[int, float]]:
    """The two whole lengths about the mean, each with its share."""
    low = math.floor(mean)
    yield low, low + 1 - mean
    yield low + 1, mean - low


def small_table_bytes(fields: int, value_bytes: int, server: Server) -> int:
    """Bytes of a hash of the fields 0 … fields−1 that the server keeps as a hash table.

    Such a small one is not pre-sized, unlike those of `hash_bytes`.
    """
    pair = _valkey_pair if server == "valkey" else _redis_pair
    pairs = sum(pair(len(str(field)), value_bytes) for field in range(fields))
    buckets = _power_of_two(-(-fields // 7))
    table = 64 * buckets + _valkey_children(buckets, fields) if server == "valkey" else 8 * fields
    return TABLE_HEAD_BYTES + math.ceil(MARGIN * (pairs + table))


def block_bytes(size: int, server: Server) -> int:
    """Bytes that the server's allocator takes for a block of `size`."""
    return _glibc(size) if server == "valkey" else _jemalloc(size)


def mean_digits(size: int) -> float:
    """Decimal digits of the numbers 0 … size−1, on average."""
    longer: float = sum(max(0, size - 10**digits) for digits in range(1, 19))
    return 1 + longer / size
