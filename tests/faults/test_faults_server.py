"""Servers that take back a permission or a password, forbid much, turn replica, or are busy; bad input by command.

What is stored is read by plain redis-py and compared with the source bit for bit.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest
import redis

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import QwfError, Refused
from qwf_async.events import Event, Noted, Retried
from qwf_async.lattice.plan import RangePlan
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.command import Shell
from tests.support.ingests import CHUNKS, Place, new_place
from tests.support.loads import (
    Events,
    ask,
    check_alone,
    check_points,
    claim_over,
    contents,
    published,
    wave,
    when_stored,
)

ONE_LOOP = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["asyncio+uvloop"]
)
"""For tests of what servers do, which takes its time: the other tests show that the loops are alike."""

PSI = wave(6, 10, 10, 10)
SECRET = "open-sesame"
CHUNK_REQUESTS = 65
"""HSETs in a chunk of a `Place`: 33,000 points, 512 in each."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from new_place(tmp_path_factory)


@pytest.fixture
def small_plans(small_chunks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans with many chunks for every layout."""
    cut = RangePlan.cut
    monkeypatch.setattr(
        RangePlan, "cut", staticmethod(lambda shape, unit: cut(shape, points=1024, unit=unit))
    )


@contextmanager
def user(server: Server, name: str, *rules: str) -> Iterator[str]:
    """A user with the password SECRET, who may do all but for the rules: the URL without the password."""
    ask(server, "ACL", "SETUSER", name, "reset", "on", f">{SECRET}", "~*", "&*", "+@all", *rules)
    try:
        yield f"unix://{name}@{server.socket}"
    finally:
        ask(server, "ACL", "DELUSER", name)


def forbid(server: Server, name: str) -> None:
    ask(server, "ACL", "SETUSER", name, "-hset")


def rotate(server: Server, name: str) -> None:
    """Another password; and as those who are in would stay in, they are thrown out."""
    ask(server, "ACL", "SETUSER", name, "resetpass", ">new")
    ask(server, "CLIENT", "KILL", "USER", name)


def commands(server: Server) -> dict[str, dict[str, int]]:
    with server.plain as client:
        return dict(client.info("commandstats"))


TAKEN: dict[str, tuple[Callable[[Server, str], None], str, Callable[[Server, str], None], str]] = {
    "permission": (
        forbid,
        r"this user lacks a permission.*'?hset'?",
        lambda server, name: ask(server, "ACL", "SETUSER", name, "+hset"),
        SECRET,
    ),
    "password": (
        rotate,
        "does not accept this user name and password",
        lambda server, name: None,
        "new",
    ),
}
"""What is taken away in mid-run: how, what is said then, how it is given back, and the password from then on."""


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken_away_in_mid_run_ends_the_command_at_once_and_it_is_resumed(
    place: Place, what: str
) -> None:
    """At once: it is not tried again until the deadline, which is an hour away."""
    take, says, give_back, password = TAKEN[what]
    with user(place.server, "loader") as url:
        shell = place.shell.having(QWF_URL=url, QWF_PASSWORD=SECRET, QWF_DEADLINE="3600")
        here = replace(place, shell=shell)
        with here.begin_held(what, 2) as begun:
            here.wait_for_load(what, 2)
            ask(place.server, "CONFIG", "RESETSTAT")
            take(place.server, "loader")
            here.let(what, CHUNKS)
            outcome = begun.end()
        seen = commands(place.server)
        assert outcome.status == 8, outcome.err
        assert re.search(f"{says}.*--resume.*exit 8", outcome.lines[-1]), outcome.err
        assert "Traceback" not in outcome.err
        assert SECRET not in outcome.err + outcome.out
        # At most four batches were under way, each sent twice to learn which key is refused; a few calls besides.
        rejected = sum(one.get("rejected_calls", 0) for one in seen.values())
        assert rejected <= 4 * 2 * CHUNK_REQUESTS + 10
        assert seen.get("cmdstat_auth", {"calls": 0})["calls"] <= 10
        with place.server.plain as client:
            assert not client.exists(f"qwf:{{{what}}}:meta")
        give_back(place.server, "loader")
        here = replace(here, shell=shell.having(QWF_PASSWORD=password))
        resumed = here.ingest_held(what, "--resume", "--json", "--quiet")
        assert resumed.status == 0, resumed.err
    place.check_whole(what)


@pytest.mark.anyio
@ONE_LOOP
@pytest.mark.usefixtures("small_plans")
@pytest.mark.parametrize("what", TAKEN)
async def test_what_is_taken_away_in_mid_run_is_final_on_either_server(
    each_server: Server, what: str
) -> None:
    take, says, give_back, password = TAKEN[what]
    with user(each_server, "loader") as url:

        async def load(known: str, **options: Any) -> qwf_async.Report:
            settings = Settings(url=url, password=known, ownership_ttl=1.0, deadline=3600)
            async with qwf_async.connect(settings=settings) as store:
                return await qwf_async.ingest(sources.array(PSI), store, "psi", **options)

        with pytest.raises(Refused, match=f"{says}.*resume=True"):
            await load(SECRET, hooks=[when_stored(2000, lambda: take(each_server, "loader"))])
        assert published(each_server) is None
        give_back(each_server, "loader")
        await claim_over(each_server)  # this process may not have been allowed to give it up
        report = await load(password, resume=True)
        assert report.resumed_chunks >= 2
    check_points(each_server, PSI)
    check_alone(each_server)


@pytest.mark.anyio
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_forbids_much_is_used_with_less_and_one_word_on_each(each_server: Server) -> None:
    events = Events()
    with user(each_server, "poor", "-config", "-info", "-memory", "-restore") as url:
        settings = Settings(url=url, password=SECRET, sample_interval=0.01)
        async with qwf_async.connect(settings=settings) as store:
            source = sources.array(PSI)
            report = await qwf_async.ingest(
                source, store, "psi", layout="packed", verify=True, max_rate=20_000.0, hooks=[events]
            )
            assert np.array_equal(await (await store.open("psi")).read[:], PSI)
    notes = sorted(event.text for event in events.all if isinstance(event, Noted))
    assert [re.sub("[:,].*", "", note) for note in notes] == [
        "the server forbids CONFIG",
        "the server forbids INFO",
        "the server forbids MEMORY",
        "writing by HSET",
    ]
    assert (report.durability, report.bytes_per_point) == ("unknown", None)
    with each_server.plain as client:
        held = {key: client.hgetall(key) for key in client.scan_iter("qwf:psi:*")}
    flat = PSI.tobytes()
    generation = published(each_server)
    for i in range(PSI.size):
        bucket = held[f"qwf:psi:{generation}:b{i // 128}".encode()]
        assert bucket[b"%d" % (i % 128)] == flat[16 * i : 16 * i + 16]
    assert sum(map(len, held.values())) == PSI.size


@pytest.mark.anyio
@pytest.mark.usefixtures("small_plans")
@pytest.mark.parametrize(
    ("layout", "key"),
    [("packed", "qwf:psi:{}:b40"), ("tile", "qwf:psi:{}:t5.0"), ("flat", "qwf:{{psi}}:journal:{}")],
)
async def test_a_key_of_another_type_that_comes_in_the_way_is_named_and_left_alone(
    server: Server, layout: str, key: str
) -> None:
    found: list[str] = []

    def put() -> None:
        generation = ask(server, "HGET", "qwf:{psi}:load", "generation").decode()
        found.append(key.format(generation))
        ask(server, "UNLINK", found[0])  # there is a journal already
        ask(server, "SET", found[0], "somebody else's")

    async def load(**options: Any) -> None:
        async with qwf_async.connect(server.url) as store:
            source = sources.array(PSI)
            await qwf_async.ingest(
                source, store, "psi", layout=layout, write_mode="hset", writers=1, **options
            )
            assert np.array_equal(await (await store.open("psi")).read[:], PSI)

    with pytest.raises(Refused, match="a key of another type is in the way") as raised:
        await load(hooks=[when_stored(1000, put)])
    assert found[0] in str(raised.value)
    assert ask(server, "GET", found[0]) == b"somebody else's"
    assert published(server) is None
    ask(server, "DEL", found[0])
    await load(resume=True)


@pytest.fixture(params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica, in step."""
    start = partial(new_server, request.param, **{"repl-diskless-sync-delay": "0", "bind": "127.0.0.1"})
    with free_port() as one, free_port() as other:
        for primary in start(port=str(one)):
            for replica in start(port=str(other)):
                follow(replica, primary)
                wait_in_step(replica)
                yield primary, replica


def follow(replica: Server, primary: Server) -> None:
    ask(replica, "REPLICAOF", "127.0.0.1", primary.options["port"])


def wait_in_step(replica: Server) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with replica.plain as client:
            try:
                if client.info("replication").get("master_link_status") == "up":
                    return
            except redis.exceptions.BusyLoadingError:
                pass
        time.sleep(0.02)
    raise AssertionError(f"{replica.url} is not in step after {PATIENCE:g} s")


def change_over(primary: Server, replica: Server) -> None:
    """The replica becomes the primary, with the load and perhaps less of its data than the primary had."""
    with primary.plain as client:
        client.hset("qwf:mark", "x", 1)
        client.delete("qwf:mark")
        assert client.wait(1, int(1000 * PATIENCE)) == 1
    ask(replica, "REPLICAOF", "NO", "ONE")
    follow(primary, replica)


@pytest.mark.anyio
@ONE_LOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_becomes_a_replica_and_primary_again_is_given_the_rest(
    pair: tuple[Server, Server],
) -> None:
    one, other = pair
    swapped = threading.Event()

    def swap() -> None:
        change_over(one, other)
        swapped.set()

    def swap_back() -> None:
        assert swapped.wait(PATIENCE)
        wait_in_step(one)
        time.sleep(0.3)
        ask(one, "REPLICAOF", "NO", "ONE")

    async with qwf_async.connect(one.url) as store, anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, swap_back)
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=[when_stored(2000, swap)])
    check_points(one, PSI)
    check_alone(one)


