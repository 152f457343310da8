"""Replies to HMGET of tiles, compared as they come: against hiredis, and with what servers may say instead."""

from __future__ import annotations

from itertools import pairwise

import hiredis
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.lattice.grid import Box
from qwf_async.wire.tile_replies import TileReplies, TileReply
from qwf_async.wire.tiles import blocks_alike, first_tiles, hmget_tiles

TILE = (2, 1, 3)
NBYTES = 6 * 16


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def made(counts: list[int], seed: int) -> tuple[TileReplies, list[bytes]]:
    """Replies of a row of tiles each, and their bytes."""
    chance = np.random.default_rng(seed)
    replies: list[TileReply] = []
    come: list[bytes] = []
    k = 0
    for count in counts:
        tiles = Box(start=(0, 0, 0, k), stop=(1, 1, 1, k + count))
        replies.append(TileReply.of(tiles, NBYTES, start=sum(map(len, come))))
        come.append(b"*%d\r\n" % count + b"".join(bulk(chance.bytes(NBYTES)) for _ in range(count)))
        k += count
    box = Box(start=(0, 0, 0, 0), stop=(1, 2, 1, 3 * k))
    room = np.zeros(replies[-1].stop, np.uint8)
    return TileReplies(request=b"", replies=replies, box=box, tile=TILE, data=room), come


def matched(replies: TileReplies, come: bytes, cuts: list[int]) -> bool:
    """Whether bytes that come in pieces match what is expected; False at the first piece that does not."""
    edges = sorted({0, len(come), *(cut % (len(come) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        replies.data[start:stop] = np.frombuffer(come[start:stop], np.uint8)
        if not replies.match(start, stop):
            return False
    return True


counts = st.lists(st.integers(1, 12), min_size=1, max_size=4)
cuts = st.lists(st.integers(0, 10**6), max_size=20)


@given(counts, st.integers(0, 99), cuts)
def test_replies_are_read_as_hiredis_reads_them(counts: list[int], seed: int, cuts: list[int]) -> None:
    replies, come = made(counts, seed)
    assert [reply.stop - reply.start for reply in replies.replies] == list(map(len, come))
    assert matched(replies, b"".join(come), cuts)
    reader = hiredis.Reader()
    reader.feed(b"".join(come))
    tiles = [np.frombuffer(tile, "<c16").reshape(TILE) for _ in counts for tile in reader.gets()]
    found = np.empty(replies.box.shape, "<c16")
    assert replies.values(found)
    assert found.tobytes() == np.concatenate(tiles, axis=2)[None].tobytes()


@given(st.data(), counts, cuts)
def test_every_byte_but_those_of_values_is_compared(
    data: st.DataObject, counts: list[int], cuts: list[int]
) -> None:
    replies, parts = made(counts, 1)
    come = bytearray(b"".join(parts))
    place = data.draw(st.integers(0, len(come) - 1))
    come[place] ^= data.draw(st.integers(1, 255))
    in_value = any(
        (place - reply.first) % reply.stride < NBYTES
        for reply in replies.replies
        if reply.first <= place < reply.stop
    )
    assert matched(replies, bytes(come), cuts) == in_value


@given(st.data(), counts, cuts)
def test_what_the_server_may_say_instead_is_seen_before_anything_is_waited_for(
    data: st.DataObject, counts: list[int], cuts: list[int]
) -> None:
    replies, come = made(counts, 2)
    spoilt = data.draw(st.integers(0, len(counts) - 1))
    values = [b"v" * NBYTES] * counts[spoilt]
    place = data.draw(st.integers(0, counts[spoilt] - 1))
    before, after = b"".join(map(bulk, values[:place])), b"".join(map(bulk, values[place + 1 :]))
    begin = b"*%d\r\n" % counts[spoilt] + before
    others = [
        begin + b"$-1\r\n" + after,
        begin + bulk(b"v" * (NBYTES - 1)) + after,
        begin + bulk(b"v" * (NBYTES + 1)) + after,
        b"*%d\r\n" % (counts[spoilt] + 1) + b"".join(map(bulk, [*values, values[0]])),
        b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
    ]
    come[spoilt] = data.draw(st.sampled_from(others))
    assert not matched(replies, b"".join(come)[: replies.data.size], cuts)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    starts = [draw(st.sampled_from([0, 7, 9, 95, 998])) for _ in range(4)]
    stops = [start + draw(st.integers(1, 6)) for start in starts]
    return Box(start=(*starts,), stop=(*stops,))  # type: ignore[arg-type] # four each


@given(boxes())
def test_requests_name_the_tiles_of_a_box_in_their_order(box: Box) -> None:
    asked = []
    for block in blocks_alike(box):
        reader = hiredis.Reader()
        reader.feed(hmget_tiles(b"key", block))
        command, key, *fields = reader.gets()
        assert (command, key) == (b"HMGET", b"key")
        assert not reader.has_data()
        wanted = (np.indices(block.shape).reshape(4, -1).T + block.start).tolist()
        assert fields == [b"c/%d/%d/%d/%d" % tuple(place) for place in wanted]
        asked += fields
    assert len(asked) == len(set(asked)) == box.points
    assert next(first_tiles(box, 10**9)) == box.start
