"""Layout tile: the chunks that zarr-python itself writes, each a field of the hash of its slab."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.storage import MemoryStore

import qwf_async
from qwf_async.errors import DamagedData, UsageError
from qwf_async.lattice.grid import Box, Order, Shape3, Shape4
from qwf_async.lattice.plan import BoxPlan
from qwf_async.layout import Form
from qwf_async.layout.tile import Tile
from qwf_async.wire.codec import stored
from tests.conftest import Server
from tests.layout.layout_cases import BASE, Hashes, parsed, published_hashes
from tests.support.loads import ask, leave_unfinished, wave

ORDERS: tuple[Order, ...] = ("C", "F")
orders = st.sampled_from(ORDERS)


def zarr_twin(psi: NDArray[Any], tile: Shape3) -> dict[bytes, bytes]:
    """The chunks that zarr-python writes of ψ, under the fields where they should lie."""
    chunks: dict[str, Any] = {}
    array = zarr.create_array(
        MemoryStore(chunks),
        shape=psi.shape,
        chunks=(1, *tile),
        dtype=psi.dtype,
        compressors=None,
        fill_value=0,
        config={"write_empty_chunks": True},
    )
    array[...] = psi
    return {name.encode(): chunk.to_bytes() for name, chunk in chunks.items() if name.startswith("c/")}


def fields_of(hashes: Hashes) -> dict[bytes, bytes]:
    """All fields of the hashes; none may be in two."""
    fields = {name: value for held in hashes.values() for name, value in held.items()}
    assert len(fields) == sum(map(len, hashes.values()))
    return fields


def plain_twin(base: bytes, psi: NDArray[Any], tile: Shape3, chunk: Shape4, order: Order) -> Hashes:
    """The same by slices: each tile cut out and padded with zeros."""
    chunks = [-(-n // a) for n, a in zip(psi.shape, chunk, strict=True)]
    hashes: Hashes = {}
    counts = [-(-n // a) for n, a in zip(psi.shape[1:], tile, strict=True)]
    for t, *place in product(range(psi.shape[0]), *map(range, counts)):
        padded = np.zeros(tile, psi.dtype)
        x, y, z = (slice(n * a, (n + 1) * a) for n, a in zip(place, tile, strict=True))
        some = psi[t, x, y, z]
        padded[tuple(map(slice, some.shape))] = some
        field = b"c/%d/%d/%d/%d" % (t, *place)
        within = [n // a for n, a in zip((t, x.start, y.start, z.start), chunk, strict=True)]
        group = np.ravel_multi_index(within, chunks, order=order)
        hashes.setdefault(b"%s%d}:t" % (base, group), {})[field] = padded.tobytes()
    return hashes


@st.composite
def shapes_and_tiles(draw: st.DrawFn) -> tuple[Shape4, Shape3]:
    t, x, y, z = draw(st.tuples(*(st.integers(1, n) for n in (2, 12, 12, 25))))
    a, b, c = (draw(st.integers(1, min(9, n))) for n in (x, y, z))
    return (t, x, y, z), (a, b, c)


@given(shapes_and_tiles(), st.sampled_from(["c16", "c8"]), orders, st.data())
def test_batches_are_the_plain_twin(
    drawn: tuple[Shape4, Shape3], codec: str, order: Order, data: st.DataObject
) -> None:
    shape, tile = drawn
    psi = stored(codec, np.asarray(wave(*shape), order=order))
    form = Form.of(layout="tile", codec=codec, shape=shape, order=order, tile=tile)
    assert isinstance(form.plan, BoxPlan)
    layout = form.open(BASE)
    found: Hashes = {}
    for chunk in form.plan:
        for part in layout.encode(chunk, psi[chunk.box.slices], 0.0).parts:
            for command, key, *pairs in parsed(part):
                assert (command, key) == (b"HSET", part.key)
                found.setdefault(key, {}).update(zip(pairs[::2], pairs[1::2], strict=True))
    assert found == plain_twin(BASE, psi, tile, form.plan.chunk, order)
    assert list(form.keys(BASE)) == list(found)

    starts = [data.draw(st.integers(0, size - 1)) for size in shape]
    stops = [data.draw(st.integers(a + 1, size)) for a, size in zip(starts, shape, strict=True)]
    box = Box(start=(*starts,), stop=(*stops,))  # type: ignore[arg-type] # four each
    replies = []
    for part in layout.requests(box):
        for command, key, *fields in parsed(part):
            assert (command, key) == (b"HMGET", part.key)
            replies.append([found[key].get(field) for field in fields])
    assert np.array_equal(layout.values(box, replies), psi[box.slices])


@given(shapes_and_tiles(), st.sampled_from(["c16", "c8"]))
@settings(max_examples=30)
def test_the_plain_twin_is_what_zarr_writes(drawn: tuple[Shape4, Shape3], codec: str) -> None:
    shape, tile = drawn
    psi = stored(codec, wave(*shape))
    assert fields_of(plain_twin(BASE, psi, tile, shape, "C")) == zarr_twin(psi, tile)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((1, 1000, 1, 1), None),
        ((3, 33, 21, 1), None),
        ((2, 17, 9, 23), None),
        ((2, 9, 10, 11), (4, 3, 5)),
        ((1, 5, 5, 5), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("codec", ["c16", "c8"])
async def test_what_is_stored_is_byte_for_byte_what_zarr_writes(
    each_server: Server, shape: Shape4, tile: Shape3 | None, codec: str
) -> None:
    psi = wave(*shape)
    for order in ORDERS:
        async with qwf_async.connect(each_server.url) as store:
            source = qwf_async.sources.array(np.asarray(psi, order=order))
            await qwf_async.ingest(
                source, store, "psi", layout="tile", tile=tile, codec=codec, overwrite=True, verify=True
            )
            reader = await store.open("psi")
            t, x, y, z = (n - 1 for n in shape)
            assert await reader.point(x, y, z, t) == stored(codec, psi)[t, x, y, z]
        twin = zarr_twin(stored(codec, psi), tile or Tile.default_tile(shape))
        assert fields_of(published_hashes(each_server)[1]) == twin


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks", "time_to_settle")
async def test_a_resumed_load_is_whole(each_server: Server) -> None:
    psi = wave(2, 20, 20, 20)
    source = qwf_async.sources.array(psi)
    await leave_unfinished(each_server, source, 6000, layout="tile")
    async with qwf_async.connect(each_server.url) as store:
        report = await qwf_async.ingest(source, store, "psi", layout="tile", resume=True)
    assert report.resumed_chunks > 0
    assert fields_of(published_hashes(each_server)[1]) == zarr_twin(psi, (8, 8, 8))


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((1, 64, 64, 64), (8, 8, 8)),
        ((9, 1000, 1, 1), (512, 1, 1)),
        ((1, 300, 1, 1), (300, 1, 1)),
        ((1, 64, 64, 1), (32, 16, 1)),
        ((1, 64, 64, 2), (16, 16, 2)),
        ((1, 3, 5, 7), (3, 5, 7)),
        ((1, 1, 1, 1), (1, 1, 1)),
        ((1, 4, 128, 128), (4, 16, 8)),
        ((1, 100, 3, 100), (16, 3, 16)),
    ],
)
def test_the_default_tile(shape: Shape4, tile: Shape3) -> None:
    assert Tile.default_tile(shape) == tile


@pytest.mark.parametrize("tile", [(0, 8, 8), (9, 8, 8), (8, 8, 17)])
def test_a_tile_that_does_not_fit_is_refused(tile: Shape3) -> None:
    with pytest.raises(UsageError, match="do not fit"):
        Form.of(layout="tile", codec="c16", shape=(1, 8, 8, 16), tile=tile)


@pytest.mark.parametrize("value", [None, b"", b"x" * 8191, b"x" * 8193])
def test_damage_is_named_with_key_and_field(value: bytes | None) -> None:
    layout = Form.of(layout="tile", codec="c16", shape=(2, 16, 16, 16), tile=(8, 8, 8)).open(BASE)
    box = Box(start=(1, 8, 0, 0), stop=(2, 16, 16, 16))
    with pytest.raises(DamagedData, match=rf"{re.escape(BASE.decode())}0\}}:t .* c/1/1/1/0$"):
        layout.values(box, [[bytes(8192), bytes(8192), value, bytes(8192)]])


@pytest.mark.anyio
async def test_a_tile_that_is_gone_from_the_server_is_named(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        source = qwf_async.sources.array(wave(1, 16, 16, 16))
        await qwf_async.ingest(source, store, "psi", layout="tile")
        base, _ = published_hashes(each_server)
        ask(each_server, "HDEL", base + b"0}:t", "c/0/1/0/1")
        reader = await store.open("psi")
        with pytest.raises(DamagedData, match=r"\.0\}:t lacks the field c/0/1/0/1"):
            await reader.point(8, 0, 8)
        assert await reader.point(0, 0, 0) == wave(1, 16, 16, 16)[0, 0, 0, 0]
