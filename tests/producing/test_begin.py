"""A load that many write: begun, written by tickets, published; refused, left and resumed."""

from __future__ import annotations

import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.embedded.servers import stop
from qwf_async.errors import InvalidInput, Refused, ServerUnavailable, UsageError
from qwf_async.producing.background import close_background
from qwf_async.producing.writer import Published
from tests.conftest import Server
from tests.support.loads import Events, ask, check_alone, check_points, contents, ingested, published
from tests.support.producers import BLOCKS, GRID, SPAWN, Region, whole, write

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

begin = partial(qwf_async.begin, name="psi", grid=GRID, blocks=BLOCKS, fingerprint="run 7")


async def put(ticket: qwf_async.Ticket, *regions: Region) -> None:
    """Write regions in a thread of this process."""
    for region in regions:
        await anyio.to_thread.run_sync(write, (pickle.dumps(ticket), region))


@pytest.mark.parametrize(
    ("each_server", "layout", "codec", "blocks"),
    [
        ("valkey", "flat", "c16", BLOCKS),
        ("redis", "flat", "text10", BLOCKS),
        ("redis", "tile", "c8", BLOCKS),
        ("valkey", "packed", "c16", (1, 8, 16, 16)),
    ],
    indirect=["each_server"],
)
async def test_processes_of_a_pool_store_what_an_ingest_stores(
    each_server: Server, layout: str, codec: str, blocks: tuple[int, int, int, int]
) -> None:
    options: Any = {"layout": layout, "codec": codec, "tile": (8, 8, 8) if layout == "tile" else None}
    async with qwf_async.connect(each_server.url) as store:
        async with begin(store, **options | {"blocks": blocks}) as load:
            regions = await load.missing()
            jobs = [(pickle.dumps(load.ticket), region) for region in regions]

            def run() -> None:
                with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
                    list(pool.map(write, jobs))

            await anyio.to_thread.run_sync(run)
            assert await load.missing() == []
            report = await load.publish()
        psi = whole(blocks=blocks)
        verified = await qwf_async.verify(store, "psi", sources.array(psi, GRID))
        assert not verified.differing
        assert (await (await store.open("psi")).read[..., 3]).shape == GRID.shape[:3]
    assert report.points == GRID.points
    assert report.norm == pytest.approx(np.vdot(psi, psi).real / 4 * 0.5**3)
    if codec == "c16" and layout == "flat":
        check_points(each_server, psi)
        check_alone(each_server)


async def test_pickle_of_a_ticket_holds_no_password(own_server: Server) -> None:
    ask(own_server, "CONFIG", "SET", "requirepass", "secret7")
    settings = qwf_async.Settings(url=f"{own_server.url}?password=secret7")
    async with (
        qwf_async.connect(settings=settings) as store,
        begin(store, hooks=(events := Events(),)) as load,
    ):
        assert b"secret7" not in pickle.dumps(load.ticket)
        assert "secret7" not in repr(load.ticket)
        await put(load.ticket, *await load.missing())  # this process knows the password
        await load.publish()
    assert "secret7" not in str(events.all)


