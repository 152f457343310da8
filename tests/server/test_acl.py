"""The users that `qwf server acl` prints: everything works with exactly their rights, and without a few of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import redis
from typer.testing import CliRunner

import qwf_async
from qwf_async import sources
from qwf_async.cli.server import server as commands
from qwf_async.errors import QwfError, Refused
from qwf_async.events import ServerSampled
from qwf_async.ingesting.estimation import estimate
from qwf_async.ingesting.verification import verify
from qwf_async.server.acl import READING, RESTORE, WRITING, reader, writer
from tests.conftest import PATIENCE, Server, new_server
from tests.support.loads import Enough, Events, ask, enough, wave, when_stored

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("small_chunks")]

PSI = wave(2, 10, 11, 12)
PASSWORD = "s:e@c/r%e#t ψ"


def printed(**environment: str) -> dict[str, list[str]]:
    """User → rules, as the command prints them."""
    result = CliRunner().invoke(commands, ["acl"], env=environment)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert {line[0] for line in lines} == {"user"}
    return {name: rules for _, name, *rules in lines}


def give_user(server: Server, name: str, *more: str) -> None:
    ask(server, "ACL", "SETUSER", name, *printed()[name], f">{PASSWORD}", *more)


def denials(server: Server) -> set[str]:
    """The commands that the server denied since it was asked last."""
    with server.plain as client:
        log = client.execute_command("ACL", "LOG")
        client.execute_command("ACL", "LOG", "RESET")
    entries = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in log]
    return {entry[b"object"].decode() for entry in entries}


@asynccontextmanager
async def store_of(server: Server, user: str) -> AsyncIterator[qwf_async.Store]:
    url = f"unix://{user}@{server.socket}"
    settings = qwf_async.Settings(url=url, password=PASSWORD, sample_interval=0.02, keep_interrupted=0)
    async with qwf_async.connect(settings=settings) as store:
        yield store


async def read_everything(store: qwf_async.Store, name: str, psi: Any) -> None:
    assert name in [entry.name for entry in await store.entries()]
    stored = await store.open(name)
    np.testing.assert_array_equal(await stored.read[...], psi)
    np.testing.assert_array_equal(await stored.read[0, 2:4, :, 3], psi[0, 2:4, :, 3])
    assert await stored.point(1, 2, 3, t=1) == psi[1, 1, 2, 3]
    np.testing.assert_array_equal(
        await stored.read_points([[1, 2, 3, 1], [9, 0, 0, 0]]), psi[[1, 0], [1, 9], [2, 0], [3, 0]]
    )
    info = await stored.info()
    assert info["encoding"]
    assert info["bytes_per_point"] > 8
    assert (await verify(store, name)).differing == []
    assert (await store.server_info())["used"]


@pytest.mark.parametrize(
    ("layout", "mode"), [("flat", "auto"), ("packed", "hset"), ("packed", "restore"), ("tile", "auto")]
)
async def test_everything_goes_with_exactly_the_rights_of_the_writer(
    each_own_server: Server, layout: str, mode: str
) -> None:
    give_user(each_own_server, "qwf")
    give_user(each_own_server, "qwf-reader")
    ask(each_own_server, "ACL", "LOG", "RESET")
    load = partial(qwf_async.ingest, sources.array(PSI), layout=layout, write_mode=mode)
    async with store_of(each_own_server, "qwf") as store:
        stop = when_stored(1000, enough)
        with pytest.raises(Enough):
            await load(store, "psi", hooks=(stop,))
        report = await load(store, "psi", resume=True, verify=True)
        assert report.points == PSI.size
        await read_everything(store, "psi", PSI)
        psi = await store.open("psi")
        await psi.update(1, 2, 3, 1, value=5)
        await psi.update_region((0, slice(0, 2)), PSI[0, 2:4])
        assert await psi.point(1, 2, 3, t=1) == 5
        await load(store, "psi", overwrite=True)
        async with store_of(each_own_server, "qwf-reader") as other:
            await read_everything(other, "psi", PSI)
        ask(each_own_server, "HSET", "qwf:{psi}:scratch", *range(10))
        with pytest.raises(Enough):
            await load(store, "left", hooks=(when_stored(1000, enough),))
        cleaned = await store.clean()
        assert (cleaned.scratch_fields, cleaned.abandoned_loads) == (5, 1)
        assert await estimate(sources.array(PSI), store)
        await store.remove("psi")
        await watched(store)
    # The CLI's `watch` and the engine's watchdog ask what `server_info` asks; CONFIG shows the server's passwords,
    # and the slow log, for which only `watch` asks, what others have written.
    assert denials(each_own_server) == {"config|get", "slowlog|get"}
    assert set(each_own_server.contents()) <= {b"qwf:names"}


async def watched(store: qwf_async.Store) -> None:
    """Run the watching of a server until its first look."""
    from qwf_async.ingesting.watch_server import watch_server

    class Seen(Exception):
        pass

    def hook(event: object) -> None:
        if isinstance(event, ServerSampled):
            raise Seen

    with anyio.fail_after(PATIENCE), pytest.raises(Seen):
        await watch_server(store, hooks=(hook,))


async def test_the_reader_changes_nothing_and_neither_user_leaves_the_prefix(each_own_server: Server) -> None:
    give_user(each_own_server, "qwf")
    give_user(each_own_server, "qwf-reader")
    async with store_of(each_own_server, "qwf") as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi")
    ask(each_own_server, "SET", "theirs", "x")
    before = each_own_server.contents()
    async with store_of(each_own_server, "qwf-reader") as store:
        psi = await store.open("psi")
        attempts: list[Callable[[], Any]] = [
            lambda: qwf_async.ingest(sources.array(PSI), store, "more"),
            lambda: qwf_async.ingest(sources.array(PSI), store, "psi", overwrite=True),
            lambda: psi.update(1, value=2),
            lambda: store.remove("psi"),
        ]
        for attempt in attempts:
            with pytest.raises(Refused, match="permission") as refused:
                await attempt()
            assert PASSWORD not in str(refused.value)
    assert each_own_server.contents() == before
    with redis.Redis(
        unix_socket_path=str(each_own_server.socket), username="qwf", password=PASSWORD
    ) as client:
        for command in (
            ["GET", "theirs"], ["HGETALL", "theirs"], ["DEL", "theirs"], ["HSET", "theirs", "a", "b"],
            ["EVAL", "return redis.call('HGETALL', 'theirs')", 0], ["CONFIG", "GET", "requirepass"], ["KEYS", "*"],
            ["FLUSHALL"], ["ACL", "LIST"], ["SCAN", 0], ["SHUTDOWN"], ["HGETALL", "qwfx:names"],
            ["SUBSCRIBE", "x"], ["MONITOR"], ["CLIENT", "LIST"], ["DEBUG", "SLEEP", 0],
        ):  # fmt: skip
            with pytest.raises(redis.exceptions.ResponseError):
                client.execute_command(*command)
    assert each_own_server.contents() == before


async def test_no_right_of_the_writer_is_one_too_many(own_server: Server) -> None:
    """If any one right is missing, its command is denied, and the user reads of a refusal or of nothing."""
    small = sources.array(PSI[:1, :4])
    told: dict[str, QwfError] = {}
    for command in (*READING, *WRITING, *RESTORE):
        ask(own_server, "FLUSHALL")
        give_user(own_server, "qwf", f"-{command}")
        ask(own_server, "ACL", "LOG", "RESET")
        try:
            async with store_of(own_server, "qwf") as store:
                await qwf_async.ingest(small, store, "psi", layout="packed")
                psi = await store.open("psi")
                await psi.update(1, value=2)
                await psi.info()
                await psi.read[...]
                await psi.read_points([[1, 2, 3, 0]])
                ask(own_server, "HSET", "qwf:{psi}:scratch", "a", "b")
                await store.clean()
                await estimate(small, store)
                await store.remove("psi")
        except QwfError as error:
            told[command] = error
        assert command in denials(own_server)
    assert {*READING} - {"info", "memory|usage", "dump"} <= told.keys()
    for said in told.values():
        assert isinstance(said, Refused)
        assert "permission" in str(said)


async def test_without_info_config_and_restore_there_is_one_warning_each(each_own_server: Server) -> None:
    give_user(each_own_server, "qwf", "-info", "-restore")
    events = Events()
    async with store_of(each_own_server, "qwf") as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", layout="packed", hooks=(events,))
        np.testing.assert_array_equal(await (await store.open("psi")).read[...], PSI)
    notes = [event.text.partition(":")[0] for event in events.all if hasattr(event, "text")]
    assert sorted(notes) == [
        "the server forbids CONFIG", "the server forbids INFO", "writing by HSET, which is slower than RESTORE",
    ]  # fmt: skip


@pytest.mark.parametrize("software", ["valkey", "redis"])
def test_what_is_printed_is_an_acl_file(software: str, tmp_path: Path) -> None:
    assert printed(QWF_PREFIX="lab.1") == {"qwf": writer("lab.1"), "qwf-reader": reader("lab.1")}
    lines = [f"user {name} {' '.join(rules)} >{PASSWORD[:5]}\n" for name, rules in printed().items()]
    (tmp_path / "users.acl").write_text("".join(lines))
    for server in new_server(software, aclfile=str(tmp_path / "users.acl")):
        with redis.Redis(
            unix_socket_path=str(server.socket), username="qwf", password=PASSWORD[:5]
        ) as client:
            assert client.ping()
