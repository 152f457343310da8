"""Frames that a running simulation pushes: stored as an ingest stores them, left, and resumed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import InvalidInput, Refused, ServerUnavailable, UsageError
from qwf_async.producing.create import FrameWriter
from tests.conftest import PATIENCE, Server
from tests.support.loads import Events, check_alone, check_points, contents, ingested, wave
from tests.support.relay import relaying

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

SHAPE = (12, 10, 10, 10)
PSI = wave(*SHAPE)
"""With `small_chunks` layout flat has a chunk for each frame."""

GRID = qwf_async.Grid.of(SHAPE[1:], box=(5.0,), frames=SHAPE[0], dt=0.5)

create = partial(qwf_async.create, name="psi", grid=GRID, fingerprint="run 7")


async def simulate(writer: FrameWriter, psi: Any = PSI, until: int | None = None) -> None:
    """Write frames from the one that is wanted on, each out of the same memory."""
    memory = np.empty(psi.shape[1:], psi.dtype)
    for number in range(writer.next_frame, len(psi) if until is None else until):
        assert writer.next_frame == number
        memory[...] = psi[number]
        await writer.write(memory)
        memory[...] = np.nan


@pytest.mark.parametrize(
    ("layout", "shape", "options"),
    [
        ("flat", SHAPE, {}),
        ("flat", (64, 5, 1, 1), {"codec": "text10"}),
        ("flat", (9, 6, 7, 1), {"slab": (4, 3, 7, 1)}),
        ("packed", (30, 7, 9, 11), {}),
        ("tile", (5, 16, 9, 8), {"codec": "c8"}),
    ],
)
async def test_frames_are_stored_as_an_ingest_stores_them(
    server: Server, layout: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    psi = wave(*shape)
    grid = qwf_async.Grid.of(shape[1:], frames=shape[0])
    await ingested(server, sources.array(psi, grid), layout=layout, **options)
    expected = values_of(server)
    async with qwf_async.connect(server.url) as store:
        async with create(store, grid=grid, layout=layout, overwrite=True, **options) as writer:
            await simulate(writer, psi)
        assert values_of(server) == expected
        assert writer.report is not None
        assert (writer.report.points, writer.report.resumed_chunks) == (psi.size, 0)
        assert writer.report.bytes_sent > 8 * psi.size
        assert not (await qwf_async.verify(store, "psi", sources.array(psi, grid))).differing


def values_of(server: Server) -> list[Any]:
    """What the data keys and journals hold, whatever their generation is."""
    found = contents(server)
    return [value for key, value in sorted(found.items()) if key.startswith(b"qwf:psi:")]


async def test_load_that_was_left_goes_on_at_the_frame_that_is_wanted(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(ZeroDivisionError) as error:  # noqa: PT012 # the block is the test
            async with create(store) as writer:
                await simulate(writer, until=5)
                with anyio.fail_after(PATIENCE):
                    while writer.missing_frames()[0] < 5:  # noqa: ASYNC110 # the test has no hook here
                        await anyio.sleep(0.001)
                raise ZeroDivisionError
        missing = "7 frames of psi are missing: 5 to 11"
        assert error.value.__notes__ == [missing, "what was stored can be resumed with resume=True"]
        with pytest.raises(UsageError, match="the block of psi has ended: no more frames"):
            await writer.write(PSI[5])
        with pytest.raises(Refused, match="it differs in source"):
            async with create(store, fingerprint="run 8", resume=True):
                pass
        with pytest.raises(
            Refused, match=f"{missing}, so it is not published; what was stored can be resumed"
        ):
            async with create(store, resume=True):
                pass
        async with create(store, resume=True, hooks=(events := Events(),)) as writer:
            assert writer.next_frame == 5
            await simulate(writer)
        assert writer.report is not None
        assert writer.report.resumed_chunks == 5
        assert (events.progress[0].points, events.progress[-1].points) == (6000, GRID.points)
        async with create(store, resume=True) as writer:
            assert writer.next_frame == SHAPE[0]

            with pytest.raises(InvalidInput, match="psi has all of its 12 frames"):
                await writer.write(PSI[0])
        assert writer.report is not None
        assert writer.report.already
    check_points(server, PSI)
    check_alone(server)


async def test_only_what_is_not_stored_is_sent_again(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(Refused, match="not published"):
            async with create(store) as writer:
                await simulate(writer, until=7)
        with server.plain as client:  # as if the fourth had not arrived
            (journal,) = client.keys("qwf:psi:{*.3}:j")
            client.delete(journal)
        with pytest.raises(Refused, match="6 frames of psi are missing: 3, 7 to 11, so"):
            async with create(store, resume=True):
                pass
        async with create(store, resume=True) as writer:
            assert writer.next_frame == 3
            await simulate(writer)
        assert writer.report is not None
        assert writer.report.resumed_chunks == 6
    check_points(server, PSI)


async def test_frame_that_does_not_fit_is_refused_and_may_be_written_right(server: Server) -> None:
    flat = qwf_async.Grid.of((30, 40), frames=2)
    psi = wave(2, 30, 40)
    wrong: list[tuple[Any, str]] = [
        (psi[0, :20], r"frame 0 of psi has the shape \(20, 40\), and those of its grid have \(30, 40\)"),
        (psi, r"the shape \(2, 30, 40\)"),
        ([[1], [2, 3]], "frame 0 of psi is no array of numbers"),
        (np.full((30, 40), "a"), "frame 0 of psi holds values of type <U1"),
    ]
    async with qwf_async.connect(server.url) as store:
        async with create(store, grid=flat) as writer:
            for frame, message in wrong:
                with pytest.raises(InvalidInput, match=message):
                    await writer.write(frame)
            await writer.write(psi[0].tolist())
            await writer.write(psi[1][None, ..., None])
        check_points(server, psi[..., None])
        psi[1, 2, 0] = np.nan
        with pytest.raises(
            InvalidInput, match="a simulation holds NaN or infinity, first at t = 1, x = 2, y = 0"
        ):
            async with create(store, grid=flat, overwrite=True) as writer:
                await simulate(writer, psi)
    check_points(server, wave(2, 30, 40)[..., None])


async def test_write_waits_while_the_server_is_slower(own_server: Server) -> None:
    async with (
        qwf_async.connect(own_server.url) as store,
        anyio.create_task_group() as tasks,
        create(store) as writer,
    ):
        with own_server.plain as client:
            client.client_pause(60_000, all=False)
            tasks.start_soon(simulate, writer)
            with anyio.fail_after(PATIENCE):
                while writer.next_frame < 4:  # noqa: ASYNC110 # the frames tell nobody
                    await anyio.sleep(0.001)
            await anyio.wait_all_tasks_blocked()
            assert writer.next_frame == 4
            client.client_unpause()
        with anyio.fail_after(PATIENCE):
            while writer.next_frame < SHAPE[0]:  # noqa: ASYNC110
                await anyio.sleep(0.001)
    check_points(own_server, PSI)


async def test_outage_is_waited_for_and_a_long_one_leaves_the_load(server: Server) -> None:
    with relaying(server) as relay:
        short = Settings(url=relay.url, deadline=0.3, socket_timeout=1.0)
        async with qwf_async.connect(settings=short) as store:
            with pytest.raises(  # noqa: PT012 # the block is the test
                ServerUnavailable, match=r"frames of psi are missing: [0-9]+ to 11; what was stored can be re"
            ):
                async with create(store) as writer:
                    await simulate(writer, until=3)
                    relay.refuse()
                    relay.cut()
                    await simulate(writer)
            relay.normal()
        long = replace(short, deadline=PATIENCE)
        async with qwf_async.connect(settings=long) as store, create(store, resume=True) as writer:
            await simulate(writer, until=6)
            relay.refuse()
            relay.cut()
            relay.normal(after=0.1)
            await simulate(writer)
    check_points(server, PSI)
    check_alone(server)


async def test_load_without_a_fingerprint_is_removed_as_nobody_could_resume_it(server: Server) -> None:
    async with qwf_async.connect(server.url) as store:
        with pytest.raises(Refused, match="nothing of it is left, as it has no fingerprint"):
            async with create(store, fingerprint=None) as writer:
                await simulate(writer, until=3)
        assert contents(server) == {}
        with pytest.raises(ZeroDivisionError) as caught:  # noqa: PT012 # the block is the test
            async with create(store, fingerprint=None) as writer:
                await simulate(writer, until=3)
                raise ZeroDivisionError
        assert caught.value.__notes__[-1].startswith("nothing of it is left")
        with pytest.raises(UsageError, match="needs its fingerprint"):
            async with create(store, fingerprint=None, resume=True):
                pass
        async with create(store, fingerprint=None) as writer:
            await simulate(writer)
    check_points(server, PSI)
    check_alone(server)
