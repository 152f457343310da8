"""How layout packed is written: by RESTORE where that works, by HSET where it does not, and what the user is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import qwf_async
from qwf_async.cli.app import app
from qwf_async.errors import Refused, UsageError
from qwf_async.events import Noted
from qwf_async.wire import listpack
from tests.conftest import Server, new_server
from tests.support.loads import Events, ask, contents, refusal, wave

pytestmark = pytest.mark.anyio

SHAPE = (1, 8, 16, 25)
BUCKETS = 25


@pytest.fixture
def limited(each_server: Server) -> Iterator[str]:
    """The URL of a user who may do all but RESTORE."""
    ask(each_server, "ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", "-restore")
    yield f"unix://limited:pw@{each_server.socket}"
    ask(each_server, "ACL", "DELUSER", "limited")


@pytest.fixture(params=["valkey", "redis"])
def strict_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that makes hash tables of more than 64 fields."""
    yield from new_server(request.param, **{"hash-max-listpack-entries": "64"})


def encodings(server: Server) -> set[bytes]:
    with server.plain as client:
        keys = client.keys("qwf:psi:*")
        assert len(keys) == BUCKETS  # and none of the trial
        return {client.object("encoding", key) for key in keys}


def calls(server: Server, command: str) -> int:
    """How often the server was given a command since its statistics were reset."""
    with server.plain as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def load(url: str, events: Events, **options: object) -> qwf_async.Report:
    async with qwf_async.connect(url) as store:
        source = qwf_async.sources.array(wave(*SHAPE))
        return await qwf_async.ingest(
            source,
            store,
            "psi",
            layout="packed",
            verify=True,
            hooks=(events,),
            **options,  # type: ignore[arg-type] # options of ingest
        )


def notes(events: Events) -> list[str]:
    return [event.text for event in events.all if isinstance(event, Noted)]


async def test_auto_restores_where_it_can_after_one_trial(each_server: Server) -> None:
    ask(each_server, "CONFIG", "RESETSTAT")
    events = Events()
    await load(each_server.url, events)
    assert calls(each_server, "restore") == BUCKETS + 1
    assert not [text for text in notes(events) if "RESTORE" in text]
    assert encodings(each_server) == {b"listpack"}


async def test_hset_never_tries_restore(each_server: Server) -> None:
    ask(each_server, "CONFIG", "RESETSTAT")
    await load(each_server.url, Events(), write_mode="hset")
    assert calls(each_server, "restore") == 0
    assert encodings(each_server) == {b"listpack"}


async def test_auto_falls_back_where_restore_is_not_permitted(each_server: Server, limited: str) -> None:
    events = Events()
    await load(limited, events)
    (text,) = [text for text in notes(events) if "RESTORE" in text]
    assert text.startswith("writing by HSET")
    assert "permission" in text
    assert encodings(each_server) == {b"listpack"}


async def test_auto_falls_back_where_the_payload_is_not_known(
    each_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listpack, "RDB_VERSION", 79)
    events = Events()
    await load(each_server.url, events)
    (text,) = [text for text in notes(events) if "RESTORE" in text]
    assert "version" in text
    assert encodings(each_server) == {b"listpack"}


@pytest.mark.usefixtures("time_to_settle")
async def test_restore_that_is_refused_is_an_error_and_leaves_nothing(
    each_server: Server, limited: str
) -> None:
    with pytest.raises(Refused, match="RESTORE"):
        await load(limited, Events(), write_mode="restore")
    assert contents(each_server) == {}


async def test_a_limit_below_a_bucket_is_said_and_cured_when_asked(strict_server: Server) -> None:
    events = Events()
    await load(strict_server.url, events)
    (warning,) = [text for text in events.warnings if "listpack" in text]
    assert "hash-max-listpack-entries 64 is below the 128 points" in warning
    assert "memory" in warning
    assert "configure_server=True sets hash-max-listpack-entries 128" in warning
    assert b"hashtable" in encodings(strict_server)

    error = await refusal(
        qwf_async.sources.array(wave(*SHAPE)),
        strict_server,
        layout="packed",
        write_mode="restore",
        overwrite=True,
    )
    assert isinstance(error, Refused)
    assert "hash-max-listpack-entries" in str(error)

    await load(strict_server.url, Events(), overwrite=True, configure_server=True)
    assert encodings(strict_server) == {b"listpack"}


@pytest.mark.parametrize(("codec", "warned"), [("c16", True), ("c8", False)])
async def test_a_limit_below_a_value_is_said(own_server: Server, codec: str, warned: bool) -> None:
    ask(own_server, "CONFIG", "SET", "hash-max-listpack-value", "8")
    events = Events()
    await load(own_server.url, events, codec=codec)
    assert bool([text for text in events.warnings if "hash-max-listpack-value 8" in text]) == warned


@pytest.mark.parametrize(
    ("layout", "mode", "says"),
    [("packed", "fast", "unknown write mode 'fast'"), ("flat", "restore", "goes with layout packed")],
)
async def test_a_mode_that_cannot_be_is_refused(server: Server, layout: str, mode: str, says: str) -> None:
    error = await refusal(qwf_async.sources.array(wave(*SHAPE)), server, layout=layout, write_mode=mode)
    assert isinstance(error, UsageError)
    assert says in str(error)
    assert contents(server) == {}


@pytest.mark.parametrize("mode", ["auto", "hset", "restore"])
def test_the_command_line_writes_in_every_mode(server: Server, mode: str) -> None:
    ask(server, "CONFIG", "RESETSTAT")
    arguments = [
        "ingest", "gaussian", "--grid", "12", "--layout", "packed", "--write-mode", mode,
        "--url", server.url, "--json", "--quiet",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["points"] == 12**3
    assert (calls(server, "restore") > 0) == (mode != "hset")
