"""Servers that stay away: batches go to the spool, and from there to the server, by this process or another.

What is on the server in the end is compared by plain redis-py with the array that it came from.
"""

from __future__ import annotations

import json
import random
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.client.address import Address
from qwf_async.errors import DataLost, Refused, ReplayOwed, ServerUnavailable
from qwf_async.events import Event, GateMoved, Spooled
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.load_spool import LoadSpool
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from qwf_async.lattice.grid import Box
from qwf_async.layout import LAYOUTS
from qwf_async.settings import Settings
from qwf_async.spool import SpoolFull
from qwf_async.wire.batch import Batch
from tests.conftest import PATIENCE, Server, new_server
from tests.support.command import Begun, Shell
from tests.support.ingests import CHUNKS as LINES
from tests.support.ingests import Place, lay_out, send
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
    wave,
    when_stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(12, 10, 10, 10)
CHUNKS = 12
SOON: dict[str, Any] = {"deadline": 1.5, "spool_after": 0.2, "socket_timeout": 1.0, "ownership_ttl": 1.0}
"""For a server that stays away. The claim is short because this process lives on after the ingest."""

BACK = SOON | {"deadline": PATIENCE}
"""For a server that is left soon, and comes back."""


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server of the test's own that has what it acknowledged after kill -9 too."""
    yield from new_server("valkey", appendonly="yes", appendfsync="always")


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "data-home" / "qwf_async" / "spool"


def left(spool_dir: Path) -> set[Path]:
    return set(spool_dir.iterdir()) if spool_dir.exists() else set()


@dataclass(slots=True, kw_only=True)
class Spooling:
    """A hook that does something once so many chunks wait in the spool."""

    chunks: int
    do: Any
    done: bool = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Spooled) and event.chunks >= self.chunks and not self.done:
            self.done = True
            self.do()


async def owing(server: Server, **settings: Any) -> ReplayOwed:
    """An ingest whose server is killed after 4 chunks and stays away."""
    error = await refusal(
        sources.array(PSI), server, hooks=(when_stored(4000, server.kill),), settings=SOON | settings
    )
    assert isinstance(error, ReplayOwed), error
    return error


async def replayed(server: Server, *hooks: Any, **settings: Any) -> qwf_async.Report:
    settings = {"socket_timeout": PATIENCE, "deadline": PATIENCE} | settings

    def hook(event: Event) -> None:
        for each in hooks:
            each(event)

    async with qwf_async.connect(server.url, settings=Settings(**settings)) as store:
        (found,) = await waiting_spools(store)
        return await replay(store, found, Shutdown(drain_timeout=1), hook=hook)


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
    """The source is cut off by a full spool: the rest of it is read when the load is resumed."""
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
    """As if killed between the server's answer and the removal of the row: the file is put back as it was."""
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
    """Stands for the end of the process."""


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


@pytest.fixture
def place(durable: Server, tmp_path: Path) -> Place:
    """Commands on the server of the test, which wait long for it."""
    long = {"QWF_SOCKET_TIMEOUT": str(PATIENCE), "QWF_DEADLINE": str(PATIENCE)}
    shell = Shell.at(tmp_path, QWF_URL=durable.url, **long)
    return Place(shell=shell, server=durable, fields=lay_out(tmp_path))


SPOOLED = (LINES - 1, LINES)
"""Chunks that `left_alone` leaves to the spool: the first, too, if the server died before its reply was read."""

SINGLE = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@contextmanager
def left_alone(place: Place) -> Iterator[Begun]:
    """An ingest of `psi` as a process: when the server has its first chunk, it is killed, and the rest is read."""
    soon = {f"QWF_{name.upper()}": str(value) for name, value in SOON.items()}
    here = replace(place, shell=place.shell.having(**soon, QWF_DRAIN_TIMEOUT="1"))
    with here.begin_held("psi", 1) as begun:
        here.wait_for_load("psi", 1)
        here.server.kill()
        here.let("psi", LINES)
        yield begun


def owing_process(place: Place) -> None:
    """Leave the first chunk to the server and all others to the spool."""
    with left_alone(place) as begun:
        outcome = begun.end()
    assert outcome.status == 6, outcome
    assert (
        f"run 'qwf resume' when the server is back, with --url or QWF_URL as now: {place.server.url}"
        in outcome.err
    )
    assert "Traceback" not in outcome.err
    place.server.start()


@SINGLE
async def test_qwf_resume_finishes_what_ended_with_exit_6(place: Place) -> None:
    assert place.shell.qwf("resume").err == "nothing waits in the spool\n"
    owing_process(place)
    outcome = place.shell.qwf("resume", "--json")
    assert outcome.status == 0, outcome
    (report,) = json.loads(outcome.out)
    assert report["name"] == "psi"
    assert report["points"] == len(place.fields)
    assert report["spooled_chunks"] in SPOOLED
    assert json.loads(place.shell.qwf("resume", "--json").out) == []
    place.check_whole("psi")


@SINGLE
async def test_a_command_that_needs_what_waits_replays_it(place: Place) -> None:
    owing_process(place)
    outcome = place.shell.qwf("get", "psi", "5", "0", "77", "--quiet")
    re, im = struct.unpack("<dd", place.fields[b"x5_y0_z77_t0"])
    assert outcome.out == f"{re!r},{im!r}\n", outcome
    place.check_whole("psi")


@SINGLE
async def test_qwf_watch_replays_what_waits(place: Place) -> None:
    owing_process(place)
    with place.shell.begin("watch") as begun:
        end = time.monotonic() + PATIENCE
        while not ask(place.server, "EXISTS", "qwf:{psi}:meta"):
            assert time.monotonic() < end
            await anyio.sleep(0.05)
        begun.signal(signal.SIGINT)
        assert begun.end().status == 130
    place.check_whole("psi")


@SINGLE
async def test_the_next_ingest_with_resume_takes_the_spool_first(place: Place) -> None:
    owing_process(place)
    outcome = place.ingest_held("psi", "--resume", "--json")
    assert outcome.status == 0, outcome
    assert json.loads(outcome.out)["spooled_chunks"] in SPOOLED
    place.check_whole("psi")


@SINGLE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_what_was_acknowledged_outlives_a_signal_during_the_outage(place: Place, number: int) -> None:
    """At random moments from the server's death on: before the spool is used, as it is made, and after."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown by pytest if the test fails
    chance = random.Random(seed)
    for _ in range(2):
        with left_alone(place) as begun:
            await anyio.sleep(chance.uniform(0, 1.2))
            outcome = send(begun, number)
        assert outcome.status in (128 + number, 6), outcome
        assert "Traceback" not in outcome.err
        place.server.start()
        outcome = place.ingest_held("psi", "--resume")
        assert outcome.status == 0, outcome
        place.check_whole("psi")


def test_a_server_is_known_again_however_its_url_is_written() -> None:
    same = ["redis://localhost", "redis://:pw@127.0.0.1:6379/0", "valkey://u:p@LOCALHOST", "rediss://[::1]/"]
    assert len({Address.parse(url).identity for url in same}) == 1
    others = ["redis://localhost/1", "redis://localhost:6380", "redis://elsewhere", "unix:///tmp/s"]
    assert len({Address.parse(url).identity for url in [*same, *others]}) == 5
