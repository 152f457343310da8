"""The reply to DUMP taken apart: against a plain twin, with values that look like records, and from both servers."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.lattice.grid import Box
from qwf_async.wire.hash_dump import ROUNDS, DumpedBox
from tests.conftest import Server
from tests.wire.plain_rdb import plain_hash, plain_payload, plain_string
from tests.wire.points import boxes, plain_points, values_of

codecs = st.sampled_from(["c16", "c8"])
Points = dict[bytes, bytes]


def shuffled(points: Points, seed: int) -> list[tuple[bytes, bytes]]:
    pairs = list(points.items())
    Random(seed).shuffle(pairs)
    return pairs


def read(box: Box, dtype: np.dtype[Any], payload: bytes) -> NDArray[Any] | None:
    return DumpedBox.of(box, dtype).values(np.frombuffer(payload, np.uint8))


@given(boxes(), codecs, st.integers(0, 2**32), st.sampled_from([9, 10, 80]))
def test_fields_in_any_order_give_the_values(box: Box, codec: str, seed: int, version: int) -> None:
    values = values_of(box, codec, seed)
    payload = plain_hash(shuffled(plain_points(box, values, codec), seed), version)
    assert DumpedBox.of(box, values.dtype).nbytes == len(payload)
    found = read(box, values.dtype, payload)
    assert found is not None
    assert (found.dtype, found.shape, found.tobytes()) == (values.dtype, box.shape, values.tobytes())


@given(boxes(), codecs, st.integers(0, 2**32), st.sampled_from([0.01, 0.3, 1.0]))
def test_values_that_look_like_records_are_read_right_or_not_at_all(
    box: Box, codec: str, seed: int, share: float
) -> None:
    values = values_of(box, codec, seed)
    rng, size = np.random.default_rng(seed), values.dtype.itemsize
    names = list(plain_points(box, values, codec))
    raw = values.reshape(-1).view(np.uint8).reshape(-1, size)
    for number in np.flatnonzero(rng.random(len(raw)) < share):
        record = plain_string(names[rng.integers(len(names))]) + bytes([size])
        begin = int(rng.integers(size))
        some = record[: size - begin]
        raw[number, begin : begin + len(some)] = np.frombuffer(some, np.uint8)
    payload = plain_hash(shuffled(plain_points(box, values, codec), seed))
    found = read(box, values.dtype, payload)
    assert found is None or found.tobytes() == values.tobytes()


@given(boxes((1, 2, 9, 40)), codecs, st.integers(0, 2**32))
def test_a_few_values_that_look_like_records_do_not_matter(box: Box, codec: str, seed: int) -> None:
    values = values_of(box, codec, seed)
    rng, size = np.random.default_rng(seed), values.dtype.itemsize
    names = list(plain_points(box, values, codec))
    raw = values.reshape(-1).view(np.uint8).reshape(-1, size)
    for number in rng.integers(len(raw), size=ROUNDS // 2):
        raw[number, -2:] = [len(names[rng.integers(len(names))]), ord("x")]
    found = read(box, values.dtype, plain_hash(shuffled(plain_points(box, values, codec), seed)))
    assert found is not None
    assert found.tobytes() == values.tobytes()


@given(boxes(), codecs, st.integers(0, 2**32), st.data())
def test_a_name_that_is_not_of_the_box_gives_no_values(
    box: Box, codec: str, seed: int, data: st.DataObject
) -> None:
    values = values_of(box, codec, seed)
    points = plain_points(box, values, codec)
    pairs = shuffled(points, seed)
    number = data.draw(st.integers(0, len(pairs) - 1))
    name, value = pairs[number]
    at = data.draw(st.integers(0, len(name) - 1))
    other = bytearray(name)
    other[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != name[at]))
    pairs[number] = bytes(other), value  # may be the name of another point, which is then there twice
    assert read(box, values.dtype, plain_hash(pairs)) is None


@given(boxes(), codecs, st.integers(0, 2**32), st.data())
def test_bytes_that_are_not_those_of_values_may_not_differ(
    box: Box, codec: str, seed: int, data: st.DataObject
) -> None:
    values = values_of(box, codec, seed)
    points = plain_points(box, values, codec)
    pairs = shuffled(points, seed)
    marked = plain_hash((name, b"\xff" * len(value)) for name, value in pairs)[:-10]
    zeros = plain_hash((name, bytes(len(value))) for name, value in pairs)[:-10]
    fixed = [at for at, (one, other) in enumerate(zip(marked, zeros, strict=True)) if one == other]
    whole = bytearray(plain_hash(pairs)[:-10])
    for at in data.draw(st.lists(st.sampled_from(fixed), min_size=1, max_size=3, unique=True)):
        whole[at] ^= data.draw(st.integers(1, 255))
    found = read(box, values.dtype, plain_payload(bytes(whole)))
    assert found is None or found.tobytes() == values.tobytes()  # lengths may be moved to and fro


def test_a_payload_is_read_only_with_its_checksum_and_its_length() -> None:
    box = Box(start=(0, 0, 0, 5), stop=(1, 1, 3, 15))
    values = values_of(box, "c16", 1)
    payload = plain_hash(plain_points(box, values, "c16").items())
    assert read(box, values.dtype, payload) is not None
    for at in (0, 1, len(payload) // 2, len(payload) - 9, len(payload) - 1):
        changed = bytearray(payload)
        changed[at] ^= 1
        assert read(box, values.dtype, bytes(changed)) is None
    for other in (b"", payload[:-1], payload + b"\0", payload[1:]):
        assert read(box, values.dtype, other) is None


@pytest.mark.parametrize("codec", ["c16", "c8"])
@pytest.mark.parametrize(
    "box",
    [
        Box(start=(0, 7, 0, 0), stop=(1, 8, 128, 128)),
        Box(start=(3, 0, 0, 95), stop=(4, 12, 11, 110)),
        Box(start=(0, 9_000, 0, 0), stop=(1, 11_000, 1, 1)),
        Box(start=(0, 0, 0, 100), stop=(1, 1, 1, 900)),
    ],
)
def test_what_a_server_dumps_gives_the_values(each_server: Server, box: Box, codec: str) -> None:
    values = values_of(box, codec, 3)
    with each_server.plain as client:
        client.hset("psi", mapping=dict(plain_points(box, values, codec)))
        found = read(box, values.dtype, client.dump("psi") or b"")
        assert found is not None
        assert found.tobytes() == values.tobytes()
        client.hset("psi", "x0_y0_z0_t77", b"x" * values.dtype.itemsize)
        assert read(box, values.dtype, client.dump("psi") or b"") is None


def test_values_and_names_that_a_server_encodes_otherwise_are_not_read(each_server: Server) -> None:
    box = Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 1000))
    values = values_of(box, "c8", 3)
    points = plain_points(box, values, "c8") | {b"x0_y0_z44_t0": b"12345678"}
    long = Box(start=(100_000, 100_000, 100_000, 100_000), stop=(100_001, 100_001, 100_001, 101_000))
    with each_server.plain as client:
        client.hset("psi", mapping=dict(points))
        assert read(box, values.dtype, client.dump("psi") or b"") is None
        client.hset("long", mapping=dict(plain_points(long, values_of(long, "c16", 3), "c16")))
        assert read(long, np.dtype("<c16"), client.dump("long") or b"") is None
