"""Ready-made hashes against a plain twin byte for byte, and against what both servers make of them and of HSET."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwf_async.lattice.grid import Box
from qwf_async.wire.arena import Arena
from qwf_async.wire.codec import CODECS, digest
from qwf_async.wire.hash_payload import restored_box
from tests.conftest import Server
from tests.layout.layout_cases import parsed
from tests.wire.plain_rdb import plain_hash
from tests.wire.points import boxes, plain_points, values_of

KEY = b"qwf:psi:{0123456789abcdef.12}:s"
codecs = st.sampled_from(CODECS)


@given(boxes(), codecs, st.integers(0, 2**32))
def test_a_payload_is_the_plain_twin_byte_for_byte(box: Box, codec: str, seed: int) -> None:
    values = values_of(box, codec, seed)
    part, checksum = restored_box(KEY, box, values, codec, Arena())
    ((command, key, ttl, payload),) = parsed(part)
    assert (command, key, ttl) == (b"RESTORE", KEY, b"0")
    # The order of the fields is that of the blocks of names of one length: any order would do.
    twin = plain_points(box, values, codec)
    assert len(payload) == len(plain_hash(twin.items()))
    assert payload == plain_hash((name, twin[name]) for name in in_blocks(box))
    assert checksum == digest(codec, values)
    assert (part.key, part.requests, part.answer) == (KEY, 1, b"+OK\r\n")


def in_blocks(box: Box) -> list[bytes]:
    """The names of a box: those with digits in the same places one after the other, in C order."""
    names = list(plain_points(box, np.zeros(box.shape, np.complex128), "c16"))

    def widths(name: bytes) -> tuple[int, ...]:
        x, y, z, t = (len(part) for part in name.split(b"_"))
        return t, x, y, z

    return sorted(names, key=widths)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("points", [1, 2, 127, 128, 129, 130, 511, 512, 513, 3000])
def test_both_ways_leave_the_same_on_the_server(each_server: Server, points: int, codec: str) -> None:
    box = Box(start=(0, 0, 0, 95), stop=(1, 1, 1, 95 + points))
    values = values_of(box, codec, 5, special=False)
    twin = plain_points(box, values, codec)
    part, _ = restored_box(KEY, box, values, codec, Arena())
    ((command, *arguments),) = parsed(part)
    with each_server.plain as client:
        client.hset(KEY, mapping=dict(twin))
        by_hset = (client.hgetall(KEY), client.object("encoding", KEY))
        client.delete(KEY)
        client.execute_command(command.decode(), *arguments)
        assert (client.hgetall(KEY), client.object("encoding", KEY)) == by_hset
        assert by_hset[0] == twin
        # Touched in every way that walks or changes the hash, it stands.
        first = next(iter(twin))
        assert client.hset(KEY, first, b"x" * 16) == 0
        assert client.hset(KEY, "another", b"y") == 1
        assert client.hdel(KEY, "another", first) == 2
        assert client.hlen(KEY) == points - 1


def test_a_key_that_is_there_is_left_alone(each_server: Server) -> None:
    box = Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 5))
    part, _ = restored_box(KEY, box, values_of(box, "c16", 1), "c16", Arena())
    ((command, *arguments),) = parsed(part)
    with each_server.plain as client:
        client.set(KEY, "in the way")
        with pytest.raises(Exception, match="BUSYKEY"):
            client.execute_command(command.decode(), *arguments)
        assert client.get(KEY) == b"in the way"
