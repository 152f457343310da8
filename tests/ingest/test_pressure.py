"""Memory under real pressure: a tenant beside us, a fork for saving, a replica that lags behind.

Each takes seconds, because the servers do, and is the same for every event loop: it runs on one.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

import qwf_async
from qwf_async import sources
from qwf_async.embedded import machine as machine_module
from qwf_async.events import Event, GateMoved, Hook, MemorySampled
from qwf_async.server.memory import Bound, sample_of
from tests.conftest import Server, free_port, new_server
from tests.support.command import Shell
from tests.support.loads import (
    Events,
    ask,
    check_alone,
    check_points,
    data_keys,
    held,
    journalled,
    leave_unfinished,
    plain_fields,
    refused_between_samples,
    wave,
    when_stored,
)
from tests.support.waiting import wait_until

MB = 2**20
LIMIT = 24 * MB
PSI = wave(12, 10, 10, 10)
QUICK: dict[str, Any] = {"sample_interval": 0.02, "clean_batch": 100}

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": True}


sizes = st.integers(1, 2**40)


@given(used=sizes, copied=sizes, buffers=sizes, maxmemory=sizes, machine=sizes)
def test_each_limit_is_held_against_what_counts_for_it(
    used: int, copied: int, buffers: int, maxmemory: int, machine: int
) -> None:
    info = {
        "used_memory": str(used),
        "current_cow_size": str(copied),
        "mem_not_counted_for_evict": str(min(used, buffers)),
        "maxmemory": str(maxmemory),
        "total_system_memory": "1",
    }
    sample = sample_of(info, limit=5, machine=machine)
    server = Bound(what="maxmemory", used=used - min(used, buffers), limit=maxmemory)
    theirs = Bound(what="the machine's memory", used=used + copied, limit=machine, copied=copied)
    assert sample.bounds == (server, theirs)
    assert sample.tightest in (server, theirs)
    assert sample.tightest is not None
    assert sample.tightest.fill == max(server.fill, theirs.fill)
    assert sample.room(0.5) == min(maxmemory / 2 - server.used, machine / 2 - theirs.used)


def test_a_server_that_tells_little_is_held_against_what_is_known() -> None:
    sample = sample_of({"used_memory": "7", "maxmemory": "0"}, limit=10, machine=None)
    assert sample.bounds == (Bound(what="the memory limit", used=7, limit=10),)
    assert sample_of({"used_memory": "7", "total_system_memory": "9"}, limit=None, machine=None).bounds == (
        Bound(what="the machine's memory", used=7, limit=9),
    )
    nothing = sample_of({}, limit=None, machine=None)
    assert (nothing.tightest, nothing.room(1.0), nothing.used) == (None, None, 0)


class Tenant:
    """Another user of the server, who writes with plain redis-py in a thread of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.stored: dict[bytes, bytes] = {}
        self.left_whole = False

    def fill(self) -> None:
        """Write keys until the server refuses them."""
        value, number = b"t" * 100_000, 0
        with self._server.plain as client:
            while True:
                # Names that are near ours, and are not.
                key = b"%s:%d" % ((b"qwf:psi", b"qwf2:{psi}", b"tenant")[number % 3], number)
                try:
                    client.set(key, value)
                except redis.exceptions.OutOfMemoryError:
                    if len(value) == 1:
                        return
                    value = value[: len(value) // 2]
                else:
                    self.stored[key] = value
                number += 1

    def leave(self) -> None:
        """Check that all keys are still there, and delete them."""
        with self._server.plain as client:
            keys = list(self.stored)
            self.left_whole = client.mget(keys) == [self.stored[key] for key in keys]
            client.unlink(*keys)


def when_sampled(do: Callable[[], object], *, shut: bool) -> Hook:
    """A hook that does something once, when the server's memory was looked at and the gate was shut, or was not."""
    waiting, is_shut = [do], False

    def hook(event: Event) -> None:
        nonlocal is_shut
        if isinstance(event, GateMoved):
            is_shut = event.shut
        if isinstance(event, MemorySampled) and is_shut is shut and waiting:
            waiting.pop()()

    return hook


def when_shut(do: Callable[[], object]) -> Hook:
    """A hook that does something once, when the gate shuts for the first time."""
    waiting = [do]

    def hook(event: Event) -> None:
        if isinstance(event, GateMoved) and event.shut and waiting:
            waiting.pop()()

    return hook


@pytest.mark.parametrize(
    ("layout", "shape"),
    [("flat", (12, 10, 10, 10)), ("packed", (4, 64, 32, 32)), ("tile", (12, 16, 16, 16))],
)
async def test_a_tenant_that_fills_the_server_is_waited_for_and_left_alone(
    each_own_server: Server, layout: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    psi = wave(*shape)
    ask(each_own_server, "CONFIG", "SET", "maxmemory", LIMIT)
    tenant, events = Tenant(each_own_server), Events()
    refused = refused_between_samples(monkeypatch)
    fill, leave = when_sampled(tenant.fill, shut=False), when_sampled(tenant.leave, shut=True)
    async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
        report = await qwf_async.ingest(
            sources.array(psi),
            store,
            "psi",
            layout=layout,
            verify=True,
            hooks=(refused, fill, leave, events),
        )
        assert tenant.left_whole
        assert report.retries > 0
        assert events.moves[0] is True
        assert events.moves[-1] is False
        stored = await store.open("psi")
        assert np.array_equal(await stored.read[:, :, :, :], psi)
    if layout == "flat":
        check_points(each_own_server, psi)
    assert not [event for event in events.all if "cleaned" in str(event)]


async def test_under_a_volatile_policy_nothing_of_ours_has_a_time_to_live(each_own_server: Server) -> None:
    ask(each_own_server, "CONFIG", "SET", "maxmemory", LIMIT)
    ask(each_own_server, "CONFIG", "SET", "maxmemory-policy", "volatile-random")
    found: list[bytes] = []

    def crowd() -> None:
        with each_own_server.plain as client:
            found.extend(client.scan_iter("qwf:*"))
            for number in range(2 * LIMIT // 100_000):  # the tenant's own go, one for each that comes
                client.set(f"tenant:{number}", b"t" * 100_000, ex=3600)
            assert {client.ttl(key) for key in found} == {-1}

    hooks = (when_stored(3000, crowd), when_shut(lambda: client.delete(*client.scan_iter("tenant:*"))))
    with each_own_server.plain as client:
        async with qwf_async.connect(each_own_server.url, settings=qwf_async.Settings(**QUICK)) as store:
            await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=hooks)
        # The index, the load, and hashes of data with their journals.
        assert {b"qwf:names", b"qwf:{psi}:load"} < set(found)
        assert {key[-3:] for key in found if key.startswith(b"qwf:psi:")} == {b"}:s", b"}:j"}
        assert client.info("stats")["evicted_keys"] > 0
        check_points(each_own_server, PSI)
        assert {client.ttl(key) for key in client.scan_iter("qwf:*")} == {-1}


async def test_what_the_server_has_evicted_of_an_unfinished_load_is_written_again(
    each_own_server: Server,
) -> None:
    await leave_unfinished(each_own_server, sources.array(PSI), 6000)
    with each_own_server.plain as client:
        client.set("tenant", b"t" * MB, ex=3600)
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", 1)
        wait_until(lambda: client.info("stats")["evicted_keys"] == 1)
        client.config_set("maxmemory", LIMIT)
        # What a moment of allkeys-* would do: the journal stays, the data begins anew with what came after.
        fields = plain_fields(PSI, "c16")
        kept = dict(list(fields.items())[5000:6000])
        keys = data_keys(each_own_server, of="load")
        client.unlink(*keys)
        client.hset(keys[5], mapping=kept)
    events = Events()
    async with qwf_async.connect(each_own_server.url) as store:
        report = await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True, hooks=(events,))
    assert 1 <= report.resumed_chunks < 6
    assert any("chunks that were stored: written again" in warning for warning in events.warnings)
    check_points(each_own_server, PSI)
    check_alone(each_own_server)


def test_a_command_on_a_server_that_stays_full_exits_4_and_its_repetition_completes(
    each_own_server: Server, tmp_path: Path
) -> None:
    points = wave(12, 1, 1, 11_000)  # lines of more than 2¹³ points: a chunk each
    np.save(tmp_path / "psi.npy", points)
    ask(each_own_server, "CONFIG", "SET", "maxmemory", 8 * MB)  # not enough for 132,000 points
    shell = Shell.at(tmp_path, QWF_URL=each_own_server.url, QWF_GATE_TIMEOUT="0.5")
    first = shell.qwf("ingest", "psi.npy", "--force", "--writers", "1")
    assert first.status == 4, first.err
    assert "paused: 8" in first.err or "out of memory" in first.err
    assert "can be resumed with --resume" in first.lines[-1]
    stored = journalled(each_own_server)
    assert 0 < stored < 12
    ask(each_own_server, "CONFIG", "SET", "maxmemory", 128 * MB)
    again = shell.qwf("ingest", "psi.npy", "--resume", "--json")
    assert again.status == 0, again.err
    assert json.loads(again.out)["resumed_chunks"] == stored
    check_points(each_own_server, points)
    check_alone(each_own_server)


def copying(client: redis.Redis) -> bool:
    return bool(client.info("persistence")["rdb_bgsave_in_progress"])


@pytest.fixture
def slow_to_save(request: pytest.FixtureRequest, each_own_server: Server) -> Iterator[Server]:
    """A server with 36 MB in 12,000 keys and many more that are small, which takes long to save them.

    How much was copied the child says once a second, if it comes past a key whose number 1024 divides.
    """
    with each_own_server.plain as client:
        rewrite(client)
        client.mset({f"small:{number}": "" for number in range(150_000)})
        client.config_set("rdb-key-save-delay", 100)
    yield each_own_server
    each_own_server.kill()


def end_saving(server: Server) -> None:
    """End the child as the server itself would if it did not need the copy any more. This is no failure to save."""
    assert server.process is not None
    pid = server.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGUSR1)


