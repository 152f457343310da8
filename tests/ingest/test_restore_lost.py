"""RESTORE that is refused in mid-load, or meets a key that exists: HSET then writes the same.

What is on a server is read by plain redis-py and compared with a plain twin of layout packed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused, ReplayOwed
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from qwf_async.lattice.grid import Box
from qwf_async.settings import Settings
from qwf_async.source import Source
from qwf_async.wire import listpack
from tests.conftest import Server, new_server
from tests.support.loads import (
    Events,
    Watched,
    ask,
    group_keys,
    leave_unfinished,
    published,
    wave,
    when_stored,
)
from tests.support.relay import Relay, relaying

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(6, 10, 10, 10)
BUCKETS = 47
CHUNK_POINTS = 896
"""Points of a chunk: about 1000, in whole buckets."""


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with relaying(server) as running:
        yield running


@contextmanager
def user(server: Server) -> Iterator[str]:
    """The URL of a user who may do everything, until a test changes that."""
    ask(server, "ACL", "SETUSER", "loader", "reset", "on", ">pw", "~*", "&*", "+@all")
    try:
        yield f"unix://loader:pw@{server.socket}"
    finally:
        ask(server, "ACL", "DELUSER", "loader")


def forbid(server: Server, *commands: str, name: str = "loader") -> None:
    ask(server, "ACL", "SETUSER", name, *(f"-{command}" for command in commands))


def check_buckets(server: Server) -> None:
    """Every point of PSI is in its bucket, each is a listpack, and there is nothing else of the name."""
    wanted: dict[bytes, dict[bytes, bytes]] = {}
    base = f"qwf:psi:{{{published(server)}.".encode()
    for i, value in enumerate(PSI.reshape(-1)):
        key = b"%s%d}:b%d" % (base, i // CHUNK_POINTS, i // 128)
        wanted.setdefault(key, {})[b"%d" % (i % 128)] = value.tobytes()
    journals = {b"%s%d}:j" % (base, number) for number in range(-(-PSI.size // CHUNK_POINTS))}
    with server.plain as client:
        keys = set(client.scan_iter("qwf:psi:*"))
        assert journals <= keys
        found = {key: client.hgetall(key) for key in keys - journals}
        assert {client.object("encoding", key) for key in found} == {b"listpack"}
    assert len(wanted) == BUCKETS
    assert found == wanted


def bucket(server: Server, number: int) -> str:
    """A key of the load under way."""
    generation = ask(server, "HGET", "qwf:{psi}:load", "generation").decode()
    return f"qwf:psi:{{{generation}.{128 * number // CHUNK_POINTS}}}:b{number}"


def calls(server: Server, command: str) -> int:
    """How often the server was given a command since its statistics were reset."""
    with server.plain as client:
        found = client.info("commandstats").get(f"cmdstat_{command}", {})
        return int(found.get("calls", 0)) + int(found.get("rejected_calls", 0))


async def load(url: str, *hooks: Any, source: Source | None = None, **options: Any) -> qwf_async.Report:
    async with qwf_async.connect(url) as store:
        source = source or sources.array(PSI)
        return await qwf_async.ingest(source, store, "psi", layout="packed", hooks=hooks, **options)


@pytest.mark.parametrize("writers", [1, 4])
@pytest.mark.parametrize("mode", ["auto", "restore"])
async def test_a_permission_lost_on_the_way_is_told_once_and_the_rest_is_written_by_hset(
    each_server: Server, mode: str, writers: int
) -> None:
    ask(each_server, "CONFIG", "RESETSTAT")
    with user(each_server) as url:
        events = Events()
        lose = when_stored(1, lambda: forbid(each_server, "restore"))
        report = await load(url, lose, events, write_mode=mode, writers=writers, verify=True)
    (warning,) = events.warnings
    assert warning.startswith("writing by HSET from now on")
    assert "permission" in warning
    assert "'restore'" in warning
    assert (report.resumed_chunks, report.retries) == (0, 0)
    if writers == 1:  # the trial, the first chunk, and the next one twice, to learn why
        assert calls(each_server, "restore") <= 1 + 7 + 2 * 7
    check_buckets(each_server)


@pytest.mark.parametrize(
    ("part", "value", "says"), [("RDB_VERSION", 79, "version"), ("TYPE_HASH_LISTPACK", 99, "Bad data format")]
)
async def test_a_payload_that_is_not_understood_on_the_way_is_written_by_hset(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, part: str, value: int, says: str
) -> None:
    def spoil(box: Box) -> None:
        if box.start[0] >= 3:
            monkeypatch.setattr(listpack, part, value)

    events = Events()
    source = Watched(source=sources.array(PSI), before=spoil)
    await load(each_server.url, events, source=source)
    (warning,) = events.warnings
    assert says in warning
    check_buckets(each_server)


@pytest.mark.parametrize("lost", [("hset",), ("hset", "restore")], ids=" and ".join)
async def test_without_hset_it_ends_at_once_and_can_be_resumed(
    each_server: Server, lost: tuple[str, ...]
) -> None:
    with user(each_server) as url:
        taken: list[float] = []

        def take() -> None:
            ask(each_server, "CONFIG", "RESETSTAT")
            forbid(each_server, *lost)
            taken.append(time.monotonic())

        events = Events()
        with pytest.raises(Refused, match=r"writing qwf:.*permission.*'?hset'?.*resume=True"):
            await load(url, when_stored(1, take), events)
        assert time.monotonic() - taken[0] < 2 + 8  # and a slow machine; tried again, it would take a minute
        assert not [warning for warning in events.warnings if "RESTORE" in warning]
        # At most four batches of 7 buckets were under way, each sent twice by RESTORE and once by HSET.
        assert calls(each_server, "restore") + calls(each_server, "hset") <= 4 * 7 * 3 + 10
        assert published(each_server) is None
        ask(each_server, "ACL", "SETUSER", "loader", *(f"+{command}" for command in lost))
        await load(url, resume=True)
    check_buckets(each_server)


FOREIGN: dict[str, Callable[[Server, str], object]] = {
    "string": lambda server, key: ask(server, "SET", key, "somebody else's"),
    "list": lambda server, key: ask(server, "RPUSH", key, "a", "b"),
    "stream": lambda server, key: ask(server, "XADD", key, "1-1", "a", "b"),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_a_key_of_another_type_in_the_way_of_restore_is_named_and_left_alone(
    each_server: Server, kind: str
) -> None:
    found: list[str] = []

    def put() -> None:
        found.append(bucket(each_server, 40))
        FOREIGN[kind](each_server, found[0])
        found.append(ask(each_server, "DUMP", found[0]))

    with pytest.raises(Refused, match="a key of another type is in the way") as raised:
        await load(each_server.url, when_stored(1, put), write_mode="restore", writers=1)
    key, before = found
    assert key in str(raised.value)
    assert ask(each_server, "DUMP", key) == before
    assert published(each_server) is None
    ask(each_server, "DEL", key)
    await load(each_server.url, resume=True)
    check_buckets(each_server)


async def test_a_hash_in_the_way_of_restore_keeps_what_it_held(each_server: Server) -> None:
    found: list[str] = []

    def put() -> None:
        found.append(bucket(each_server, 40))
        ask(each_server, "HSET", found[0], "theirs", "1", "5", "wrong")

    await load(each_server.url, when_stored(1, put), writers=1, verify=True)
    assert ask(each_server, "HDEL", found[0], "theirs") == 1
    check_buckets(each_server)


async def test_what_is_restored_already_is_written_again_without_a_word(each_server: Server) -> None:
    await leave_unfinished(each_server, sources.array(PSI), 4000, layout="packed", writers=1)
    forgotten = group_keys(each_server, "j", of="load")[:-1]
    each_server.plain.unlink(*forgotten)
    ask(each_server, "CONFIG", "RESETSTAT")
    events = Events()
    report = await load(each_server.url, events, resume=True, verify=True)
    assert report.resumed_chunks == 1
    assert events.warnings == []
    # RESTORE goes on with what is not there yet.
    assert each_server.plain.info("commandstats")["cmdstat_restore"]["failed_calls"] >= 7 * len(forgotten)
    check_buckets(each_server)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_any_reply_to_restore_may_be_lost(server: Server, relay: Relay) -> None:
    """Each reply of an ingest is lost in turn. Its request has been applied by then, and is sent again."""
    async with qwf_async.connect(relay.url) as store:
        source, options = sources.array(PSI), {"layout": "packed", "write_mode": "restore"}
        before = relay.replies.pieces
        await qwf_async.ingest(source, store, "psi", **options)  # type: ignore[arg-type] # options of ingest
        for number in range(relay.replies.pieces - before):
            relay.lose_replies([number])
            events = Events()
            await qwf_async.ingest(source, store, "psi", overwrite=True, hooks=(events,), **options)  # type: ignore[arg-type] # options of ingest
            assert events.warnings == []
            check_buckets(server)
    assert relay.cuts > 20


@pytest.fixture(params=["valkey", "redis"])
def durable(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own that has what it acknowledged after kill -9 too."""
    yield from new_server(request.param, appendonly="yes", appendfsync="always")


async def test_what_waits_in_a_spool_is_written_by_hset_without_its_source(durable: Server) -> None:
    soon: dict[str, Any] = {"deadline": 1.5, "spool_after": 0.2}
    async with qwf_async.connect(durable.url, settings=Settings(**soon)) as store:
        with pytest.raises(ReplayOwed):
            await qwf_async.ingest(
                sources.array(PSI), store, "psi", layout="packed", hooks=(when_stored(1, durable.kill),)
            )
    durable.start()
    forbid(durable, "restore", name="default")
    async with qwf_async.connect(durable.url) as store:
        (found,) = await waiting_spools(store)
        report = await replay(store, found, Shutdown(drain_timeout=1), hook=Events())
    assert report.spooled_chunks > 0
    check_buckets(durable)
