"""Layout packed: every point in its bucket, whichever way it is written, read and removed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import qwf_async
from qwf_async.errors import DamagedData
from qwf_async.lattice.grid import Box, Order, Shape4
from qwf_async.lattice.plan import RangePlan
from qwf_async.layout import Form
from qwf_async.layout.packed import Packed
from qwf_async.wire.codec import stored
from tests.conftest import Server
from tests.layout.layout_cases import BASE, Hashes, published_hashes
from tests.support.loads import Events, ask, leave_unfinished, wave


def plain_twin(base: bytes, psi: NDArray[Any], chunk: int = 65_536) -> Hashes:
    """What the buckets of ψ[t, x, y, z] should hold, a point at a time in C order, `chunk` of them a group."""
    hashes: Hashes = {}
    for i, value in enumerate(psi.reshape(-1)):
        hashes.setdefault(b"%s%d}:b%d" % (base, i // chunk, i // 128), {})[b"%d" % (i % 128)] = (
            value.tobytes()
        )
    return hashes


def encodings(server: Server) -> set[bytes]:
    with server.plain as client:
        return {client.object("encoding", key) for key in client.keys("qwf:psi:*")}


def packed(codec: str, shape: Shape4) -> Packed:
    return Packed(base=BASE, codec=codec, plan=RangePlan.cut(shape, unit=128))


@st.composite
def shapes_and_boxes(draw: st.DrawFn) -> tuple[Shape4, Box]:
    shape = draw(st.tuples(*(st.integers(1, n) for n in (2, 3, 4, 140))))
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    stops = [draw(st.integers(a + 1, size)) for a, size in zip(starts, shape, strict=True)]
    return shape, Box(start=(*starts,), stop=(*stops,))  # type: ignore[arg-type] # four each


@given(shapes_and_boxes(), st.sampled_from(["c16", "c8"]))
def test_the_values_of_any_box_come_back(drawn: tuple[Shape4, Box], codec: str) -> None:
    shape, box = drawn
    psi = stored(codec, wave(*shape))
    layout = packed(codec, shape)
    hashes = plain_twin(BASE, psi)
    replies = []
    for part in layout.requests(box):
        (buffer,) = part.buffers
        fields = re.findall(rb"\$\d+\r\n([^\r]+)\r\n", bytes(buffer))
        assert fields[:2] == [b"HMGET", part.key]
        replies.append([hashes[part.key].get(field) for field in fields[2:]])
    assert np.array_equal(layout.values(box, replies), psi[box.slices])


@given(st.tuples(*(st.integers(1, n) for n in (2, 5, 7, 140))))
def test_the_keys_are_those_of_the_buckets(shape: Shape4) -> None:
    layout = packed("c16", shape)
    assert list(layout.keys(0)) == list(plain_twin(BASE, np.empty(shape, np.complex128)))


@pytest.mark.parametrize("damage", ["missing field", "missing bucket", "short value"])
def test_damage_is_named_with_key_and_field(damage: str) -> None:
    psi = wave(1, 300, 1, 1)
    layout = packed("c16", (1, 300, 1, 1))
    box = Box(start=(0, 0, 0, 0), stop=(1, 300, 1, 1))
    buckets: list[list[bytes | None]] = [list(fields.values()) for fields in plain_twin(BASE, psi).values()]
    if damage == "missing bucket":
        buckets[1] = [None] * 128
    else:
        buckets[1][5] = None if damage == "missing field" else b"short"
    field = 0 if damage == "missing bucket" else 5
    with pytest.raises(DamagedData, match=rf"{re.escape(BASE.decode())}0\}}:b1 .* the field {field}$"):
        layout.values(box, buckets)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["hset", "restore"])
@pytest.mark.parametrize("codec", ["c16", "c8"])
@pytest.mark.parametrize("order", ["C", "F"])
async def test_every_point_is_stored_and_read_back(
    each_server: Server, mode: str, codec: str, order: Order
) -> None:
    psi = np.asarray(wave(2, 5, 7, 23), order=order)
    async with qwf_async.connect(each_server.url) as store:
        source = qwf_async.sources.array(psi)
        report = await qwf_async.ingest(
            source, store, "psi", layout="packed", codec=codec, write_mode=mode, verify=True
        )
        assert (report.layout, report.points, report.retries) == ("packed", psi.size, 0)
        reader = await store.open("psi")
        assert await reader.point(4, 6, 22, t=1) == stored(codec, psi)[1, 4, 6, 22]
    base, hashes = published_hashes(each_server)
    assert hashes == plain_twin(base, stored(codec, np.ascontiguousarray(psi)))
    assert encodings(each_server) == {b"listpack"}


@pytest.mark.anyio
@pytest.mark.parametrize("points", [1, 127, 128, 129, 1281])
async def test_grids_of_few_points_are_stored_and_read(each_server: Server, points: int) -> None:
    psi = wave(1, points, 1, 1)
    for mode in ("hset", "restore"):
        async with qwf_async.connect(each_server.url) as store:
            source = qwf_async.sources.array(psi)
            await qwf_async.ingest(source, store, "psi", layout="packed", write_mode=mode, overwrite=True)
            assert np.array_equal(await (await store.open("psi")).read[...], psi)
        base, hashes = published_hashes(each_server)
        assert hashes == plain_twin(base, psi)


@pytest.mark.anyio
@pytest.mark.usefixtures("time_to_settle")
async def test_a_load_begun_one_way_and_resumed_the_other_is_the_same(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = RangePlan.cut
    monkeypatch.setattr(
        RangePlan, "cut", staticmethod(lambda shape, unit: whole(shape, points=1024, unit=unit))
    )
    psi = wave(1, 10, 30, 41)
    source = qwf_async.sources.array(psi)
    await leave_unfinished(each_server, source, 4000, layout="packed", write_mode="hset")
    async with qwf_async.connect(each_server.url) as store:
        report = await qwf_async.ingest(
            source, store, "psi", layout="packed", write_mode="restore", resume=True
        )
    assert report.resumed_chunks >= 3
    base, hashes = published_hashes(each_server)
    assert hashes == plain_twin(base, psi, 1024)
    assert encodings(each_server) == {b"listpack"}


@pytest.mark.anyio
async def test_the_many_keys_of_an_old_generation_all_go(each_server: Server) -> None:
    psi = wave(1, 20, 20, 40)
    source = qwf_async.sources.array(psi)
    async with qwf_async.connect(each_server.url) as store:
        events = Events()
        for layout in ("flat", "packed", "tile", "packed", "flat"):
            await qwf_async.ingest(source, store, "psi", layout=layout, overwrite=True, hooks=(events,))
            base, hashes = published_hashes(each_server)
            with each_server.plain as client:
                journals = [key for key in client.keys("qwf:psi:*") if key.endswith(b"}:j")]
                assert set(client.keys("qwf:psi:*")) == {*hashes, *journals}
            assert len(hashes) == {"flat": 1, "packed": 125, "tile": 1}[layout]
            assert len(journals) == 1
            if layout == "packed":
                assert hashes == plain_twin(base, psi)
        assert not ask(each_server, "EXISTS", "qwf:{psi}:trash")


def test_a_chunk_is_whole_buckets() -> None:
    plan = Form.of(layout="packed", codec="c16", shape=(3, 50, 50, 50), order="F").plan
    firsts = [np.ravel_multi_index(chunk.boxes[0].start, (3, 50, 50, 50)) for chunk in plan]
    assert {int(first) % 128 for first in firsts} == {0}


@pytest.mark.anyio
async def test_an_old_generation_goes_in_batches(each_server: Server) -> None:
    source = qwf_async.sources.array(wave(1, 20, 20, 40))
    settings = replace(qwf_async.Settings(), clean_batch=25)
    async with qwf_async.connect(each_server.url, settings=settings) as store:
        await qwf_async.ingest(source, store, "psi", layout="packed", write_mode="hset")
        ask(each_server, "CONFIG", "RESETSTAT")
        await qwf_async.ingest(source, store, "psi", layout="flat", write_mode="hset", overwrite=True)
    with each_server.plain as client:
        assert client.info("commandstats")["cmdstat_unlink"]["calls"] == 6  # the journal and 125 buckets
    assert len(published_hashes(each_server)[1]) == 1
