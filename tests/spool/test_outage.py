"""Servers that stay away: batches go to the spool, and from there to the server, by this process or another.

What is on the server in the end is compared by plain redis-py with the array that it came from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import DataLost, Refused, ReplayOwed, ServerUnavailable, SpoolFull
from qwf_async.events import Event, GateMoved, Spooled
from qwf_async.ingesting.load_spool import LoadSpool
from qwf_async.lattice.grid import Box
from qwf_async.layout import LAYOUTS
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server
from tests.support.loads import (
    Events,
    Watched,
    ask,
    check_alone,
    check_points,
    contents,
    in_a_thread,
    ingested,
    refusal,
    when_stored,
)
from tests.support.outages import BACK, PSI, SOON, Spooling, left, owing, replayed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]


CHUNKS = 12


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_a_server_that_dies_and_comes_back_misses_nothing(
    durable: Server, spool_dir: Path, layout: str
) -> None:
    died = when_stored(4000, durable.kill)
    back = Spooling(chunks=3, do=durable.start)
    events = Events()
    report = await ingested(
        durable, sources.array(PSI), layout=layout, hooks=(died, back, events), settings=BACK, verify=True
    )
    assert report.spooled_chunks >= 3
    assert left(spool_dir) == set()
    assert isinstance([event for event in events.all if isinstance(event, Spooled)][-1], Spooled)
    async with qwf_async.connect(durable.url) as store:
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    if layout == "flat":
        check_points(durable, PSI)
        check_alone(durable)


async def test_a_stopped_server_is_left_and_found_again(own_server: Server, spool_dir: Path) -> None:
    hang = when_stored(4000, own_server.stop)
    wake = Spooling(chunks=3, do=own_server.go_on)
    report = await ingested(own_server, sources.array(PSI), hooks=(hang, wake), settings=BACK)
    assert report.spooled_chunks >= 3
    check_points(own_server, PSI)
    check_alone(own_server)
    assert left(spool_dir) == set()


async def test_a_source_that_is_safe_in_the_spool_is_replayed_by_another_process(
    durable: Server, spool_dir: Path
) -> None:
    error = await owing(durable)
    assert error.exit_code == 6
    assert "resume" in str(error)
    assert str(spool_dir) in str(error)
    durable.start()
    report = await replayed(durable)
    assert report.points == PSI.size
    # Some may have been applied, and not answered.
    assert report.spooled_chunks + report.resumed_chunks >= CHUNKS
    check_points(durable, PSI)
    check_alone(durable)
    assert left(spool_dir) == set()


async def test_a_spool_is_taken_up_by_the_same_command_with_resume(durable: Server, spool_dir: Path) -> None:
    """A full spool holds the source up; the rest of it is read when the load is resumed."""
    room = 5 * 16_200  # bytes of five chunks, about
    error = await refusal(
        sources.array(PSI),
        durable,
        hooks=(when_stored(3000, durable.kill),),
        settings=SOON | {"spool_limit": room},
    )
    assert type(error) is ServerUnavailable
    assert "is full" in str(error)
    assert "more wait in the spool" in str(error)
    assert "with resume=True" in str(error)
    durable.start()
    with pytest.raises(
        Refused, match=r"the rest must come from the source: ingest\(source, store, 'psi', resume=True\)"
    ):
        await replayed(durable, spool_limit=room)
    assert left(spool_dir) == set()
    read: list[Box] = []
    report = await ingested(durable, Watched(source=sources.array(PSI), before=read.append), resume=True)
    assert report.resumed_chunks == CHUNKS - len(read) >= 6
    check_points(durable, PSI)
    check_alone(durable)


async def test_a_full_spool_holds_the_source_back_until_the_server_is_there(
    durable: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, refusals = LoadSpool.write, 0

    async def start_when_full(spool: LoadSpool, batch: Batch) -> None:
        nonlocal refusals
        try:
            await write(spool, batch)
        except SpoolFull:
            refusals += 1
            if refusals == 1:
                durable.start()
            raise

    monkeypatch.setattr(LoadSpool, "write", start_when_full)
    events = Events()
    report = await ingested(
        durable,
        sources.array(PSI),
        hooks=(when_stored(3000, durable.kill), events),
        settings=BACK | {"spool_limit": 3 * 16_200},
    )
    assert refusals > 0
    assert max(event.nbytes for event in events.all if isinstance(event, Spooled)) <= 3 * 16_200
    assert report.spooled_chunks >= 2
    check_points(durable, PSI)
    check_alone(durable)


async def test_without_a_spool_the_deadline_ends_the_ingest(durable: Server, spool_dir: Path) -> None:
    error = await refusal(
        sources.array(PSI),
        durable,
        hooks=(when_stored(3000, durable.kill),),
        settings=SOON | {"spool_limit": 0},
    )
    assert isinstance(error, ServerUnavailable)
    assert "spool_limit is 0" in str(error)
    assert left(spool_dir) == set()


@pytest.mark.parametrize("deaths", [1, 3])
async def test_a_server_that_dies_again_during_the_replay_is_given_all_in_the_end(
    durable: Server, deaths: int
) -> None:
    await owing(durable)
    durable.start()
    died = 0

    def die_and_come_back(event: Event) -> None:
        nonlocal died
        if isinstance(event, Spooled) and event.replaying and died < deaths:
            durable.kill()
            died += 1
        elif isinstance(event, Spooled) and not event.replaying and durable.process is None:
            durable.start()

    report = await replayed(durable, die_and_come_back)
    assert died == deaths
    assert report.points == PSI.size
    check_points(durable, PSI)
    check_alone(durable)


async def test_what_was_replayed_and_not_forgotten_is_replayed_again_to_the_same_effect(
    durable: Server, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process seems to be killed between the server's answer and the removal of the row: the file is put back."""
    await owing(durable)
    before = {path: path.read_bytes() for path in left(spool_dir)}
    durable.start()
    with monkeypatch.context() as patch:
        patch.setattr("qwf_async.catalog.load.Load.publish", _die)
        with pytest.raises(Killed):
            await replayed(durable)
    for path, content in before.items():
        path.write_bytes(content)
    await replayed(durable)
    check_points(durable, PSI)
    check_alone(durable)
    assert left(spool_dir) == set()


