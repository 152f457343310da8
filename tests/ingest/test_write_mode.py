"""How layouts flat and packed are written: by RESTORE where it works, else by HSET, and what the user is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

import qwf_async
from qwf_async.cli.app import app
from qwf_async.errors import Refused, UsageError
from qwf_async.events import Noted
from qwf_async.wire import hash_payload, listpack
from tests.conftest import Server, new_server
from tests.support.loads import Events, ask, contents, refusal, wave

pytestmark = pytest.mark.anyio

SHAPE = (1, 8, 16, 25)
HASHES = {"packed": 25, "flat": 1}
ENCODING = {"packed": b"listpack", "flat": b"hashtable"}
layouts = pytest.mark.parametrize("layout", ["packed", "flat"])


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


def encodings(server: Server, layout: str = "packed") -> set[bytes]:
    with server.plain as client:
        keys = [key for key in client.keys("qwf:psi:*") if not key.endswith(b":j")]
        assert len(keys) == HASHES[layout]  # and none of the trial
        return {client.object("encoding", key) for key in keys}


def calls(server: Server, command: str) -> int:
    """How often the server was given a command since its statistics were reset."""
    with server.plain as client:
        return int(client.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def load(url: str, events: Events, layout: str = "packed", **options: object) -> qwf_async.Report:
    async with qwf_async.connect(url) as store:
        source = qwf_async.sources.array(wave(*SHAPE))
        return await qwf_async.ingest(
            source,
            store,
            "psi",
            layout=layout,
            verify=True,
            hooks=(events,),
            **options,  # type: ignore[arg-type] # options of ingest
        )


def notes(events: Events) -> list[str]:
    return [event.text for event in events.all if isinstance(event, Noted)]


@layouts
async def test_auto_restores_where_it_can_after_one_trial(each_server: Server, layout: str) -> None:
    ask(each_server, "CONFIG", "RESETSTAT")
    events = Events()
    await load(each_server.url, events, layout)
    assert calls(each_server, "restore") == HASHES[layout] + 1
    assert not [text for text in notes(events) if "RESTORE" in text]
    assert encodings(each_server, layout) == {ENCODING[layout]}


@layouts
async def test_hset_never_tries_restore(each_server: Server, layout: str) -> None:
    ask(each_server, "CONFIG", "RESETSTAT")
    await load(each_server.url, Events(), layout, write_mode="hset")
    assert calls(each_server, "restore") == 0
    assert encodings(each_server, layout) == {ENCODING[layout]}


@layouts
async def test_auto_falls_back_where_restore_is_not_permitted(
    each_server: Server, limited: str, layout: str
) -> None:
    events = Events()
    await load(limited, events, layout)
    (text,) = [text for text in notes(events) if "RESTORE" in text]
    assert text.startswith("writing by HSET")
    assert "permission" in text
    assert encodings(each_server, layout) == {ENCODING[layout]}


@layouts
async def test_auto_falls_back_where_the_payload_is_not_known(
    each_server: Server, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    monkeypatch.setattr({"packed": listpack, "flat": hash_payload}[layout], "RDB_VERSION", 79)
    events = Events()
    await load(each_server.url, events, layout)
    (text,) = [text for text in notes(events) if "RESTORE" in text]
    assert "version" in text
    assert encodings(each_server, layout) == {ENCODING[layout]}


@layouts
@pytest.mark.usefixtures("time_to_settle")
async def test_restore_that_is_refused_is_an_error_and_leaves_nothing(
    each_server: Server, limited: str, layout: str
) -> None:
    with pytest.raises(Refused, match="RESTORE"):
        await load(limited, Events(), layout, write_mode="restore")
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
    [
        ("packed", "fast", "unknown write mode 'fast'"),
        ("tile", "restore", "goes with layout flat or packed, not tile"),
    ],
)
async def test_a_mode_that_cannot_be_is_refused(server: Server, layout: str, mode: str, says: str) -> None:
    error = await refusal(qwf_async.sources.array(wave(*SHAPE)), server, layout=layout, write_mode=mode)
    assert isinstance(error, UsageError)
    assert says in str(error)
    assert contents(server) == {}


async def test_one_hash_for_all_is_written_by_hset(server: Server) -> None:
    ask(server, "CONFIG", "RESETSTAT")
    await load(server.url, Events(), "flat", slab="all")
    assert calls(server, "restore") == 0
    source = qwf_async.sources.array(wave(*SHAPE))
    error = await refusal(source, server, slab="all", write_mode="restore", overwrite=True)
    assert isinstance(error, UsageError)
    assert "does not go with slab='all'" in str(error)


@pytest.mark.parametrize("setting", ["proto-max-bulk-len", "client-query-buffer-limit"])
async def test_a_slab_that_is_too_large_a_request_is_written_by_hset(
    each_own_server: Server, setting: str
) -> None:
    ask(each_own_server, "CONFIG", "SET", setting, str(1 << 20))
    source, slab = qwf_async.sources.array(wave(1, 4, 128, 128)), (1, 2, 128, 128)
    events = Events()
    settings = qwf_async.Settings(url=each_own_server.url, deadline=30)
    async with qwf_async.connect(settings=settings) as store:
        await qwf_async.ingest(source, store, "psi", slab=slab, verify=True, hooks=(events,))
        (text,) = [text for text in notes(events) if "RESTORE" in text]
        assert text.startswith("writing by HSET")
        assert "takes no RESTORE of 1," in text
        assert setting in text
        await qwf_async.ingest(source, store, "small", write_mode="restore", verify=True)
    error = await refusal(source, each_own_server, slab=slab, write_mode="restore", overwrite=True)
    assert isinstance(error, Refused)
    assert setting in str(error)


@layouts
@pytest.mark.parametrize("mode", ["auto", "hset", "restore"])
def test_the_command_line_writes_in_every_mode(server: Server, mode: str, layout: str) -> None:
    ask(server, "CONFIG", "RESETSTAT")
    arguments = [
        "ingest", "gaussian", "--grid", "12", "--layout", layout, "--write-mode", mode,
        "--url", server.url, "--json", "--quiet",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["points"] == 12**3
    assert (calls(server, "restore") > 0) == (mode != "hset")
