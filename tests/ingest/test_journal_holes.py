"""Data that was evicted behind its journal: seen when the load is resumed, whatever became of the server meanwhile."""

from __future__ import annotations

from typing import Any

import hiredis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qwf_async
from qwf_async import sources
from qwf_async.lattice.grid import Box, Order
from qwf_async.layout import LAYOUTS, Form
from qwf_async.wire.batch import Part
from qwf_async.wire.codec import stored
from tests.conftest import Server
from tests.support.loads import (
    Events,
    ask,
    check_alone,
    check_points,
    group_keys,
    journalled,
    leave_unfinished,
    plain_fields,
    wave,
)

PSI = wave(12, 10, 10, 10)
WRITTEN_AGAIN = "chunks that were stored: written again"


def requests(parts: Any) -> list[list[bytes]]:
    """The requests of parts, as hiredis reads them."""
    reader = hiredis.Reader()
    count = 0
    for part in parts:
        assert isinstance(part, Part)
        count += part.requests
        for buffer in part.buffers:
            reader.feed(bytes(buffer))
    return [reader.gets() for _ in range(count)]


@st.composite
def forms(draw: st.DrawFn) -> tuple[Form, int]:
    layout = draw(st.sampled_from(list(LAYOUTS)))
    codec = draw(st.sampled_from(["c16", "c8", "text10"] if layout == "flat" else ["c16", "c8"]))
    t, x, y, z = draw(st.tuples(*(st.integers(1, n) for n in (12, 13, 21, 70))))
    tile = None
    if layout == "tile":
        a, b, c = (draw(st.integers(1, min(8, n))) for n in (x, y, z))
        tile = (a, b, c)
    order: Order = draw(st.sampled_from(("C", "F")))
    form = Form.of(layout=layout, codec=codec, shape=(t, x, y, z), order=order, tile=tile)
    return form, draw(st.integers(0, 2**32))


@given(forms())
def test_a_chunk_has_one_mark_in_each_request_that_stores_it(drawn: tuple[Form, int]) -> None:
    form, seed = drawn
    layout, plan = form.open(b"qwf:psi:{0."), form.plan
    chunk = plan[seed % len(plan)]
    psi = stored(form.codec, wave(*form.shape, seed=seed))
    pieces = [psi[tuple(map(slice, box.start, box.stop))] for box in chunk.boxes]
    values = np.concatenate([piece.reshape(-1) for piece in pieces]) if chunk.flat else pieces[0]
    sent = requests(layout.encode(chunk, values, 0.0).parts)
    asked = []
    for t, x, y, z in layout.marks(chunk).tolist():
        ((_, key, field),) = requests(
            layout.requests(Box(start=(t, x, y, z), stop=(t + 1, x + 1, y + 1, z + 1)))
        )
        asked.append((key, field))
    for command, key, *pairs in sent:
        assert command == b"HSET"
        assert len([place for place in asked if place[0] == key and place[1] in pairs[::2]]) == 1
    assert len(asked) == len(sent)


def data_keys(server: Server) -> list[Any]:
    """The keys of the data of a load in any layout."""
    keys: list[Any] = server.plain.keys("qwf:psi:*")
    return sorted(key for key in keys if not key.endswith(b":j"))


async def resumed(server: Server, events: Events) -> qwf_async.Report:
    async with qwf_async.connect(server.url) as store:
        layout = (await unfinished(store)).form.layout
        report = await qwf_async.ingest(
            sources.array(PSI), store, "psi", layout=layout, resume=True, hooks=(events,)
        )
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    return report


async def unfinished(store: qwf_async.Store) -> Any:
    from qwf_async.catalog.keys import Keys
    from qwf_async.catalog.name_state import read_state

    seen = await read_state(store.pool, Keys(prefix="qwf", name="psi"))
    assert seen.under_way is not None
    return seen.under_way.manifest


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_was_evicted_before_the_server_was_restarted_is_written_again(
    each_own_server: Server, layout: str
) -> None:
    await leave_unfinished(each_own_server, sources.array(PSI), 6000, layout=layout)
    keys, chunks = data_keys(each_own_server), journalled(each_own_server)
    evicted = set(keys[: len(keys) // 2 + 1])
    with each_own_server.plain as client:
        for key in evicted:
            client.expire(key, 3600)
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", 1)
        while evicted & set(data_keys(each_own_server)):
            client.ping()  # it evicts before it answers
        client.config_set("maxmemory", 0)
        client.save()
    each_own_server.kill()
    each_own_server.start()
    with each_own_server.plain as client:
        assert client.info("stats")["evicted_keys"] == 0
    assert set(data_keys(each_own_server)) == set(keys) - evicted
    assert journalled(each_own_server) == chunks
    events = Events()
    report = await resumed(each_own_server, events)
    assert len([text for text in events.warnings if WRITTEN_AGAIN in text]) == 1
    assert report.resumed_chunks < chunks
    if layout == "flat":
        check_points(each_own_server, PSI)
        check_alone(each_own_server)


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks")
async def test_a_chunk_of_which_part_was_written_after_the_eviction_is_written_again(server: Server) -> None:
    await leave_unfinished(server, sources.array(PSI), 3000, writers=1)
    keys = data_keys(server)
    # Requests are for 512 fields: chunk 0 is gone, chunk 1 from its second request on is there, chunk 2 is whole.
    gone = list(plain_fields(PSI[1:2], "c16", (1, 0, 0, 0)))[:512]
    assert len(keys) == 3
    assert (ask(server, "DEL", keys[0]), ask(server, "HDEL", keys[1], *gone)) == (1, len(gone))
    events = Events()
    report = await resumed(server, events)
    assert [text for text in events.warnings if WRITTEN_AGAIN in text] == [
        "the server has lost 2 of the 3 chunks that were stored: written again"
    ]
    assert report.resumed_chunks == 1
    check_points(server, PSI)


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_is_all_there_is_resumed_without_a_word(each_server: Server, layout: str) -> None:
    await leave_unfinished(each_server, sources.array(PSI), 6000, layout=layout)
    chunks = journalled(each_server)
    events = Events()
    report = await resumed(each_server, events)
    assert report.resumed_chunks == chunks > 0
    assert events.warnings == []


@pytest.mark.anyio
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(("layout", "ending"), [("flat", "s"), ("packed", "b"), ("tile", "t")])
async def test_one_key_that_is_gone_costs_only_the_chunk_that_it_is_of(
    each_server: Server, layout: str, ending: str
) -> None:
    await leave_unfinished(each_server, sources.array(PSI), 6000, layout=layout)
    chunks = journalled(each_server)
    last = group_keys(each_server, "j", of="load")[-1]
    (number,) = map(int, each_server.plain.hkeys(last))
    # Chunks of packed are 7 buckets.
    key = last.removesuffix("j") + (f"b{7 * number + 3}" if layout == "packed" else ending)
    assert ask(each_server, "UNLINK", key) == 1
    report = await resumed(each_server, Events())
    assert report.resumed_chunks == chunks - 1
