"""Replies are measured before they are parsed: those that a server may send pass, and larger ones do not."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from itertools import cycle
from typing import Any

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.exceptions import InvalidResponse

from qwf_async.client.guard import (
    ITEM_BYTES,
    MAX_DEPTH,
    MAX_LINE_BYTES,
    REPLY_BYTES,
    Guard,
    ReplyRefused,
    reply_limit,
)

BOMB = b"\r\n*99999999\r\n"
"""A head for which hiredis would take 800 MB."""

texts = st.binary(max_size=120) | st.integers(0, 3000).map(bytes) | st.just(BOMB) | st.just(b"\r\n")
leaves = (
    st.none()
    | texts
    | st.integers(-(2**63), 2**63 - 1)
    | st.sampled_from(["+OK", "+", "-ERR no", "-"])
    | st.just("*-1")
)
alike = st.tuples(st.integers(0, 40), st.integers(30, 200)).map(lambda s: [BOMB.ljust(s[0])[: s[0]]] * s[1])
short = st.lists(st.none() | st.binary(max_size=99), min_size=30, max_size=100)
lists = st.lists(leaves, max_size=8) | alike | short
trees = st.recursive(leaves | lists, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def encoded(reply: Any) -> bytes:
    match reply:
        case None:
            return b"$-1\r\n"
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
        case str():
            return reply.encode() + b"\r\n"
    return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))


def depth(reply: Any) -> int:
    return 1 + max(map(depth, reply), default=0) if isinstance(reply, list) and reply else 0


def taken(reply: Any) -> int:
    """The bytes that a reply takes besides its own, as the guard counts them."""
    if reply == "*-1":
        return ITEM_BYTES
    return ITEM_BYTES * (len(reply) + 1) + sum(map(taken, reply)) if isinstance(reply, list) else 0


def feed(guard: Guard, data: bytes, sizes: list[int]) -> None:
    """The data in pieces of these sizes, over and over."""
    start, size = 0, cycle(sizes)
    while start < len(data):
        stop = start + next(size)
        guard.check(data[start:stop])
        start = stop


@given(
    st.lists(trees, min_size=1, max_size=4).filter(lambda replies: max(map(depth, replies)) <= MAX_DEPTH),
    st.lists(st.integers(1, 5000), min_size=1, max_size=5),
)
@example([[b"x" * 16] * 512] * 3, [4096])
@example([[BOMB] * 512, [b"1", None] * 60], [1000])
def test_what_a_server_says_goes_through_however_it_is_cut_and_not_a_byte_more(
    replies: list[Any], sizes: list[int]
) -> None:
    data = b"".join(map(encoded, replies))
    limit = len(data) + sum(map(taken, replies))
    guard = Guard()
    guard.expect(limit)
    feed(guard, data, sizes)
    guard.expect(limit - 1)
    with pytest.raises(ReplyRefused):
        feed(guard, data, sizes)
    guard.expect(limit + 100)
    feed(guard, data, sizes)
    with pytest.raises(ReplyRefused, match="an array of"):  # it knows where the last reply ended
        guard.check(b"*99999999\r\n")


@given(
    st.lists(texts | st.none(), max_size=80),
    st.sampled_from(
        [
            b"*99999999\r\n",
            b">99999999\r\n",
            b"~1\r\n",
            b"%1\r\n",
            b"|1\r\n",
            b",1\r\n",
            b"_\r\n",
            b"$400000000000\r\n",
        ]
    ),
    st.lists(st.integers(1, 5000), min_size=1, max_size=5),
)
@example([b"x" * 16] * 64, b"*99999999\r\n", [4096])
@example([b"1", b"22"] * 32, b">99999999\r\n", [4096])
@example([], b"$400000000000\r\n", [1])
def test_a_bomb_is_refused_wherever_it_stands(before: list[Any], bomb: bytes, sizes: list[int]) -> None:
    data = b"*%d\r\n" % (len(before) + 100) + b"".join(map(encoded, before)) + bomb
    guard = Guard()
    with pytest.raises(ReplyRefused):
        feed(guard, data, sizes)


SIGNS = [
    b"*",
    b"$",
    b"9",
    b"99999",
    b"0",
    b"-1",
    b"\r\n",
    b"\n",
    b"abc",
    b">",
    b"~",
    b":1\r\n",
    b"*2\r\n",
    b"$3\r\nabc\r\n",
]


@given(st.binary(max_size=300) | st.lists(st.sampled_from(SIGNS), max_size=40).map(b"".join))
@example(b"*9999\r\n" * 9)
@example(b"$0\r\nab*9999999\r\n")
def test_what_goes_through_takes_no_more_than_the_limit_when_hiredis_reads_it(data: bytes) -> None:
    try:
        Guard().check(data)
    except ReplyRefused:
        return
    reader = hiredis.Reader(protocolError=InvalidResponse)
    tracemalloc.start()
    try:
        reader.feed(data)
        with suppress(InvalidResponse):
            while reader.gets() is not False:
                pass
        assert tracemalloc.get_traced_memory()[1] < 2 * REPLY_BYTES
    finally:
        tracemalloc.stop()


@given(
    st.lists(st.integers(1, 40), min_size=100, max_size=400),
    st.sampled_from([8, 16]),
    st.integers(3000, 70_000),
)
def test_many_short_replies_go_through_and_a_bomb_behind_them_does_not(
    counts: list[int], size: int, piece: int
) -> None:
    value = BOMB.ljust(size)[:size]
    data = b"".join(encoded([value] * count) for count in counts)
    guard = Guard()
    for ending, said in ((b"*99999999\r\n", "an array of"), (b">1\r\n", "not asked for")):
        guard.expect(reply_limit(sum(counts), size))
        feed(guard, data, [piece])
        with pytest.raises(ReplyRefused, match=said):
            guard.check(ending)
    guard.expect(len(data))
    with pytest.raises(ReplyRefused):
        feed(guard, data, [piece])


@pytest.mark.parametrize("road", ["last", "first"])
def test_arrays_may_not_be_nested_deeper_than_the_limit(road: str) -> None:
    head = b"*1\r\n" if road == "last" else b"*2\r\n"
    guard = Guard()
    guard.check(head * MAX_DEPTH)
    with pytest.raises(ReplyRefused, match="nested"):
        guard.check(head)


def test_a_line_has_an_end() -> None:
    guard = Guard()
    guard.check(b"-" + b"x" * (MAX_LINE_BYTES - 3) + b"\r\n")
    guard.check(b"+" + b"x" * (MAX_LINE_BYTES - 2))
    with pytest.raises(ReplyRefused, match="a line of more than"):
        guard.check(b"x")


def test_the_limit_for_values_leaves_room_for_them() -> None:
    values = [bytes(16)] * 65_536
    data = encoded(values)
    guard = Guard()
    guard.expect(reply_limit(len(values), 16))
    feed(guard, data, [65_536])
    assert reply_limit(0, 0, replies=0) == REPLY_BYTES


@pytest.mark.parametrize("points", [1, 3, 31, 32, 33])
def test_the_limit_leaves_room_for_values_of_many_buckets(points: int) -> None:
    value = b"\r\n*1\r\n$16\r\n\r\n*1\r"  # looks like heads
    reply = b"*%d\r\n" % points + (b"$%d\r\n%s\r\n" % (len(value), value)) * points
    replies = 70_000 // points
    guard = Guard()
    guard.expect(reply_limit(replies * points, len(value), replies=replies))
    data = reply * replies
    for start in range(0, len(data), 131_072):
        guard.check(data[start : start + 131_072])