class Killed(Exception):
    """Raised in place of the end of the process."""


async def _die(*_: Any) -> None:
    raise Killed


async def test_a_damaged_row_is_told_and_its_chunk_taken_from_the_source(
    durable: Server, spool_dir: Path
) -> None:
    await owing(durable)
    (path,) = (path for path in left(spool_dir) if path.suffix == ".spool")
    content = bytearray(path.read_bytes())
    value = PSI[
        11, 2, 3, 4
    ].tobytes()  # within the row of a chunk; a page that was split may hold an old copy
    content = content.replace(value, bytes(len(value)))
    path.write_bytes(content)
    durable.start()
    events = Events()
    with pytest.raises(Refused, match="the rest must come from the source"):
        await replayed(durable, events)
    assert any("chunk 11" in warning and "checksum" in warning for warning in events.warnings)
    report = await ingested(durable, sources.array(PSI), resume=True)
    assert report.resumed_chunks == CHUNKS - 1
    check_points(durable, PSI)
    check_alone(durable)


async def test_a_server_that_comes_back_empty_is_told(own_server: Server, spool_dir: Path) -> None:
    await owing(own_server)
    own_server.start()
    with pytest.raises(DataLost, match="which lost it"):
        await replayed(own_server)
    assert contents(own_server) == {}


async def test_a_server_that_comes_back_empty_during_the_outage_ends_the_ingest(
    own_server: Server, spool_dir: Path
) -> None:
    back = Spooling(chunks=2, do=own_server.start)
    error = await refusal(
        sources.array(PSI), own_server, hooks=(when_stored(4000, own_server.kill), back), settings=BACK
    )
    assert type(error) is DataLost
    assert contents(own_server) == {}
    assert left(spool_dir) == set()


async def test_two_processes_do_not_replay_one_spool(durable: Server, spool_dir: Path) -> None:
    await owing(durable)
    durable.start()
    refusals: list[Refused] = []

    async def another() -> None:
        with pytest.raises(Refused) as raised:
            await replayed(durable)
        refusals.append(raised.value)

    def meanwhile(event: Event) -> None:
        if isinstance(event, Spooled) and event.replaying and not refusals:
            in_a_thread(another)

    await replayed(durable, meanwhile)
    assert len(refusals) == 1
    check_points(durable, PSI)
    check_alone(durable)


async def test_the_gate_does_not_keep_batches_from_the_spool(durable: Server) -> None:
    """A server that dies while its memory is full has nobody to open the gate."""

    fill = when_stored(2000, lambda: ask(durable, "CONFIG", "SET", "maxmemory", "1"))

    def die(event: Event) -> None:
        if isinstance(event, GateMoved) and event.shut:
            durable.kill()

    error = await refusal(
        sources.array(PSI), durable, force=True, hooks=(fill, die), settings=SOON | {"gate_timeout": PATIENCE}
    )
    assert isinstance(error, ReplayOwed)
    durable.start()
    await replayed(durable)
    check_points(durable, PSI)
