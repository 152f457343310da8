"""What replicas confirm of a load before it is published, and primaries whose replication begins anew meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.journal import read_journal_over
from qwf_async.errors import DataLost, ServerUnavailable
from qwf_async.settings import Settings
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.loads import Events, ask, journalled, wave

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]
PSI = wave(5, 10, 10, 10)
SOURCE = sources.array(PSI)
QUICK = {"repl-diskless-sync-delay": "0", "repl-backlog-ttl": "1"}


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def replication(server: Server) -> dict[str, Any]:
    with server.plain as client:
        return dict(client.info("replication"))


def has_replica(primary: Server) -> bool:
    return bool(replication(primary).get("slave0", {}).get("state") == "online")


@contextmanager
def replica_of(primary: Server) -> Iterator[Server]:
    """A replica that is in step with its primary."""
    options = {"replicaof": f"127.0.0.1 {primary.options['port']}"}
    for replica in new_server(primary.software, **options):
        until(lambda: has_replica(primary))
        yield replica


@pytest.fixture(params=["valkey", "redis"])
def primary(request: pytest.FixtureRequest) -> Iterator[Server]:
    with free_port() as port:
        yield from new_server(request.param, port=str(port), bind="127.0.0.1", **QUICK)


def after_reading(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen once, after the journal was read to be published."""
    left = [happens]

    async def read(*arguments: Any) -> Any:
        entries = await read_journal_over(*arguments)
        if left:
            left.pop()()
        return entries

    monkeypatch.setattr("qwf_async.catalog.confirmation.read_journal_over", read)


async def test_the_report_says_that_a_replica_has_it(primary: Server) -> None:
    async with qwf_async.connect(primary.url) as store:
        report = await qwf_async.ingest(SOURCE, store, "alone")
        assert "repl" not in report.durability
        with replica_of(primary) as replica:
            report = await qwf_async.ingest(SOURCE, store, "psi", replicas=1)
            assert report.durability == "memory; replicated 1"
            assert replica.contents() == primary.contents()
            again = await qwf_async.ingest(SOURCE, store, "psi", resume=True, replicas=1)
            assert (again.already, again.durability) == (True, "memory; replicated 1")


async def test_a_replica_that_lags_is_a_reason_not_to_publish_if_it_was_asked_for(
    primary: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwf_async.catalog.confirmation.WAIT_TIME", 0.3)
    with replica_of(primary) as replica:
        replica.stop()
        async with qwf_async.connect(primary.url) as store:
            report = await qwf_async.ingest(SOURCE, store, "other")
            assert report.durability == "memory; not confirmed by replicas: a failover may lose it"
            with pytest.raises(
                ServerUnavailable, match="0 of 1 replicas have confirmed psi: nothing was publ"
            ):
                await qwf_async.ingest(SOURCE, store, "psi", replicas=1)
            assert not ask(primary, "EXISTS", "qwf:{psi}:meta")
            replica.go_on()
            monkeypatch.setattr("qwf_async.catalog.confirmation.WAIT_TIME", PATIENCE)
            report = await qwf_async.ingest(SOURCE, store, "psi", resume=True, replicas=1)
            assert report.resumed_chunks == 5
            assert report.durability == "memory; replicated 1"


async def test_a_user_who_may_not_wait_reads_of_no_confirmation(primary: Server) -> None:
    with replica_of(primary):
        ask(primary, "ACL", "SETUSER", "default", "-wait")
        async with qwf_async.connect(primary.url) as store:
            report = await qwf_async.ingest(SOURCE, store, "psi")
            assert report.durability == "memory; not confirmed by replicas: a failover may lose it"


async def test_without_replicas_none_can_confirm(primary: Server) -> None:
    async with qwf_async.connect(settings=Settings(url=primary.url, replicas=2)) as store:
        with pytest.raises(ServerUnavailable, match="0 of 2 replicas"):
            await qwf_async.ingest(SOURCE, store, "psi")
        report = await qwf_async.ingest(SOURCE, store, "psi", replicas=0, resume=True)
        assert report.durability == "memory"
        with pytest.raises(ServerUnavailable, match="0 of 2 replicas have confirmed psi; it is published"):
            await qwf_async.ingest(SOURCE, store, "psi", resume=True)


async def test_a_new_replication_id_alone_is_no_loss(
    primary: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes when a first replica comes, and when the last was gone for long."""
    events = Events()

    def gone_for_long() -> None:
        before = replication(primary)["master_replid"]
        replica.kill()
        until(lambda: replication(primary)["master_replid"] != before)
        assert replication(primary)["second_repl_offset"] == -1

    monkeypatch.setattr("qwf_async.catalog.confirmation.WAIT_TIME", 0.3)  # the replica is gone by then
    async with qwf_async.connect(primary.url) as store:
        with replica_of(primary) as replica:
            after_reading(monkeypatch, gone_for_long)
            await qwf_async.ingest(SOURCE, store, "psi", hooks=(events,))
        before = replication(primary)["master_replid"]
        with ExitStack() as later:
            after_reading(monkeypatch, lambda: later.enter_context(replica_of(primary)))
            await qwf_async.ingest(SOURCE, store, "phi", hooks=(events,))
        assert replication(primary)["master_replid"] != before
        assert events.warnings == []
        for name in ("psi", "phi"):
            assert np.array_equal(await (await store.open(name)).read[...], PSI)


async def test_what_is_lost_before_it_is_published_is_sent_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        generation = ask(server, "HGET", "qwf:{psi}:load", "generation").decode()
        for group in (1, 3):
            keys = [f"qwf:psi:{{{generation}.{group}}}:{ending}" for ending in "sj"]
            assert ask(server, "DEL", *keys) == 2
        assert journalled(server) == 3

    events = Events()
    read = qwf_async.catalog.load.Load.journal

    async def read_and_lose(load: Any) -> Any:
        entries = await read(load)
        if len(entries) == 5 and not lost:
            lose()
            lost.append(True)
        return entries

    lost: list[bool] = []
    monkeypatch.setattr(qwf_async.catalog.load.Load, "journal", read_and_lose)
    async with qwf_async.connect(server.url) as store:
        await qwf_async.ingest(SOURCE, store, "psi", hooks=(events,))
        assert np.array_equal(await (await store.open("psi")).read[...], PSI)
    assert events.warnings == ["2 chunks were lost before they were published: sent again"]


async def test_what_was_lost_after_it_was_published_is_said_when_the_ingest_is_repeated(
    server: Server,
) -> None:
    async with qwf_async.connect(server.url) as store:
        report = await qwf_async.ingest(SOURCE, store, "psi")
        ask(server, "DEL", f"qwf:psi:{{{report.generation}.2}}:j")
        with pytest.raises(DataLost, match=r"lost part of psi.*overwrite"):
            await qwf_async.ingest(SOURCE, store, "psi", resume=True)
