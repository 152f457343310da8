"""What becomes of a spool whose load is not on the server any more: dropped if nobody can miss it, else kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.name_state import LoadRecord, NameState
from qwf_async.catalog.owner import Owner
from qwf_async.catalog.scripts import enter
from qwf_async.cli.stored_wavefunction import open_stored
from qwf_async.errors import DataLost, InvalidInput, Refused, ReplayOwed, ServerUnavailable
from qwf_async.events import Noted
from qwf_async.ingesting.leftover_spools import SpoolState, drop_expendable, judge
from qwf_async.source import Source
from qwf_async.spool import SpoolHead
from tests.conftest import Server
from tests.support.handmade import manifest
from tests.support.loads import (
    Events,
    Watched,
    ask,
    check_alone,
    check_points,
    claim_over,
    contents,
    ingested,
    refusal,
    wave,
)
from tests.support.loops import ON_ASYNCIO
from tests.support.outages import PSI, SOON, left, owing, replayed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

OTHER = wave(2, 10, 10, 10, seed=1)


async def owing_to_a_server_that_stood_still(server: Server) -> None:
    """The server stands still after 4 chunks; it goes on when the ingest has ended with exit code 6."""
    await owing(server, server.stop, socket_timeout=0.5)
    server.go_on()


async def test_a_load_that_was_flushed_is_lost_for_certain_and_its_spool_dropped(
    own_server: Server, spool_dir: Path
) -> None:
    await owing_to_a_server_that_stood_still(own_server)
    ask(own_server, "FLUSHALL")
    with pytest.raises(DataLost, match="which lost it: what waited, a part of it, was dropped"):
        await replayed(own_server)
    assert left(spool_dir) == set()
    assert contents(own_server) == {}


@pytest.mark.parametrize("source", ["the same", "another"])
async def test_an_ingest_drops_the_spool_of_the_load_that_it_takes_the_place_of(
    own_server: Server, spool_dir: Path, source: str
) -> None:
    await owing_to_a_server_that_stood_still(own_server)
    own_server.kill()
    own_server.start()  # empty
    events = Events()
    psi = PSI if source == "the same" else OTHER
    await ingested(own_server, sources.array(psi), resume=True, hooks=(events,))
    assert left(spool_dir) == set()
    assert [event for event in events.all if isinstance(event, Noted) and "dropped" in event.text]
    check_points(own_server, psi)
    check_alone(own_server)


async def test_a_server_that_may_be_another_one_costs_nothing(own_server: Server, spool_dir: Path) -> None:
    """It is of the same address and knows nothing of the name; the one that has the load may come back."""
    await owing_to_a_server_that_stood_still(own_server)
    own_server.kill()
    own_server.start()
    for _ in range(2):
        with pytest.raises(DataLost, match="another server than the one that had it: the file is kept"):
            await replayed(own_server)
    async with qwf_async.connect(own_server.url) as store:
        assert await drop_expendable(store, None, hook=Events()) == 0
        with pytest.raises(InvalidInput, match=r"there is no wavefunction.*the file is kept"):
            await open_stored(store, "psi")
        assert {path.suffix for path in left(spool_dir)} == {".spool", ".json"}
        assert await drop_expendable(store, "psi", hook=Events(), removed=True) == 1
        with pytest.raises(InvalidInput, match="there is no wavefunction"):
            await open_stored(store, "psi")
    assert left(spool_dir) == set()
    assert contents(own_server) == {}


async def test_a_load_that_was_superseded_is_told_and_what_waited_of_it_dropped(
    durable: Server, spool_dir: Path
) -> None:
    await owing_to_a_server_that_stood_still(durable)
    durable.kill()
    before = {path: path.read_bytes() for path in spool_dir.iterdir()}  # noqa: ASYNC240 # of a test's few files
    durable.start()
    await claim_over(durable)
    await ingested(durable, sources.array(OTHER), discard=True)
    for path, content in before.items():
        path.write_bytes(content)
    stored = contents(durable)
    with pytest.raises(Refused, match="superseded by another: what waited of it was dropped"):
        await replayed(durable)
    assert contents(durable) == stored
    assert left(spool_dir) == set()


async def whole(server: Server, source: Source, spool_dir: Path, **options: Any) -> None:
    """An ingest whose server stands still before anything is written: all that is to be stored waits."""
    begun: list[int] = []

    def stop(_: Any) -> None:
        if not begun:
            begun.append(1)
            server.stop()

    watched = Watched(source=source, before=stop)
    error = await refusal(watched, server, settings=SOON, **options)
    assert isinstance(error, ReplayOwed), error
    server.go_on()
    assert {path.suffix for path in left(spool_dir)} == {".spool", ".json"}


@ON_ASYNCIO
async def test_a_load_that_waits_in_the_spool_as_a_whole_is_begun_anew_if_the_user_says_so(
    own_server: Server, spool_dir: Path
) -> None:
    await whole(own_server, sources.array(PSI), spool_dir)
    own_server.kill()
    own_server.start()  # empty
    async with qwf_async.connect(own_server.url) as store:
        assert await drop_expendable(store, None, hook=Events()) == 0
    with pytest.raises(DataLost, match=r"the file holds the whole of it, and is kept; anew=True begins"):
        await replayed(own_server)
    assert contents(own_server) == {}
    report = await replayed(own_server, anew=True)
    assert report.points == PSI.size
    check_points(own_server, PSI)
    check_alone(own_server)
    assert left(spool_dir) == set()


@ON_ASYNCIO
async def test_the_whole_is_kept_while_another_has_its_name(own_server: Server, spool_dir: Path) -> None:
    await whole(own_server, sources.array(PSI), spool_dir)
    own_server.kill()
    own_server.start()
    await ingested(own_server, sources.array(OTHER))
    with pytest.raises(Refused, match="the file holds the whole of it, and is kept"):
        await replayed(own_server)
    assert {path.suffix for path in left(spool_dir)} == {".spool", ".json"}
    check_points(own_server, OTHER)


async def test_after_an_answer_to_the_beginning_that_was_lost_the_message_says_how_to_go_on(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop_and_enter(*arguments: Any) -> None:
        own_server.stop()
        await enter(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("qwf_async.catalog.load.enter", stop_and_enter)
        error = await refusal(sources.array(PSI), own_server, settings=SOON)
    own_server.go_on()
    assert isinstance(error, ServerUnavailable)
    assert "may have been begun all the same: make the same call with resume=True" in str(error)
    await claim_over(own_server)
    again = await refusal(sources.array(PSI), own_server)
    assert isinstance(again, Refused)
    assert "resume=True" in str(again)
    await ingested(own_server, sources.array(PSI), resume=True)
    check_points(own_server, PSI)
    check_alone(own_server)


OURS = manifest(generation="a" * 16)
OLD = manifest(generation="b" * 16, fingerprint="old")
LATER = manifest(generation="c" * 16, fingerprint="later")
SAME = manifest(generation="d" * 16)
NOBODY = Owner(token="0" * 16, host="h", boot="b", pid=1, started="1")


@pytest.mark.parametrize(
    ("published", "under_way", "run", "is_whole", "wanted"),
    [
        (None, OURS, "", False, SpoolState.PRESENT),
        (OLD, OURS, "", True, SpoolState.PRESENT),
        (OURS, None, "", True, SpoolState.PUBLISHED),
        (SAME, None, "", True, SpoolState.SUPERSEDED),
        (LATER, None, "", False, SpoolState.SUPERSEDED),
        (None, LATER, "", False, SpoolState.SUPERSEDED),
        (LATER, None, "", True, SpoolState.IN_THE_WAY),
        (OLD, LATER, "", True, SpoolState.IN_THE_WAY),
        (OLD, None, "", True, SpoolState.WHOLE),
        (OLD, None, "", False, SpoolState.LOST),
        (None, None, "run", False, SpoolState.LOST),
        (None, None, "run", True, SpoolState.WHOLE),
        (None, None, "other", False, SpoolState.UNSURE),
        (None, None, "", False, SpoolState.UNSURE),
        (None, None, "other", True, SpoolState.WHOLE),
    ],
)
def test_a_spool_is_expendable_only_when_its_load_is_gone_for_certain(
    published: Any, under_way: Any, run: str, is_whole: bool, wanted: SpoolState
) -> None:
    head = SpoolHead(
        server="s", prefix="qwf", name="psi", manifest=OURS, overwrites=OLD.generation, run="run"
    )
    load = under_way and LoadRecord(manifest=under_way, overwrites="", owner=NOBODY)
    seen = NameState(published=published, under_way=load, now=0)
    assert judge(head, seen, run=run, whole=is_whole) == wanted
    if run == "":
        unknown = replace(head, run="")
        assert judge(unknown, seen, run="", whole=is_whole) == wanted
