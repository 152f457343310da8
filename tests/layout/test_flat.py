"""Layout flat, held against a plain twin byte for byte, parsed and stored by other programs than ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwf_async.errors import DamagedData, Refused, UsageError
from qwf_async.ingesting.sink import ServerSink, writing_to
from qwf_async.lattice.grid import Box, Order, Shape4
from qwf_async.lattice.plan import BoxPlan, Chunk
from qwf_async.layout import Form
from qwf_async.layout.flat import FIELDS_A_REQUEST, Flat
from qwf_async.wire.codec import digest
from tests.conftest import Server, open_pool
from tests.layout.layout_cases import BASE, parsed
from tests.wire.points import boxes, plain_points, values_of

CODECS = ("c16", "c8", "text10")
KEY = BASE + b"0}:s"
codecs = st.sampled_from(CODECS)


def as_it_is(psi: NDArray[Any]) -> NDArray[Any]:
    return psi


def with_gaps(psi: NDArray[Any]) -> NDArray[Any]:
    wide = np.full([2 * n for n in psi.shape], 7 - 7j, psi.dtype)
    wide[::2, 1::2, ::2, 1::2] = psi
    return wide[::2, 1::2, ::2, 1::2]


def backwards(psi: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(psi[::-1, :, ::-1, ::-1])[::-1, :, ::-1, ::-1]


def read_only(psi: NDArray[Any]) -> NDArray[Any]:
    psi = psi.copy()
    psi.flags.writeable = False
    return psi


MEMORY: list[Callable[[NDArray[Any]], NDArray[Any]]] = [
    as_it_is, np.asfortranarray, with_gaps, backwards, read_only
]  # fmt: skip
"""Ways in which the same values may lie in memory."""


def flat(codec: str, shape: Shape4) -> Flat:
    """A layout with all points in one hash."""
    return Flat(base=BASE, codec=codec, plan=BoxPlan.cut(shape), one_hash=True)


@given(boxes(), codecs, st.sampled_from(MEMORY), st.integers(0, 2**32))
def test_a_batch_is_the_plain_twin_in_requests_of_512_fields(
    box: Box, codec: str, lie: Callable[[NDArray[Any]], NDArray[Any]], seed: int
) -> None:
    values = values_of(box, codec, seed)
    batch = flat(codec, box.stop).encode(Chunk(number=5, boxes=(box,)), lie(values), 0.25)
    twin = plain_points(box, values, codec)

    (part,) = batch.parts
    requests = parsed(part)
    assert all(request[:2] == [b"HSET", KEY] for request in requests)
    pairs = [pair for request in requests for pair in zip(request[2::2], request[3::2], strict=True)]
    assert len(pairs) == box.points
    assert dict(pairs) == twin
    full, rest = divmod(box.points, FIELDS_A_REQUEST)
    assert [len(request) // 2 - 1 for request in requests] == [512] * full + [rest] * bool(rest)
    assert batch.digest == xxhash.xxh3_64_intdigest(b"".join(twin.values()))
    assert (batch.chunk, batch.points, batch.weight) == (5, box.points, 0.25)
    assert (part.key, batch.requests) == (KEY, len(requests))
    assert batch.nbytes == part.nbytes == len(b"".join(part.buffers))


@given(boxes(), codecs)
def test_buffers_are_flat_views_of_bytes(box: Box, codec: str) -> None:
    layout = flat(codec, box.stop)
    batch = layout.encode(Chunk(number=0, boxes=(box,)), values_of(box, codec, 1), 0.0)
    for buffer in [*batch.parts[0].buffers, *layout.requests(box)[0].buffers]:
        view = memoryview(buffer)
        assert (view.ndim, view.format, view.c_contiguous) == (1, "B", True)
        assert len(buffer) == view.nbytes > 0


@given(boxes(), codecs, st.integers(0, 2**32))
def test_reading_a_box_asks_for_its_fields_and_gives_its_values_and_digest(
    box: Box, codec: str, seed: int
) -> None:
    layout = flat(codec, box.stop)
    values = values_of(box, codec, seed)
    twin = plain_points(box, values, codec)
    (part,) = layout.requests(box)
    requests = parsed(part)
    assert all(request[:2] == [b"HMGET", KEY] for request in requests)
    assert all(len(request) - 2 <= FIELDS_A_REQUEST for request in requests)
    assert sorted(field for request in requests for field in request[2:]) == sorted(twin)

    found = layout.values(box, [[twin[field] for field in request[2:]] for request in requests])
    assert digest(codec, found) == xxhash.xxh3_64_intdigest(b"".join(twin.values()))
    assert found.dtype == values.dtype
    expected = values
    if codec == "text10":
        pairs = [tuple(map(float, text.split(b","))) for text in twin.values()]
        expected = np.array(pairs).view(np.complex128).reshape(box.shape)
    assert found.shape == box.shape
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found.real), np.signbit(expected.real)) or np.isnan(expected).any()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ({b"x9_y0_z3_t0": None}, "lacks the field x9_y0_z3_t0"),
        ({b"x10_y0_z0_t0": None, b"x11_y0_z0_t0": None}, "lacks the field x10_y0_z0_t0"),
        ({b"x11_y0_z4_t0": b"abc"}, "holds 3 bytes that are no .* in the field x11_y0_z4_t0"),
        ({b"x9_y0_z0_t0": b""}, "holds 0 bytes that are no .* in the field x9_y0_z0_t0"),
    ],
)
def test_a_damaged_value_is_named_by_key_and_field(
    codec: str, damaged: dict[bytes, bytes | None], message: str
) -> None:
    box = Box(start=(0, 9, 0, 0), stop=(1, 12, 1, 5))
    layout = flat(codec, box.stop)
    twin: dict[bytes, bytes | None] = dict(plain_points(box, values_of(box, codec, 3), codec))
    twin |= damaged
    replies = [[twin[field] for field in request[2:]] for request in parsed(layout.requests(box)[0])]
    with pytest.raises(DamagedData, match=message) as raised:
        layout.values(box, replies)
    assert KEY.decode() in str(raised.value)


@pytest.mark.parametrize("codec", ["c16", "c8"])
def test_a_value_too_short_is_not_made_good_by_one_too_long(codec: str) -> None:
    box = Box(start=(0, 0, 0, 0), stop=(1, 1, 1, 4))
    layout = flat(codec, box.stop)
    size = 16 if codec == "c16" else 8
    replies = [[bytes(size), bytes(size - 1), bytes(size + 1), bytes(size)]]
    with pytest.raises(DamagedData, match="x0_y0_z1_t0"):
        layout.values(box, replies)


def test_a_point_is_found_where_it_was_put() -> None:
    layout = flat("c16", (8, 13, 1, 346))
    (part,) = layout.requests(Box(start=(7, 12, 0, 345), stop=(8, 13, 1, 346)))
    assert parsed(part) == [[b"HMGET", KEY, b"x12_y0_z345_t7"]]
    assert list(layout.keys(0)) == [KEY]


def test_an_unknown_layout_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown layout 'flatt': one of flat"):
        Form.of(layout="flatt", codec="c16", shape=(1, 2, 2, 2))


@pytest.mark.anyio
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("order", ["C", "F"])
async def test_a_server_holds_the_plain_points(each_server: Server, codec: str, order: Order) -> None:
    whole = Box(start=(0, 0, 0, 0), stop=(2, 12, 3, 101))
    values = values_of(whole, codec, 8)
    layout = flat(codec, whole.shape)
    async with open_pool(each_server) as pool:
        sink = ServerSink(writing_to(pool))
        for chunk in BoxPlan.cut(whole.shape, order=order, points=2000):
            batch = layout.encode(chunk, values[chunk.box.slices], 0.0)
            await sink.write(batch)
            await sink.write(batch)
        (part,) = layout.requests(whole)
        async with pool.connection(KEY) as connection:
            replies = await connection.exchange(part.buffers, part.requests)
    twin = plain_points(whole, values, codec)
    with each_server.plain as client:
        assert client.hgetall(KEY) == twin
    assert digest(codec, layout.values(whole, replies)) == xxhash.xxh3_64_intdigest(b"".join(twin.values()))


@pytest.mark.anyio
async def test_an_error_among_the_replies_names_the_key_and_leaves_the_connection_in_step(
    server: Server,
) -> None:
    with server.plain as client:
        client.set(KEY, "in the way")
    box = Box(start=(0, 0, 0, 0), stop=(1, 1, 20, 100))
    batch = flat("c16", box.stop).encode(Chunk(number=0, boxes=(box,)), values_of(box, "c16", 1), 0.0)
    assert batch.requests == 4
    async with open_pool(server) as pool:
        with pytest.raises(Refused, match=KEY.decode()):
            await ServerSink(writing_to(pool)).write(batch)
        assert await pool.call("ECHO", "in step") == b"in step"
        assert pool.counts.opened == 1


near = st.integers(-3, 3)
edge_sizes = st.builds(
    lambda size, shift: max(1, size + shift), st.sampled_from([1, 10, 100, 128, 512, 1024, 8192]), near
)


@given(
    st.lists(edge_sizes, min_size=4, max_size=4),
    st.integers(0, 3),
    codecs,
    st.sampled_from(["valkey", "redis", None]),
)
def test_the_predicted_memory_of_one_hash_never_falls_when_the_grid_grows(
    sizes: list[int], axis: int, codec: str, software: str | None
) -> None:
    t, x, y, z = sizes
    sizes[axis] += 1
    more = (sizes[0], sizes[1], sizes[2], sizes[3])
    assert predicted(codec, (t, x, y, z), software) <= predicted(codec, more, software)


def predicted(codec: str, shape: Shape4, software: str | None) -> int:
    return Form.of(layout="flat", codec=codec, shape=shape, slab="all").predicted_bytes(software)


@pytest.mark.parametrize("software", ["valkey", "redis", None])
def test_the_predicted_memory_grows_with_the_size_of_a_value(software: str | None) -> None:
    c8, c16, text10 = (predicted(codec, (1, 64, 64, 64), software) for codec in ("c8", "c16", "text10"))
    assert c8 <= c16 <= text10  # allocators round up
    assert c8 < text10


def test_the_prediction_for_an_unknown_server_covers_both() -> None:
    for codec in CODECS:
        known = [predicted(codec, (1, 100, 90, 80), software) for software in ("valkey", "redis")]
        assert predicted(codec, (1, 100, 90, 80), "keydb") == max(known)