def rewrite(client: redis.Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(12_000):
        pipeline.set(f"tenant:{number}", b"%d" % (time.monotonic_ns()) + b"x" * 3000)
    pipeline.execute()


async def test_what_a_fork_for_saving_copies_counts_against_the_machine(
    slow_to_save: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events()
    shut = threading.Event()
    shut_while_copying: list[bool] = []

    def save() -> None:
        client.bgsave()
        rewrite(client)

    def look() -> None:
        shut_while_copying.append(copying(client))
        shut.set()
        end_saving(slow_to_save)

    with slow_to_save.plain as client:
        used = int(client.info("memory")["used_memory"])
        hooks = (when_stored(1000, save), when_shut(look), events)
        # Room for ψ, and for 20 MB of copies: the 36 MB that are rewritten do not fit.
        monkeypatch.setattr(machine_module, "memory_bytes", lambda: int((used + 22 * MB) / 0.85))
        async with qwf_async.connect(slow_to_save.url, settings=qwf_async.Settings(**QUICK)) as store:
            await qwf_async.ingest(held(sources.array(PSI), 6, shut), store, "psi", hooks=hooks)
        assert not copying(client)
    assert shut_while_copying == [True]
    assert events.moves == [True, False]
    reasons = [event.reason for event in events.all if isinstance(event, GateMoved)]
    assert "the machine's memory" in reasons[0]
    assert "by a fork for saving" in reasons[0]
    most = max(event.used for event in events.all if isinstance(event, MemorySampled))
    assert most > used + 20 * MB  # what a progress bar shows
    check_points(slow_to_save, PSI)


@pytest.fixture(params=["valkey", "redis"])
def primary(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that keeps everything that a replica has not read yet, without a limit."""
    options = {
        "client-output-buffer-limit": "replica 0 0 0",
        "repl-backlog-size": "16kb",
        "repl-diskless-sync-delay": "0",
    }
    with free_port() as port:
        yield from new_server(request.param, **options, port=str(port))


@pytest.fixture
def replica(primary: Server) -> Iterator[Server]:
    for server in new_server(primary.software):
        with server.plain as client, primary.plain as above:
            client.execute_command("REPLICAOF", "127.0.0.1", primary.options["port"])
            wait_until(lambda: above.info("replication").get("slave0", {}).get("state") == "online")
        yield server


async def test_what_a_replica_has_not_taken_yet_counts_against_the_machine_alone(
    primary: Server, replica: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, shut = Events(), threading.Event()

    def lag() -> None:
        replica.stop()
        with primary.plain as client:
            for _ in range(50):
                client.set("tenant", b"x" * MB)
            client.delete("tenant")

    def go_on() -> None:
        replica.go_on()
        shut.set()

    with primary.plain as client:
        used = int(client.info("memory")["used_memory"])
        # Less than the buffer will hold, which the server does not count when it refuses writes.
        client.config_set("maxmemory", used + 16 * MB)
    monkeypatch.setattr(machine_module, "memory_bytes", lambda: int((used + 30 * MB) / 0.85))
    try:
        async with qwf_async.connect(primary.url, settings=qwf_async.Settings(**QUICK)) as store:
            report = await qwf_async.ingest(
                held(sources.array(PSI), 6, shut),
                store,
                "psi",
                hooks=(when_stored(3000, lag), when_shut(go_on), events),
            )
    finally:
        replica.go_on()
    assert report.retries == 0
    assert events.moves == [True, False]
    reason = next(event.reason for event in events.all if isinstance(event, GateMoved))
    assert "the machine's memory" in reason
    check_points(primary, PSI)
    with replica.plain as client, primary.plain as above:
        keys = data_keys(primary)
        wait_until(lambda: sum(client.hlen(key) for key in keys) == PSI.size)
        assert [client.hgetall(key) for key in keys] == [above.hgetall(key) for key in keys]