async def test_password_comes_from_the_settings_where_the_ticket_is_used(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job_in_a_process(ticket: qwf_async.Ticket, region: Region) -> None:
        with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
            pool.submit(write, (pickle.dumps(ticket), region)).result()

    ask(own_server, "CONFIG", "SET", "requirepass", "secret7")
    settings = qwf_async.Settings(url=own_server.url, password="secret7")
    async with qwf_async.connect(settings=settings) as store, begin(store) as load:
        region = (await load.missing())[0]
        with pytest.raises(Refused, match="a ticket holds no password: set QWF_PASSWORD"):
            await anyio.to_thread.run_sync(job_in_a_process, load.ticket, region)
        monkeypatch.setenv("QWF_PASSWORD", "secret7")
        await anyio.to_thread.run_sync(job_in_a_process, load.ticket, region)
        assert region not in await load.missing()


async def test_region_that_is_not_of_whole_chunks_is_refused(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, begin(store, slab=(1, 4, 8, 16)) as load:
        target = qwf_async.Target(load.ticket)
        for region in (np.s_[0:1, 0:2, 0:8], np.s_[0:1, 2:6, 0:8, 0:16], np.s_[0:4, 0:4, 0:8, 0:15]):
            shape = np.empty(GRID.shape)[region].shape
            with pytest.raises(
                UsageError, match=re.escape("whole chunks of (1, 4, 8, 16) points along t, x, y, z")
            ):
                target[region] = np.ones(shape)
        with pytest.raises(InvalidInput, match=r"shape \(3, 4\) does not fit the region"):
            target[0:1, 0:4] = np.ones((3, 4))
        with pytest.raises(InvalidInput, match="has no steps"):
            target[::2, 0:4] = np.ones((2, 4, 16, 16))
        with pytest.raises(InvalidInput, match="x = 5, y = 0, z = 3: allow_nonfinite"):
            await anyio.to_thread.run_sync(target.__setitem__, np.s_[2:3, 4:8], not_finite())


def not_finite() -> Any:
    block = np.ones((1, 4, 16, 16))
    block[0, 1, 0, 3] = np.nan
    return block


@pytest.mark.parametrize(("shape", "sizes"), [((40,), (40,)), ((24, 10), (24, 10)), ((8, 8, 8), (8, 8, 8))])
async def test_block_may_have_the_dimensions_that_the_grid_has(
    server: Server, shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    psi = np.random.default_rng(1).normal(size=shape)
    grid = qwf_async.Grid.of(sizes)
    half = shape[0] // 2
    blocks = (1, half, *grid.shape[2:])
    async with qwf_async.connect(server.url) as store, begin(store, grid=grid, blocks=blocks) as load:
        target = qwf_async.Target(load.ticket)
        rest = (slice(None),) * (len(shape) - 1)
        for along in (slice(0, half), slice(half, shape[0])):
            await anyio.to_thread.run_sync(target.__setitem__, (along, *rest), psi[(along, *rest)])
        await load.publish()
    check_points(server, psi.astype(complex).reshape(grid.shape))


async def test_a_number_is_written_to_all_points_of_a_region(server: Server) -> None:
    grid = qwf_async.Grid.of((8, 4))
    async with qwf_async.connect(server.url) as store, begin(store, grid=grid, blocks=(1, 4, 4, 1)) as load:
        target = qwf_async.Target(load.ticket)
        await anyio.to_thread.run_sync(target.__setitem__, np.s_[:4, :], 2 - 1j)
        await anyio.to_thread.run_sync(target.__setitem__, np.s_[0, 4:], 3)
        await load.publish()
    check_points(server, np.repeat([2 - 1j, 3], 16).reshape(grid.shape))


async def test_load_with_holes_is_not_published_and_goes_on(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, begin(store) as load:
        *most, last = await load.missing()
        await put(load.ticket, *most)
        with pytest.raises(
            Refused, match=r"2 of 32 chunks of psi are missing.*t = 3, x = 8, y = 8, z = 0 to "
        ):
            await load.publish()
        await put(load.ticket, last)
        await load.publish()
    check_points(server, whole())


async def test_load_that_was_left_is_resumed_with_what_it_lacks(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        async with begin(store, hooks=(events := Events(),)) as load:
            first, *rest = await load.missing()
            await put(load.ticket, first)
        assert "psi was not published; what was stored can be resumed with resume=True" in str(events.all[-1])
        with pytest.raises(Refused, match="it differs in source"):
            async with begin(store, resume=True, fingerprint="run 8"):
                pass
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 # the block is the test
            async with begin(store, resume=True) as load:
                await put(load.ticket, rest.pop(0))
                raise ZeroDivisionError
        with pytest.raises(
            InvalidInput, match="no such thing; what was stored can be resumed with resume=True"
        ):
            async with begin(store, resume=True) as load:
                raise InvalidInput("no such thing")
        async with begin(store, resume=True) as load:
            assert await load.missing() == rest
            await put(load.ticket, *rest)
            report = await load.publish()
    assert report.resumed_chunks == 4  # of 32, two a block
    check_points(server, whole())


async def test_what_is_published_already_is_reported(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        for already in (False, True):
            async with begin(store, resume=True) as load:
                assert load.already == already
                await put(load.ticket, *await load.missing())
                report = await load.publish()
                assert report.already == already
        generation = published(server)
        with pytest.raises(Published, match="psi was published already"):
            await put(load.ticket, (slice(0, 1), slice(0, 8), slice(0, 8), slice(0, 16)))
    assert published(server) == generation


async def test_name_is_begun_once(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, begin(store) as load:
        choices: list[dict[str, Any]] = [{}, {"resume": True}, {"discard": True}]
        for options in choices:
            with pytest.raises(Refused, match="psi is being loaded by many processes, begun on"):
                async with begin(store, **options):
                    pass
        with pytest.raises(Refused, match="is being loaded by many processes"):
            await ingested(server, sources.array(whole(), GRID), resume=True)
        await put(load.ticket, *await load.missing())
        await load.publish()


async def test_replaced_wavefunction_stays_until_the_new_one_is_published(server: Server) -> None:
    await ingested(server, sources.array(whole() * 2, GRID))
    old = published(server)
    async with qwf_async.connect(server.url) as store, begin(store, overwrite=True) as load:
        await put(load.ticket, *await load.missing())
        assert published(server) == old
        await load.publish()
    check_points(server, whole())
    check_alone(server)


async def test_ticket_of_a_discarded_load_writes_nothing(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        async with begin(store) as load:
            first, second, *_ = await load.missing()
            await put(load.ticket, first)
        async with begin(store, discard=True) as other:
            with pytest.raises(Refused, match="was taken over by many processes"):
                await put(load.ticket, second)
            await put(other.ticket, *await other.missing())
            await other.publish()
    check_points(server, whole())
    check_alone(server)


async def test_target_can_be_used_again_after_the_background_has_ended(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, begin(store) as load:
        first, second, *_ = regions = await load.missing()
        await put(load.ticket, first)
        await anyio.to_thread.run_sync(close_background)
        await put(load.ticket, second)
        assert await load.missing() == regions[2:]


async def test_connections_leave_the_record_of_the_load_when_nothing_is_written(server: Server) -> None:
    async with qwf_async.connect(server.url) as store, begin(store) as load:
        await put(load.ticket, *(await load.missing())[:2])
        fields = ask(server, "HKEYS", "qwf:{psi}:load")
    assert not [field for field in fields if field.startswith(b"writer:")]


def test_resume_needs_a_fingerprint(server: Server) -> None:
    async def job() -> None:
        async with qwf_async.connect(server.url) as store, begin(store, fingerprint=None, resume=True):
            pass

    with pytest.raises(UsageError, match="needs its fingerprint"):
        anyio.run(job)
    assert contents(server) == {}


async def test_embedded_server_is_found_by_tickets_and_not_started_by_them(tmp_path: Path) -> None:
    async with qwf_async.connect(data_dir=tmp_path / "data") as store:
        async with begin(store) as load:
            await put(load.ticket, *await load.missing())
            report = await load.publish()
        assert report.durability == f"rdb (saved to {tmp_path / 'data'})"
        await anyio.to_thread.run_sync(close_background)
        await stop(tmp_path / "data")
        with pytest.raises(ServerUnavailable, match="does not run on this machine"):
            await put(load.ticket, (slice(0, 1), slice(0, 8), slice(0, 8), slice(0, 16)))
        elsewhere = replace(load.ticket, place=replace(load.ticket.place, data_dir=tmp_path / "elsewhere"))
        with pytest.raises(ServerUnavailable, match="does not run on this machine"):
            await put(elsewhere, (slice(0, 1), slice(0, 8), slice(0, 8), slice(0, 16)))
    assert not (tmp_path / "elsewhere").exists()