@pytest.mark.anyio
@ONE_LOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_stays_a_replica_is_given_up_in_time(pair: tuple[Server, Server]) -> None:
    """It stays so until then: nothing but the deadline ends this."""
    one, other = pair

    def swap() -> None:
        change_over(one, other)

    settings = Settings(url=one.url, deadline=1.0, ownership_ttl=1.0)
    async with qwf_async.connect(settings=settings) as store:
        with pytest.raises(QwfError) as raised:
            await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=[when_stored(2000, swap)])
    assert raised.value.exit_code in (3, 6)
    assert "resume" in str(raised.value)
    assert published(one) is None
    # The primary has what the replica had: there the load goes on.
    await claim_over(other)
    async with qwf_async.connect(other.url) as store:
        await qwf_async.ingest(sources.array(PSI), store, "psi", resume=True)
    check_points(other, PSI)
    check_alone(other)


@pytest.fixture(params=["valkey", "redis"])
def impatient_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that says BUSY once a script has run for 50 ms."""
    yield from new_server(request.param, **{"busy-reply-threshold": "50"})


@pytest.mark.anyio
@ONE_LOOP
@pytest.mark.usefixtures("small_plans")
async def test_a_server_that_is_busy_with_a_script_is_waited_for(impatient_server: Server) -> None:
    waited_for, killed = threading.Event(), threading.Event()

    def loop() -> None:
        with impatient_server.plain as client, pytest.raises(redis.exceptions.ResponseError, match="killed"):
            client.eval("while true do end", 0)

    def end() -> None:
        assert waited_for.wait(PATIENCE)
        killed.set()
        ask(impatient_server, "SCRIPT", "KILL")

    threads = [threading.Thread(target=loop), threading.Thread(target=end)]

    def occupy() -> None:
        for thread in threads:
            thread.start()
        with suppress(redis.exceptions.ResponseError):  # BUSY
            while not waited_for.wait(0.01):
                ask(impatient_server, "PING")

    def hook(event: Event) -> None:
        if isinstance(event, Retried):
            waited_for.set()

    async with qwf_async.connect(impatient_server.url) as store:
        hooks = [when_stored(2000, occupy), hook]
        await qwf_async.ingest(sources.array(PSI), store, "psi", hooks=hooks)
        assert killed.is_set()
    for thread in threads:
        thread.join()
    check_points(impatient_server, PSI)
    check_alone(impatient_server)


BAD: dict[str, tuple[list[str], str]] = {
    "a name with a space": (["psi.npy", "--name", "a b"], "name 'a b' may hold only"),
    "a directory": (["folder.npy"], "folder.npy"),
    "a header that promises too much": (["boastful.npy"], "boastful.npy is cut short"),
    "values with fields": (["fields.npy"], "fields.npy holds records of mass, spin"),
    "not a number, late, in buckets": (
        ["late.npy", "--layout", "packed", "--name", "late-in-buckets"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
    "not a number, late, in tiles": (
        ["late.npy", "--layout", "tile", "--name", "late-in-tiles"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
    "not a number, late, in place of what is stored": (
        ["late.npy", "--name", "kept", "--overwrite"],
        "NaN or infinity, first at t = 0, x = 5",
    ),
}


def test_bad_input_is_one_line_and_exit_code_7_and_leaves_the_server_as_it_was(
    own_server: Server, place: Place, tmp_path: Path
) -> None:
    psi = np.load(place.shell.directory / "psi.npy")
    assert len(psi) == CHUNKS
    np.save(tmp_path / "psi.npy", psi[0, :, :100])
    psi[5, 0, 32_999] = np.nan
    np.save(tmp_path / "late.npy", psi)
    (tmp_path / "folder.npy").mkdir()
    with (tmp_path / "boastful.npy").open("wb") as file:
        header = {"descr": "<c16", "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(160))
    np.save(tmp_path / "fields.npy", np.zeros(3, [("mass", float), ("spin", int)]))
    ask(own_server, "CONFIG", "SET", "maxmemory", "1gb")  # or ingest would say that there is no limit
    ask(own_server, "SET", "another's", "value")
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    assert shell.qwf("ingest", "psi.npy", "--name", "kept").status == 0
    before, keys = contents(own_server), ask(own_server, "DBSIZE")

    outcomes = shell.several([(["ingest", *line], {}) for line, _ in BAD.values()])
    for (case, (_, says)), outcome in zip(BAD.items(), outcomes, strict=True):
        assert outcome.status == 7, (case, outcome)
        assert re.search(re.escape(says), outcome.err), (case, outcome)
        assert len(outcome.lines) == 1, (case, outcome)
        assert outcome.err.endswith("(exit 7)\n")
        assert outcome.out == ""
    assert ask(own_server, "DBSIZE") == keys
    assert contents(own_server) == before
