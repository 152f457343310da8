"""Slabs of layout flat: which keys there are, by plain redis-py, what is said of them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import InvalidInput, Refused, UsageError
from qwf_async.ingesting.verification import verify
from qwf_async.layout import Slab
from tests.conftest import Server
from tests.support.loads import contents, leave_unfinished, plain_fields, wave

pytestmark = pytest.mark.anyio

PSI = wave(3, 9, 8, 5)


async def test_a_slab_is_a_box_and_a_hash_with_its_journal_beside_it(each_server: Server) -> None:
    slab = (2, 4, 8, 3)
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", slab=slab)
        psi = await store.open("psi")
        facts = await psi.info()
    assert (facts["slab"], facts["groups"], facts["keys"], facts["chunks"]) == (list(slab), 12, 12, 12)
    held = {key: value for key, value in contents(each_server).items() if key.startswith(b"qwf:psi:")}
    base = b"qwf:psi:{%s." % psi.manifest.generation.encode()
    number, wanted = 0, {}
    for t in range(0, 3, 2):
        for x in range(0, 9, 4):
            for z in range(0, 5, 3):  # y is whole
                box = (slice(t, t + 2), slice(x, x + 4), slice(None), slice(z, z + 3))
                wanted[base + b"%d}:s" % number] = fields_of(box)
                assert held.pop(base + b"%d}:j" % number).keys() == {b"%d" % number}
                number += 1
    assert held == wanted


async def test_all_points_can_be_in_one_hash_with_one_journal(each_server: Server) -> None:
    """It has as many chunks as it would have otherwise."""
    psi = wave(1, 40, 40, 40)
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(psi), store, "psi", slab="all")
        stored = await store.open("psi")
        facts, chunks = await stored.info(), len(stored.manifest.plan)
        assert chunks == 4
        assert (facts["slab"], facts["groups"], facts["keys"], facts["chunks"]) == ("all", 1, 1, chunks)
        assert facts["fields_of_first_key"] == psi.size
        assert "layout flat in one hash" in repr(stored)
        found = await verify(store, "psi")
        assert (found.chunks, found.differing, found.changed) == (chunks, [], [])
        held = {key: value for key, value in contents(each_server).items() if key.startswith(b"qwf:psi:")}
        base = b"qwf:psi:{%s.0}" % stored.manifest.generation.encode()
        assert held.pop(base + b":j").keys() == {b"%d" % number for number in range(chunks)}
        assert held == {base + b":s": plain_fields(psi, "c16")}
        await store.remove("psi")
    assert not [key for key in contents(each_server) if key.startswith(b"qwf:psi:")]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another layout": (
        {"layout": "packed", "slab": (1, 4, 4, 4)},
        "layout packed has no slabs: slab goes with layout='flat'",
    ),
    "all of another": (
        {"layout": "tile", "slab": "all"},
        "layout tile has no slabs: slab goes with layout='flat'",
    ),
    "longer": ({"slab": (1, 10, 1, 1)}, r"slabs of \(1, 10, 1, 1\) points along t, x, y, z do not fit"),
    "of no point": ({"slab": (1, 0, 1, 1)}, "do not fit a grid"),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_slab_that_does_not_fit_is_refused_and_nothing_is_written(server: Server, why: str) -> None:
    options, message = REFUSED[why]
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(UsageError, match=message):
            await qwf_async.ingest(sources.array(PSI), store, "psi", **options)
    assert contents(server) == {}


async def test_a_slab_that_would_hold_the_server_up_is_refused(server: Server) -> None:
    psi = np.zeros((1, 2**17 + 1, 1, 1), complex)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(UsageError, match="131,073 points are too large for one request: at most 131,072"):
            await qwf_async.ingest(sources.array(psi), store, "psi", slab=(1, 2**17 + 1, 1, 1))
        assert contents(server) == {}
        await qwf_async.ingest(sources.array(psi), store, "psi", slab=(1, 2**17, 1, 1))
        assert (await (await store.open("psi")).info())["groups"] == 2


@pytest.mark.parametrize("other", ["all", (1, 9, 8, 4)])
async def test_a_load_is_resumed_with_the_slab_that_it_began_with(server: Server, other: Slab) -> None:
    slab = (1, 9, 8, 5)
    await leave_unfinished(server, sources.array(PSI), 360, slab=slab)
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(Refused, match=r"(layout|chunks): stored .*, given "):
            await qwf_async.ingest(sources.array(PSI), store, "psi", slab=other, resume=True)
        report = await qwf_async.ingest(sources.array(PSI), store, "psi", slab=slab, resume=True)
        assert report.resumed_chunks >= 1
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)


@pytest.mark.parametrize("options", [{"slab": np.array([1, 9, 2, 5])}, {"slab": "ALL"}, {"slab": (9, 2, 5)}])
async def test_what_is_no_slab_is_bad_input(server: Server, options: dict[str, Any]) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(InvalidInput, match="slab must be 4 of a whole number or 'all' or None, not "):
            await qwf_async.ingest(sources.array(PSI), store, "psi", **options)
    assert contents(server) == {}


async def test_sizes_may_be_integers_of_numpy(server: Server) -> None:
    sizes = [np.int64(n) for n in (1, 9, 2, 5)]
    for options in ({"slab": tuple(sizes)}, {"slab": sizes}, {"layout": "tile", "tile": sizes[1:]}):
        async with qwf_async.connect(server.url) as store:
            form: Any = options
            await qwf_async.ingest(sources.array(PSI), store, "psi", overwrite=True, **form)
            assert np.array_equal(await (await store.open("psi")).read[...], PSI)


async def test_the_plan_of_a_slab_is_in_the_record(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        for slab in ("all", (1, 9, 2, 5)):
            await qwf_async.ingest(sources.array(PSI), store, "psi", slab=slab, overwrite=True)
            with server.plain as client:
                meta = client.hgetall("qwf:{psi}:meta")
            assert (meta[b"format"], meta[b"layout"]) == (b"2", b"flat")
            plan = json.loads(meta[b"plan"])
            if slab == "all":
                assert json.loads(meta[b"parameters"]) == {"slab": "all"}
            else:
                assert json.loads(meta[b"parameters"]) == {}
                assert plan == {"kind": "box", "chunk": [1, 9, 2, 5], "order": "C", "count": 12}


def fields_of(box: tuple[slice, ...]) -> dict[bytes, bytes]:
    """The fields of the points of a box, as they should be stored."""
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in PSI.shape), indexing="ij"), -1)[box].reshape(-1, 4)
    return {b"x%d_y%d_z%d_t%d" % (x, y, z, t): PSI[t, x, y, z].tobytes() for t, x, y, z in indices.tolist()}
