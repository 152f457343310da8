"""Buckets as HSET and as ready-made listpacks: against a plain twin, and against what both servers make of them."""

from __future__ import annotations

import struct
from typing import Any

import hiredis
import numpy as np
import pytest
from anycrc import Model
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.wire.arena import Arena
from qwf_async.wire.batch import NumberedPart
from qwf_async.wire.buckets import BUCKET, hset_template, requests, restore_template
from qwf_async.wire.listpack import payload
from tests.conftest import Server
from tests.wire.plain_rdb import crc64, plain_payload, plain_string

BASE = b"qwf:psi:0123456789abcdef"
DTYPES = ("<c16", "<c8")
firsts = st.sampled_from([0, 7, 8, 9, 10, 98, 99, 100, 998, 99_997, 123_456_789])
sizes = st.one_of(st.integers(1, 4 * BUCKET), st.sampled_from([1, 127, 128, 129, 256]))


def plain_listpack(values: list[bytes]) -> bytes:
    """A listpack of 0, first value, 1, second value, …: small integers and short strings."""
    entries = b""
    for field, value in enumerate(values):
        entries += struct.pack("<BB", field, 1)
        entries += struct.pack("<B", 0x80 + len(value)) + value + struct.pack("<B", 1 + len(value))
    return struct.pack("<IH", 7 + len(entries), 2 * len(values)) + entries + b"\xff"


def plain_dump(values: list[bytes]) -> bytes:
    """What DUMP would give of the hash."""
    listpack = plain_listpack(values)
    return plain_payload(b"\x10" + plain_string(listpack))


def plain_buckets(first: int, values: NDArray[Any]) -> dict[bytes, list[bytes]]:
    """Key → the values of its fields 0, 1, …, a point at a time."""
    buckets: dict[bytes, list[bytes]] = {}
    parts = "<dd" if values.dtype.itemsize == 16 else "<ff"
    for i, value in enumerate(values.tolist()):
        key = b"%s:b%d" % (BASE, first + i // BUCKET)
        buckets.setdefault(key, []).append(struct.pack(parts, value.real, value.imag))
    return buckets


def parsed(part: NumberedPart) -> list[list[bytes]]:
    """The requests of a part as hiredis reads them; not a byte may be left over."""
    reader = hiredis.Reader()
    reader.feed(b"".join(part.buffers))
    found = [reader.gets() for _ in range(part.requests)]
    assert not reader.has_data()
    return found


def random_values(count: int, dtype: str, seed: int) -> NDArray[Any]:
    numbers = np.random.default_rng(seed).normal(size=(count, 2))
    numbers[::5] = [0.0, -0.0]
    return numbers.view(np.complex128).reshape(-1).astype(dtype)


def test_the_crc_is_the_one_that_servers_check() -> None:
    assert crc64(b"123456789") == Model("CRC64-REDIS").calc(b"123456789") == 0xE9C6D914C4B8D9CA


@given(firsts, sizes, st.sampled_from(DTYPES), st.integers(0, 2**32))
def test_hset_requests_are_the_plain_twin(first: int, count: int, dtype: str, seed: int) -> None:
    values = random_values(count, dtype, seed)
    found = {}
    for part in requests(BASE + b":b", first, values, hset_template, Arena()):
        for number, (command, key, *pairs) in enumerate(parsed(part)):
            assert command == b"HSET"
            assert key == part.key_of(number)
            assert pairs[::2] == [b"%d" % field for field in range(len(pairs) // 2)]
            found[key] = pairs[1::2]
    assert found == plain_buckets(first, values)


@given(firsts, sizes, st.sampled_from(DTYPES), st.integers(0, 2**32))
def test_restore_requests_are_the_plain_twin_byte_for_byte(
    first: int, count: int, dtype: str, seed: int
) -> None:
    values = random_values(count, dtype, seed)
    found = {}
    for part in requests(BASE + b":b", first, values, restore_template, Arena()):
        for number, (command, key, ttl, dump) in enumerate(parsed(part)):
            assert (command, ttl) == (b"RESTORE", b"0")
            assert key == part.key_of(number)
            found[key] = dump
    assert found == {key: plain_dump(fields) for key, fields in plain_buckets(first, values).items()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("points", [1, 2, 3, 127, 128])
def test_both_ways_leave_the_same_on_the_server(each_server: Server, points: int, dtype: str) -> None:
    values = random_values(points, dtype, points)
    held = []
    with each_server.plain as client:
        for template in (hset_template, restore_template):
            (part,) = requests(BASE + b":b", 99, values, template, Arena())
            ((command, *arguments),) = parsed(part)
            client.delete(BASE + b":b99")
            client.execute_command(command.decode(), *arguments)
            held.append(
                (
                    list(client.hgetall(BASE + b":b99").items()),
                    client.object("encoding", BASE + b":b99"),
                    client.dump(BASE + b":b99"),
                )
            )
        assert held[0] == held[1]
        pairs, encoding, _ = held[1]
        assert encoding == b"listpack"
        assert [value for _, value in pairs] == plain_buckets(99, values)[BASE + b":b99"]
        # Touched in every way that walks or changes the listpack, it stands.
        assert client.hset(BASE + b":b99", "0", b"x" * 16) == 0
        assert client.hget(BASE + b":b99", str(points - 1)) is not None
        assert client.hset(BASE + b":b99", "999", b"y") == 1
        assert client.hdel(BASE + b":b99", "999", "0") == 2
        assert client.hlen(BASE + b":b99") == points - 1


@pytest.mark.parametrize(("points", "size"), [(0, 16), (129, 16), (128, 0), (128, 64)])
def test_a_listpack_beyond_the_small_forms_is_not_made(points: int, size: int) -> None:
    with pytest.raises(ValueError, match="no listpack"):
        payload(points, size)


@pytest.mark.parametrize("points", [1, 2, 9, 10, 127, 128])
def test_no_field_of_a_payload_is_there_twice(points: int) -> None:
    made = payload(points, 16)
    fields = [made.data[offset - 3] for offset in made.offsets.tolist()]
    assert fields == list(range(points))
