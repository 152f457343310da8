"""Replies compared as bytes: as hiredis reads them, when they are not as expected, and over a bad network."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import hiredis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import qwf_async
from qwf_async.layout import LAYOUTS
from qwf_async.wire.known_replies import BucketReplies
from tests.conftest import Server
from tests.support.loads import wave
from tests.support.relay import relaying

DTYPES = [np.dtype("<c16"), np.dtype("<c8")]
dtypes = st.sampled_from(DTYPES)


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def reply(values: list[bytes]) -> bytes:
    """The reply to HGETALL of one bucket."""
    pairs = [bulk(b"%d" % field) + bulk(value) for field, value in enumerate(values)]
    return b"*%d\r\n" % (2 * len(values)) + b"".join(pairs)


def made(count: int, points: int, dtype: np.dtype[Any], seed: int) -> tuple[NDArray[Any], list[list[bytes]]]:
    raw = np.random.default_rng(seed).bytes(count * points * dtype.itemsize)
    values = np.frombuffer(raw, dtype).reshape(count, points)
    return values, [[value.tobytes() for value in bucket] for bucket in values]


def matched(replies: BucketReplies, come: bytes, cuts: list[int]) -> bool:
    """Whether bytes that come in pieces match what is expected; False at the first piece that does not."""
    data = np.zeros(replies.nbytes, np.uint8)
    edges = sorted({0, len(come), *(cut % (len(come) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        data[start:stop] = np.frombuffer(come[start:stop], np.uint8)
        if not replies.match(data, start, stop):
            return False
    return True


cuts = st.lists(st.integers(0, 10**6), max_size=20)


@given(st.integers(0, 40), st.integers(1, 128), dtypes, st.integers(0, 99), cuts)
def test_replies_are_read_as_hiredis_reads_them(
    count: int, points: int, dtype: np.dtype[Any], seed: int, cuts: list[int]
) -> None:
    values, buckets = made(count, points, dtype, seed)
    come = b"".join(map(reply, buckets))
    replies = BucketReplies(count=count, points=points, dtype=dtype, dumped=False)
    assert replies.nbytes == len(come)
    assert matched(replies, come, cuts)
    reader = hiredis.Reader()
    reader.feed(come)
    parsed = [reader.gets()[1::2] for _ in range(count)]
    assert parsed == buckets
    found = np.empty(values.size, dtype)
    replies.put_values(np.frombuffer(come, np.uint8), found)
    assert found.tobytes() == values.tobytes()


@given(st.data(), st.integers(1, 128), dtypes, cuts)
def test_every_byte_but_those_of_values_is_compared(
    data: st.DataObject, points: int, dtype: np.dtype[Any], cuts: list[int]
) -> None:
    _, buckets = made(3, points, dtype, 1)
    come = bytearray(b"".join(map(reply, buckets)))
    place = data.draw(st.integers(0, len(come) - 1))
    come[place] ^= data.draw(st.integers(1, 255))
    blank = b"".join(reply([b"\0" * dtype.itemsize] * points) for _ in range(3))
    full = b"".join(reply([b"\xff" * dtype.itemsize] * points) for _ in range(3))
    in_value = blank[place] != full[place]
    assert (
        matched(BucketReplies(count=3, points=points, dtype=dtype, dumped=False), bytes(come), cuts)
        == in_value
    )


@given(st.data(), st.integers(1, 128), dtypes, cuts)
def test_of_what_dump_gives_all_is_compared_but_values_version_and_crc(
    data: st.DataObject, points: int, dtype: np.dtype[Any], cuts: list[int]
) -> None:
    values, buckets = made(3, points, dtype, 3)
    come, free, size = bytearray(), set[int](), dtype.itemsize
    for bucket in buckets:
        entries = b"".join(
            bytes([n, 1, 0x80 | size]) + value + bytes([size + 1]) for n, value in enumerate(bucket)
        )
        listpack = struct.pack("<IH", len(entries) + 7, 2 * points) + entries + b"\xff"
        long = len(listpack) > 63
        begin = bytes([16]) + struct.pack(">H" if long else ">B", len(listpack) | (0x4000 if long else 0))
        stored = begin + listpack + bytes(data.draw(st.binary(min_size=10, max_size=10)))
        start = len(come) + len(b"$%d\r\n" % len(stored))
        first = start + len(begin) + 9
        free |= {first + n * (size + 4) + k for n in range(points) for k in range(size)}
        free |= set(range(start + len(stored) - 10, start + len(stored)))
        come += b"$%d\r\n%s\r\n" % (len(stored), stored)
    replies = BucketReplies(count=3, points=points, dtype=dtype, dumped=True)
    assert replies.nbytes == len(come)
    assert matched(replies, bytes(come), cuts)
    found = np.empty(values.size, dtype)
    replies.put_values(np.frombuffer(come, np.uint8), found)
    assert found.tobytes() == values.tobytes()
    place = data.draw(st.integers(0, len(come) - 1))
    come[place] ^= data.draw(st.integers(1, 255))
    assert matched(replies, bytes(come), cuts) == (place in free)


@given(st.data(), st.integers(2, 128), dtypes, cuts)
def test_what_the_server_may_say_instead_is_seen_before_anything_is_waited_for(
    data: st.DataObject, points: int, dtype: np.dtype[Any], cuts: list[int]
) -> None:
    _, buckets = made(3, points, dtype, 2)
    spoilt = data.draw(st.integers(0, 2))
    bucket = buckets[spoilt]
    place = data.draw(st.integers(0, points - 1))
    others = {
        "missing": b"*0\r\n",
        "error": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "one value short": reply(bucket[:-1]),
        "one value more": reply([*bucket, bucket[0]]),
        "a shorter value": reply([*bucket[:place], bucket[place][:-1], *bucket[place + 1 :]]),
        "a longer value": reply([*bucket[:place], bucket[place] + b"!", *bucket[place + 1 :]]),
        "nothing there": b"$-1\r\n",
    }
    replies = list(map(reply, buckets))
    replies[spoilt] = others[data.draw(st.sampled_from(sorted(others)))]
    expected = BucketReplies(count=3, points=points, dtype=dtype, dumped=False)
    assert not matched(expected, b"".join(replies)[: expected.nbytes], cuts)


@pytest.mark.anyio
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_reading_survives_replies_in_pieces_and_connections_that_are_cut(
    server: Server, layout: str
) -> None:
    psi = wave(1, 40, 40, 40)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(qwf_async.sources.array(psi), store, "psi", layout=layout)
    with relaying(server) as relay:
        relay.slice(1, 7, 300, 5000, 60_000)
        relay.cut_replies([4000, 100_001, 300_000])
        async with qwf_async.connect(relay.url) as store:
            held = await store.open("psi")
            for _ in range(4):
                assert np.array_equal(await held.read[...], psi)
            assert store.pool.counts.opened >= 4
        assert relay.cuts == 3
