"""Servers that take back a permission or a password in mid-run, forbid much, or hold a foreign key.

What is stored is read by plain redis-py and compared with the source bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import Refused
from qwf_async.events import Noted
from tests.conftest import Server
from tests.support.ingest_rig import CHUNKS, Rig
from tests.support.loads import (
    Events,
    ask,
    check_alone,
    check_points,
    claim_over,
    published,
    wave,
    when_stored,
)
from tests.support.loops import ON_UVLOOP

PSI = wave(6, 10, 10, 10)
CHUNK_POINTS = 1024
"""Points of a chunk of layout packed."""


SECRET = "open-sesame"


CHUNK_REQUESTS = 65
"""HSETs in a chunk of a `Rig`: 33,000 points, 512 in each."""


@contextmanager
def user(server: Server, name: str, *rules: str) -> Iterator[str]:
    """The URL, without its password SECRET, of a user who may do all except for the rules."""
    ask(server, "ACL", "SETUSER", name, "reset", "on", f">{SECRET}", "~*", "&*", "+@all", *rules)
    try:
        yield f"unix://{name}@{server.socket}"
    finally:
        ask(server, "ACL", "DELUSER", name)


def forbid(server: Server, name: str) -> None:
    ask(server, "ACL", "SETUSER", name, "-hset")


def rotate(server: Server, name: str) -> None:
    """Change the password, and close the connections of the user, which would stay open."""
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
    rig: Rig, what: str
) -> None:
    """The command ends at once: the deadline, an hour away, is not waited for."""
    take, says, give_back, password = TAKEN[what]
    with user(rig.server, "loader") as url:
        shell = rig.shell.having(QWF_URL=url, QWF_PASSWORD=SECRET, QWF_DEADLINE="3600")
        here = replace(rig, shell=shell)
        with here.begin_held(what, 2) as begun:
            here.wait_for_load(what, 2)
            ask(rig.server, "CONFIG", "RESETSTAT")
            take(rig.server, "loader")
            here.let(what, CHUNKS)
            outcome = begun.end()
        seen = commands(rig.server)
        assert outcome.status == 8, outcome.err
        assert re.search(f"{says}.*--resume.*exit 8", outcome.lines[-1]), outcome.err
        assert "Traceback" not in outcome.err
        assert SECRET not in outcome.err + outcome.out
        # At most four batches were under way, each sent twice to learn which key is refused; a few calls besides.
        rejected = sum(one.get("rejected_calls", 0) for one in seen.values())
        assert rejected <= 4 * 2 * CHUNK_REQUESTS + 10
        assert seen.get("cmdstat_auth", {"calls": 0})["calls"] <= 10
        with rig.server.plain as client:
            assert not client.exists(f"qwf:{{{what}}}:meta")
        give_back(rig.server, "loader")
        here = replace(here, shell=shell.having(QWF_PASSWORD=password))
        resumed = here.ingest_held(what, "--resume", "--json", "--quiet")
        assert resumed.status == 0, resumed.err
    rig.check_whole(what)


@pytest.mark.anyio
@ON_UVLOOP
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
        held = {key: client.hgetall(key) for key in client.scan_iter("qwf:psi:*:b*")}
    flat = PSI.tobytes()
    generation = published(each_server)
    for i in range(PSI.size):
        bucket = held[f"qwf:psi:{{{generation}.{i // CHUNK_POINTS}}}:b{i // 128}".encode()]
        assert bucket[b"%d" % (i % 128)] == flat[16 * i : 16 * i + 16]
    assert sum(map(len, held.values())) == PSI.size


@pytest.mark.anyio
@pytest.mark.usefixtures("small_plans")
@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("packed", "qwf:psi:{%s.5}:b40"),
        ("tile", "qwf:psi:{%s.45}:t"),
        ("flat", "qwf:psi:{%s.5}:s"),
        ("flat", "qwf:psi:{%s.5}:j"),
    ],
)
async def test_a_key_of_another_type_that_comes_in_the_way_is_named_and_left_alone(
    server: Server, layout: str, key: str
) -> None:
    found: list[str] = []

    def put() -> None:
        generation = ask(server, "HGET", "qwf:{psi}:load", "generation").decode()
        found.append(key % generation)
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
