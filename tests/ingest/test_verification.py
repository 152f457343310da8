"""Verification of what is stored: untouched data passes, and any change is found in its chunk."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import numpy as np
import pytest
from typer.testing import CliRunner

import qwf_async
from qwf_async import sources
from qwf_async.cli.app import app
from qwf_async.errors import DamagedData, InvalidInput, Refused
from qwf_async.events import Event, Progress
from qwf_async.ingesting.verification import verify
from qwf_async.layout import LAYOUTS
from tests.conftest import Server

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

SHAPE = (2, 10, 10, 10)
PSI = np.random.default_rng(3).standard_normal((*SHAPE, 2)).view(np.complex128)[..., 0]
FORMS = [("flat", "c16"), ("flat", "text10"), ("packed", "c8"), ("tile", "c16")]


@pytest.mark.parametrize(("layout", "codec"), FORMS)
async def test_a_changed_or_missing_value_is_found_in_its_chunk_and_nowhere_else(
    each_server: Server, layout: str, codec: str
) -> None:
    async with qwf_async.connect(each_server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, codec=codec)
        assert (await verify(store, "psi")).differing == []
        psi = await store.open("psi")
        last = len(psi.manifest.plan) - 1
        *_, key = psi.manifest.form.keys(f"qwf:psi:{{{psi.manifest.generation}.".encode())
        field = {"flat": b"x9_y9_z9_t1", "packed": b"0", "tile": b"c/1/1/1/1"}[layout]
        with each_server.plain as client:
            value = client.hget(key, field)
            assert value is not None
            changed = value.replace(b"1", b"2") if codec == "text10" else bytes([value[0] ^ 1]) + value[1:]
            if codec == "text10":
                changed = changed if changed != value else b"0.0000000000,0.0000000000"
            client.hset(key, field, changed)
            assert (await verify(store, "psi")).differing == [last]
            client.hdel(key, field)
            assert (await verify(store, "psi")).differing == [last]
            client.hset(key, field, value)
        assert (await verify(store, "psi")).differing == []


async def test_a_load_that_is_verified_tells_that_as_a_phase_of_its_own(server: Server) -> None:
    events: list[Event] = []
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", verify=True, hooks=(events.append,))
    told = [event for event in events if isinstance(event, Progress)]
    assert [event.phase for event in told] == sorted(event.phase for event in told)  # first the load itself
    assert [event.points for event in told if event.phase == "verifying"][-1] == PSI.size
    assert [event.points for event in told if not event.phase][-1] == PSI.size


async def test_a_chunk_that_the_journal_lacks_is_reported(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        journal = f"qwf:psi:{{{(await store.open('psi')).manifest.generation}.0}}:j"
        with server.plain as client:
            client.hdel(journal, "0")
            assert (await verify(store, "psi")).differing == [0]
            client.hset(journal, "0", "no digest")
        with pytest.raises(DamagedData, match="is not a journal"):
            await verify(store, "psi")
        with pytest.raises(InvalidInput, match="there is no wavefunction 'chi'"):
            await verify(store, "chi")


def test_the_command_prints_the_chunks_and_exits_with_5(server: Server) -> None:
    async def store_it() -> None:
        async with qwf_async.connect(server.url) as store:
            await qwf_async.ingest(sources.array(PSI), store, "psi")

    anyio.run(store_it)
    good = CliRunner().invoke(app, ["verify", "psi", "-u", server.url])
    assert (good.exit_code, good.stdout) == (0, "")
    assert "all 2 chunks are as they were written" in good.stderr
    with server.plain as client:
        generation = (client.hget("qwf:{psi}:meta", "generation") or b"").decode()
        client.hset(f"qwf:psi:{{{generation}.0}}:s", "x0_y0_z0_t0", bytes(16))
        client.hdel(f"qwf:psi:{{{generation}.1}}:s", "x3_y4_z5_t1")
    bad = CliRunner().invoke(app, ["verify", "psi", "-u", server.url, "--json"])
    lacking = f"qwf:psi:{{{generation}.1}}:s lacks the field x3_y4_z5_t1"
    space = {"x": [0, 10], "y": [0, 10], "z": [0, 10]}
    assert isinstance(bad.exception, DamagedData)
    assert json.loads(bad.stdout) == {
        "error": {"code": 5, "message": str(bad.exception)},
        "name": "psi",
        "chunks": 2,
        "differing": [0, 1],
        "changed": [],
        "differences": [
            {"chunk": 0, "what": "differs", "detail": None, "place": {"t": [0, 1], **space}},
            {"chunk": 1, "what": "missing", "detail": lacking, "place": {"t": [1, 2], **space}},
        ],
    }
    assert bad.exception.exit_code == 5
    assert str(bad.exception) == (
        "2 of 2 chunks of psi differ from what was written: chunk 0 (t 0:1 x 0:10 y 0:10 z 0:10), "
        f"chunk 1 (t 1:2 x 0:10 y 0:10 z 0:10: {lacking}); ingest its source with --overwrite"
    )


async def test_a_chunk_of_buckets_is_named_by_its_points(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed")
        psi = await store.open("psi")
        with server.plain as client:
            client.hset(f"qwf:psi:{{{psi.manifest.generation}.1}}:b10", "7", bytes(16))
            client.hdel(f"qwf:psi:{{{psi.manifest.generation}.0}}:j", "0")
        first, second = (await verify(store, "psi")).differences
    assert (first.what, first.place) == ("unrecorded", "points 0:896 in C order")
    assert (second.what, second.place) == ("differs", "points 896:1792 in C order")


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_key_of_another_type_ends_it_with_an_error(server: Server, layout: str) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout)
        psi = await store.open("psi")
        key = next(psi.manifest.form.keys(f"qwf:psi:{{{psi.manifest.generation}.".encode()))
        with server.plain as client:
            client.set(key, "something else")
        for source in (None, sources.array(PSI)):
            with pytest.raises(Refused, match="another type"):
                await verify(store, "psi", source)


@pytest.mark.parametrize(("layout", "codec"), FORMS)
async def test_a_source_is_compared_as_it_would_be_stored(server: Server, layout: str, codec: str) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout=layout, codec=codec)
        assert (await verify(store, "psi", sources.array(PSI))).differing == []
        psi = await store.open("psi")
        await psi.update(9, 9, 9, 1, value=7)
        last = [len(psi.manifest.plan) - 1]
        found = await verify(store, "psi", sources.array(PSI))
        assert (found.differing, found.changed) == (last, last)
        other = PSI.copy()
        other[1, 9, 9, 9] = 7
        assert (await verify(store, "psi", sources.array(other))).differing == []
        with pytest.raises(InvalidInput, match="has the shape"):
            await verify(store, "psi", sources.array(PSI[:1]))


async def test_a_chunk_that_is_changed_while_it_is_verified_is_not_called_damaged(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
        psi = await store.open("psi")
        last = len(psi.manifest.plan) - 1
        client = server.plain

        def change_the_last(points: int) -> None:
            """A change after the journal was read, and before the last chunk is read."""
            group = f"qwf:psi:{{{psi.manifest.generation}.{last}}}"
            client.hset(f"{group}:j", str(last), "stale")
            client.hset(f"{group}:s", "x9_y9_z9_t1", bytes(16))

        store.settings = replace(store.settings, writers=1)
        with client:
            found = await verify(store, "psi", done=change_the_last)
        assert (found.differing, found.changed) == ([], [last])
