"""Memory of the server in an ingest: OOM, eviction, what will not fit; and servers that forbid things."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import OutOfMemory, Refused
from qwf_async.events import GateMoved, MemorySampled, Noted, Retried
from qwf_async.ingesting import watchdog as watchdog_module
from qwf_async.source import Source
from tests.conftest import Server
from tests.support.loads import (
    Events,
    ask,
    check_alone,
    check_points,
    contents,
    data_keys,
    held,
    published,
    refusal,
    refused_between_samples,
    used,
    wave,
    when,
    when_stored,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks", "time_to_settle")]

MB = 2**20
LIMIT = 24 * MB
PSI = wave(12, 10, 10, 10)
SOURCE = sources.array(PSI)
QUICK: dict[str, Any] = {"sample_interval": 0.02, "clean_batch": 100}


def fill(server: Server, share: float) -> None:
    """Another user of the server takes memory until this share of LIMIT is used."""
    ask(server, "SETRANGE", "tenant", int(share * LIMIT) - used(server), "x")


async def load(
    server: Server,
    *,
    source: Source = SOURCE,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> qwf_async.Report:
    """Ingest PSI as `psi`."""
    async with qwf_async.connect(
        server.url, settings=qwf_async.Settings(**QUICK | (settings or {}))
    ) as store:
        return await qwf_async.ingest(source, store, "psi", **options)


@pytest.fixture
def tight(each_own_server: Server) -> Server:
    """A server with little memory that evicts nothing."""
    ask(each_own_server, "CONFIG", "SET", "maxmemory", LIMIT)
    return each_own_server


async def test_an_ingest_waits_while_the_server_is_full_cleans_and_goes_on(
    tight: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with qwf_async.connect(tight.url) as store:
        await qwf_async.ingest(sources.array(wave(1, 5, 5, 5)), store, "old")
    old = {key: value for key, value in contents(tight).items() if key != b"qwf:names"}
    with tight.plain as client:
        client.hset("qwf:{old}:scratch", mapping={f"sample{i}": "x" * 50 for i in range(2500)})
    events = Events()
    report = await load(
        tight,
        hooks=(
            refused_between_samples(monkeypatch),
            when(MemorySampled, lambda: fill(tight, 1.02)),
            when(Noted, lambda: ask(tight, "DEL", "tenant"), "cleaned 2,500 scratch fields"),
            events,
        ),
    )
    assert report.retries > 0
    assert any(isinstance(e, Retried) and "out of memory" in e.reason for e in events.all)
    assert events.moves[:2] == [True, False]  # a writer that was refused late may shut it once more
    assert events.moves[-1] is False
    check_points(tight, PSI)
    found = contents(tight)
    assert b"qwf:{old}:scratch" not in found
    assert {key: found[key] for key in old} == old


async def test_a_server_that_stays_full_ends_the_ingest_which_can_be_resumed(tight: Server) -> None:
    fills = when_stored(3000, lambda: fill(tight, 1.02))
    begun = time.monotonic()
    error = await refusal(SOURCE, tight, hooks=(fills,), settings=QUICK | {"gate_timeout": 0.3})
    assert time.monotonic() - begun < qwf_async.Settings().gate_timeout
    assert isinstance(error, OutOfMemory)
    assert error.exit_code == 4
    assert "no memory on the server for" in str(error)
    assert "can be resumed with resume=True" in str(error)
    assert published(tight) is None
    ask(tight, "CONFIG", "SET", "maxmemory", 2 * LIMIT)
    report = await load(tight, resume=True)
    assert report.resumed_chunks >= 3
    ask(tight, "DEL", "tenant")
    check_points(tight, PSI)
    check_alone(tight)


@pytest.mark.parametrize("limited_by", ["maxmemory", "memory_limit"])
async def test_the_gate_shuts_before_the_server_is_full(own_server: Server, limited_by: str) -> None:
    settings = {"memory_limit": LIMIT} if limited_by == "memory_limit" else {}
    if limited_by == "maxmemory":
        ask(own_server, "CONFIG", "SET", "maxmemory", LIMIT)
    events = Events()

    shut = threading.Event()

    def shrink() -> None:
        ask(own_server, "DEL", "tenant")
        fill(own_server, 0.8)
        shut.set()

    report = await load(
        own_server,
        source=held(SOURCE, 6, shut),  # so that there is a sample between two chunks
        settings=settings,
        hooks=(when_stored(3000, lambda: fill(own_server, 0.9)), when(GateMoved, shrink), events),
    )
    assert events.moves == [True, False]
    assert report.retries == 0
    ask(own_server, "DEL", "tenant")
    check_points(own_server, PSI)
    check_alone(own_server)


async def test_a_server_that_evicts_stored_data_is_refused_unless_forced(each_own_server: Server) -> None:
    ask(each_own_server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    error = await refusal(SOURCE, each_own_server)
    assert isinstance(error, OutOfMemory)
    assert "maxmemory-policy allkeys-lru evicts" in str(error)
    assert "configure_server=True sets maxmemory-policy noeviction" in str(error)
    assert contents(each_own_server) == {}
    events = Events()
    await load(each_own_server, force=True, hooks=(events,))
    assert any("allkeys-lru evicts" in warning for warning in events.warnings)
    check_points(each_own_server, PSI)


async def test_a_policy_that_evicts_ends_a_running_ingest_which_can_be_resumed(own_server: Server) -> None:
    spoil = when_stored(3000, lambda: ask(own_server, "CONFIG", "SET", "maxmemory-policy", "allkeys-random"))
    ended = threading.Event()
    try:
        error = await refusal(held(SOURCE, 6, ended), own_server, hooks=(spoil,), settings=QUICK)
    finally:
        ended.set()
    assert isinstance(error, OutOfMemory)
    assert "maxmemory-policy became allkeys-random" in str(error)
    assert published(own_server) is None
    ask(own_server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    await load(own_server, resume=True)
    check_points(own_server, PSI)


async def ingest_few(server: Server, **options: Any) -> None:
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(sources.array(wave(1, 5, 5, 5)), store, "few", **options)


async def test_the_server_is_configured_only_when_asked(each_own_server: Server) -> None:
    unfit = {"maxmemory": "0", "maxmemory-policy": "allkeys-lru", "hash-max-listpack-entries": "10000"}
    with each_own_server.plain as client:
        for name, value in unfit.items():
            client.config_set(name, value)
        machine = int(client.info("memory")["total_system_memory"])
        await ingest_few(each_own_server, force=True)
        assert {name: client.config_get(name)[name] for name in unfit} == unfit
        events = Events()
        await ingest_few(each_own_server, configure_server=True, overwrite=True, hooks=(events,))
        fit = {
            "maxmemory": str(machine * 3 // 4),
            "maxmemory-policy": "noeviction",
            "hash-max-listpack-entries": "512",
        }
        assert {name: client.config_get(name)[name] for name in fit} == fit
    notes = [event.text for event in events.all if isinstance(event, Noted)]
    assert sorted(notes) == sorted(f"set {name} {value}" for name, value in fit.items())


@pytest.fixture
def limited(each_own_server: Server) -> Iterator[Server]:
    """A server whose default user has no CONFIG, INFO or MEMORY; `admin` (password `all`) has everything."""
    ask(each_own_server, "ACL", "SETUSER", "admin", "on", ">all", "~*", "&*", "+@all")
    ask(each_own_server, "ACL", "SETUSER", "default", "-config", "-info", "-memory")
    yield each_own_server
    each_own_server.kill()


def as_admin(server: Server, *command: Any) -> Any:
    with server.plain as client:
        client.execute_command("AUTH", "admin", "all")
        return client.execute_command(*command)


async def test_a_user_without_config_info_and_memory_ingests_with_one_warning_each(limited: Server) -> None:
    events = Events()
    report = await load(limited, hooks=(events,), verify=True)
    assert sorted(warning.partition(":")[0] for warning in events.warnings) == [
        "the server forbids CONFIG", "the server forbids INFO", "the server forbids MEMORY"
    ]  # fmt: skip
    assert (report.durability, report.bytes_per_point) == ("unknown", None)
    check_points(limited, PSI)
    assert isinstance(await refusal(SOURCE, limited, configure_server=True, overwrite=True), Refused)


async def test_a_full_server_is_waited_for_without_info(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog_module, "BLIND_PAUSE", 0.05)
    as_admin(limited, "CONFIG", "SET", "maxmemory", LIMIT)
    free = when(GateMoved, lambda: ask(limited, "DEL", "tenant"))
    fills = when_stored(3000, lambda: ask(limited, "SETRANGE", "tenant", LIMIT, "x"))
    events = Events()
    await load(limited, hooks=(fills, free, events))
    assert events.moves[:2] == [True, False]
    check_points(limited, PSI)


async def test_a_permission_lost_on_the_way_ends_the_ingest_at_once(each_own_server: Server) -> None:
    lost: list[float] = []

    def lose() -> None:
        ask(each_own_server, "ACL", "SETUSER", "default", "-hset")
        lost.append(time.monotonic())

    events = Events()
    error = await refusal(SOURCE, each_own_server, hooks=(when_stored(3000, lose), events))
    assert time.monotonic() - lost[0] < qwf_async.Settings().deadline / 2  # it was not tried again till then
    assert isinstance(error, Refused)
    assert error.exit_code == 8
    assert "hset" in str(error).lower()
    assert not any(isinstance(event, Retried) for event in events.all)
    ask(each_own_server, "ACL", "SETUSER", "default", "+hset")
    # The claim could not be given up. It runs out; not waited for here.
    ask(each_own_server, "HSET", "qwf:{psi}:load", "owner_deadline", 0)
    await load(each_own_server, resume=True)
    check_points(each_own_server, PSI)


@pytest.mark.parametrize("what", ["{psi}:meta", "{psi}:load", "names"])
async def test_a_key_of_another_type_in_the_way_is_named_and_kept(each_server: Server, what: str) -> None:
    ask(each_server, "SET", f"qwf:{what}", "mine")
    error = await refusal(SOURCE, each_server)
    assert isinstance(error, Refused)
    assert error.exit_code == 8
    assert f"qwf:{what}" in str(error)
    assert contents(each_server) == {f"qwf:{what}".encode(): b"mine"}


@pytest.mark.parametrize("what", ["data", "journal"])
async def test_a_key_put_in_the_way_of_a_running_ingest_is_named_and_kept(
    each_server: Server, what: str
) -> None:
    put: list[str] = []

    def get_in_the_way() -> None:
        first = data_keys(each_server, of="load")[0]
        put.append(first.replace(".0}:s", ".11}:s" if what == "data" else ".11}:j"))
        ask(each_server, "SET", put[0], "mine")

    error = await refusal(SOURCE, each_server, hooks=(when_stored(3000, get_in_the_way),))
    assert isinstance(error, Refused)
    assert put[0] in str(error)
    assert ask(each_server, "GET", put[0]) == b"mine"
    assert published(each_server) is None
