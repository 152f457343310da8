"""Layout flat read by whole hashes, with DUMP: when it is asked for, and what else gives the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async.errors import DamagedData
from tests.conftest import Server
from tests.support.loads import ask, wave

pytestmark = pytest.mark.anyio
PSI = wave(1, 4, 128, 128)
"""Four hashes of 16,384 points."""


def calls(server: Server, command: str) -> int:
    """How often the server was given a command since its statistics were reset, refused ones included."""
    with server.plain as client:
        found = client.info("commandstats").get(f"cmdstat_{command}", {})
        return int(found.get("calls", 0)) + int(found.get("rejected_calls", 0))


async def stored(store: qwf_async.Store, **form: Any) -> qwf_async.Wavefunction:
    await qwf_async.ingest(qwf_async.sources.array(PSI), store, "psi", **form)
    return await store.open("psi")


@pytest.mark.parametrize("write_mode", ["hset", "restore"])
@pytest.mark.parametrize("codec", ["c16", "c8"])
async def test_whole_hashes_are_read_by_dump_and_small_parts_by_hmget(
    each_server: Server, codec: str, write_mode: str
) -> None:
    wanted = PSI.astype(codec)
    async with qwf_async.connect(each_server.url) as store:
        held = await stored(store, codec=codec, write_mode=write_mode)
        ask(each_server, "CONFIG", "RESETSTAT")
        assert np.array_equal(await held.read[...], wanted)
        assert (calls(each_server, "dump"), calls(each_server, "hmget")) == (4, 0)
        assert np.array_equal(await held.read[0, 1:3, 5:125, ::-1], wanted[0, 1:3, 5:125, ::-1])
        assert (calls(each_server, "dump"), calls(each_server, "hmget")) == (6, 0)
        assert np.array_equal(await held.read[0, :, :20], wanted[0, :, :20])
        assert calls(each_server, "dump") == 6


async def test_a_server_that_forbids_dump_is_asked_once(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await stored(store)
    ask(each_server, "ACL", "SETUSER", "reader", "reset", "on", ">pw", "~*", "&*", "+@all", "-dump")
    try:
        async with qwf_async.connect(f"unix://reader:pw@{each_server.socket}") as store:
            held = await store.open("psi")
            ask(each_server, "CONFIG", "RESETSTAT")
            for _ in range(3):
                for x in range(4):
                    assert np.array_equal(await held.read[0, x], PSI[0, x])
            assert calls(each_server, "dump") == 2  # a hash, and why that did not come
    finally:
        ask(each_server, "ACL", "DELUSER", "reader")


async def test_a_hash_with_another_field_or_value_is_read_field_by_field(each_server: Server) -> None:
    async with qwf_async.connect(each_server.url) as store:
        held = await stored(store, codec="c8")
        base = f"qwf:psi:{{{held.manifest.generation}."
        ask(each_server, "HSET", f"{base}1}}:s", "another", "field")
        ask(each_server, "HSET", f"{base}2}}:s", "x2_y0_z7_t0", "12345678")  # DUMP writes it as an integer
        wanted = PSI.astype("c8")
        wanted[0, 2, 0, 7] = np.frombuffer(b"12345678", "c8")[0]
        assert np.array_equal(await held.read[...], wanted)
        ask(each_server, "HDEL", f"{base}3}}:s", "x3_y9_z9_t0")
        with pytest.raises(DamagedData, match=r"3}:s lacks the field x3_y9_z9_t0"):
            await held.read[...]


async def test_values_that_look_like_records_are_what_they_are(each_server: Server) -> None:
    psi = PSI.copy()
    psi.view(np.uint8).reshape(-1, 16)[:] = np.frombuffer(b"\x10x0_y\x0dx0_y0_z0_\x10"[:16], np.uint8)
    psi.view(np.float64)[~np.isfinite(psi.view(np.float64))] = 1.0
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(qwf_async.sources.array(psi), store, "psi")
        held = await store.open("psi")
        assert (await held.read[...]).tobytes() == psi.tobytes()
