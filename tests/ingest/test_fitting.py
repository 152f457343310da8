"""Whether a wavefunction will fit is decided, and said, before anything is written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import OutOfMemory, Refused
from qwf_async.events import GateMoved
from tests.conftest import Server
from tests.support.loads import (
    ask,
    check_alone,
    check_points,
    contents,
    leave_unfinished,
    refusal,
    taken,
    used,
    wave,
    when,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

BIG = sources.array(wave(40, 10, 10, 10))
QUICK: dict[str, Any] = {"sample_interval": 0.02, "clean_batch": 100}


async def stored_bytes(server: Server) -> int:
    """Bytes that BIG takes."""
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(BIG, store, "psi")
    bytes_taken = taken(server)
    ask(server, "FLUSHALL", "SYNC")
    return bytes_taken


async def test_what_will_not_fit_is_refused_unless_forced(each_own_server: Server) -> None:
    taken = await stored_bytes(each_own_server)
    ask(each_own_server, "CONFIG", "SET", "maxmemory", used(each_own_server) + taken)
    error = await refusal(BIG, each_own_server)
    assert isinstance(error, OutOfMemory)
    assert "40,000 points in layout flat will need" in str(error)
    assert "force=True" in str(error)
    assert contents(each_own_server) == {}
    grow = when(GateMoved, lambda: ask(each_own_server, "CONFIG", "SET", "maxmemory", 0))
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        await qwf_async.ingest(BIG, store, "psi", force=True, hooks=(grow,))
    check_points(each_own_server, BIG.psi)


async def test_a_name_that_cannot_be_had_is_refused_before_memory_is_looked_at(
    each_own_server: Server,
) -> None:
    async with qwf_async.connect(each_own_server.url) as store:
        await qwf_async.ingest(sources.array(wave(1, 5, 5, 5)), store, "psi")
    ask(each_own_server, "CONFIG", "SET", "maxmemory", used(each_own_server))
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        with pytest.raises(Refused, match="psi exists already"):
            await qwf_async.ingest(BIG, store, "psi")
        with pytest.raises(OutOfMemory):
            await qwf_async.ingest(BIG, store, "psi", overwrite=True)
    ask(each_own_server, "CONFIG", "SET", "maxmemory", 0)
    await leave_unfinished(each_own_server, BIG, 26_000, "left")
    ask(each_own_server, "CONFIG", "SET", "maxmemory", used(each_own_server))
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        with pytest.raises(Refused, match="unfinished load of left"):
            await qwf_async.ingest(BIG, store, "left")


async def test_the_refusal_names_the_layout_that_fits(each_own_server: Server) -> None:
    taken = await stored_bytes(each_own_server)
    ask(each_own_server, "CONFIG", "SET", "maxmemory", int((used(each_own_server) + 0.7 * taken) / 0.85))
    error = str(await refusal(BIG, each_own_server))
    advised = re.search(r"layout='(\w+)' needs ([\d.]+) ([kM])B and fits", error)
    assert advised is not None, error
    assert float(advised[2]) * {"k": 1e3, "M": 1e6}[advised[3]] < taken
    async with qwf_async.connect(each_own_server.url) as store:
        await qwf_async.ingest(BIG, store, "psi", layout=advised[1])
        assert np.array_equal(await (await store.open("psi")).read[...], BIG.psi)


async def test_the_refusal_says_that_old_and_new_must_fit_together(each_own_server: Server) -> None:
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        await qwf_async.ingest(BIG, store, "psi", layout="tile")
        ask(each_own_server, "CONFIG", "SET", "maxmemory", used(each_own_server))
        with pytest.raises(OutOfMemory, match=r"both must fit together.*remove the old"):
            await qwf_async.ingest(BIG, store, "psi", layout="tile", overwrite=True)


@pytest.mark.parametrize("way", ["resume", "discard"])
async def test_what_a_load_left_on_the_server_counts_as_there(each_own_server: Server, way: str) -> None:
    taken = await stored_bytes(each_own_server)
    before = used(each_own_server)
    await leave_unfinished(each_own_server, BIG, 26_000)
    # Room for all of it once, below the watermark, and not for one and two thirds.
    ask(each_own_server, "CONFIG", "SET", "maxmemory", int((before + 1.4 * taken) / 0.85))
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        with pytest.raises(OutOfMemory, match="will need"):
            await qwf_async.ingest(BIG, store, "another")
        await qwf_async.ingest(BIG, store, "psi", resume=way == "resume", discard=way == "discard")
        check_points(each_own_server, BIG.psi)
        check_alone(each_own_server)
        ask(each_own_server, "CONFIG", "SET", "maxmemory", used(each_own_server))
        assert (await qwf_async.ingest(BIG, store, "psi", resume=True)).already
