"""A password is never shown, whichever way it is given and whatever fails."""

from __future__ import annotations

import json
import os
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

import qwf_async
from qwf_async.client.address import Address
from qwf_async.errors import QwfError, UsageError
from qwf_async.store.connecting import pool_to
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.command import Begun, Shell
from tests.support.loads import ask, wave

PASSWORD = "p@s:s/w%o#r?d&=+ψ é"


PSI = wave(1, 4, 4, 4)


@pytest.fixture(scope="module")
def locked() -> Iterator[tuple[Server, int]]:
    """A server on a port too, whose user `lab` has PASSWORD, and whose user `poor` may do nothing with it."""
    with free_port() as port:
        for server in new_server("valkey", port=str(port)):
            ask(server, "ACL", "SETUSER", "lab", "on", f">{PASSWORD}", "~*", "&*", "+@all")
            ask(server, "ACL", "SETUSER", "poor", "on", f">{PASSWORD}", "~*", "-@all")
            ask(server, "SET", "qwf:{wrong}:meta", "x")
            yield server, port


def roads(directory: Path, host: str) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Every way in which a password can be given: variables, and arguments."""
    url = ["-u", f"redis://lab@{host}"]
    (directory / "secret").write_text(PASSWORD + "\n", encoding="utf-8")
    (directory / "a.toml").write_text(f"url = 'redis://lab@{host}'\npassword_file = 'secret'\n")
    old = {"url": f"redis://lab@{host}", "password_file": "secret"}
    (directory / "b.json").write_text(json.dumps({"redis": old}))
    quoted = f"redis://lab:{quote(PASSWORD, safe='')}@{host}"
    return {
        "variable": ({"QWF_PASSWORD": PASSWORD}, url),
        "flag of a file": ({}, [*url, "--password-file", "secret"]),
        "variable of a file": ({"QWF_PASSWORD_FILE": str(directory / "secret")}, url),
        "toml": ({}, ["--config", "a.toml"]),
        "json": ({}, ["--config", "b.json"]),
        "url in a variable": ({"QWF_URL": quoted}, []),
        "url of others": ({"REDIS_URL": quoted}, []),
    }


def check_hidden(text: str, what: str) -> None:
    """The password is not there, in any of its spellings."""
    spellings = {
        PASSWORD, repr(PASSWORD)[1:-1], quote(PASSWORD), quote(PASSWORD, safe=""),
        json.dumps(PASSWORD)[1:-1], str(PASSWORD.encode())[2:-1],
    }  # fmt: skip
    for spelling in spellings:
        assert spelling not in text, what


def test_a_password_of_any_characters_goes_by_every_road_and_is_never_shown(
    locked: tuple[Server, int], tmp_path: Path
) -> None:
    ways = roads(tmp_path, f"127.0.0.1:{locked[1]}")
    runs = [(road, ["info", "--server", "--json"]) for road in ways]
    runs += [
        ("variable", line)
        for line in (["config", "show"], ["config", "show", "--json"], ["info", "--server"])
    ]
    runs += [("url in a variable", line) for line in (["config", "show"], ["config", "show", "--json"])]

    shell = Shell.at(tmp_path)
    outcomes = shell.several([([*line, *ways[road][1]], ways[road][0]) for road, line in runs])
    for run, outcome in zip(runs, outcomes, strict=True):
        assert outcome.status == 0, (run, outcome.err)
        check_hidden(outcome.out + outcome.err, str(run))
        assert "***" in outcome.out, run
    variables, url = ways["variable"]
    flags = (["--password", "x"], ["--password=x"])
    for outcome in shell.several([(["ls", *url, *flag], variables) for flag in flags]):
        assert outcome.status == 2


@pytest.fixture
def nobody() -> Iterator[str]:
    """A host and port at which nobody listens."""
    with free_port() as port:
        yield f"127.0.0.1:{port}"


def test_no_failing_command_shows_a_password(locked: tuple[Server, int], nobody: str, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_PASSWORD=PASSWORD)
    host = f"127.0.0.1:{locked[1]}"
    np.save(tmp_path / "psi.npy", PSI)
    quoted = quote(PASSWORD, safe="")
    cases: list[tuple[int, list[str]]] = [
        (8, ["ls", "-u", f"redis://nobody@{host}"]),
        (8, ["ls", "-u", f"redis://poor@{host}"]),
        (8, ["ingest", "psi.npy", "-u", f"redis://poor@{host}"]),
        (8, ["info", "wrong", "-u", f"redis://lab@{host}"]),
        (2, ["ls", "-u", f"redis://lab@{host}/99"]),
        (7, ["info", "missing", "-u", f"redis://lab@{host}"]),
        (3, ["ls", "-u", f"redis://lab@{nobody}"]),
        (3, ["ls", "-u", f"unix://lab@{tmp_path}/none"]),
        (2, ["ls", "-u", f"redis://lab:{quoted}@{host}/x"]),
        (2, ["ls", "-u", f"redis://lab:{quoted}@{host}?password={quoted}&x=1"]),
        (2, ["ls", "-u", f"http://lab:{quoted}@{host}"]),
        (2, ["ls", "-u", f"redis://lab:{PASSWORD}@{host}"]),
        (2, ["config", "show", "-u", f"redis://lab:{PASSWORD}@{host}"]),
        (2, ["ls", "-u", f"redis://lab@{host}", "--password-file", "none"]),
    ]
    outcomes = shell.several([(line, {}) for _, line in cases])
    for (status, line), outcome in zip(cases, outcomes, strict=True):
        assert outcome.status == status, (line, outcome.err)
        assert outcome.err.count("\n") == 1, (line, outcome.err)
        check_hidden(outcome.out + outcome.err, str(line))


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            parents[int(entry)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def test_the_password_is_in_no_list_of_processes(locked: tuple[Server, int], tmp_path: Path) -> None:
    server, port = locked
    np.save(tmp_path / "psi.npy", wave(1, 6, 1, 16_000))  # six chunks: the second is sent after 7 s
    ways = roads(tmp_path, f"127.0.0.1:{port}")
    for road in ("variable", "toml"):
        variables, arguments = ways[road]
        shell = Shell.at(tmp_path, **variables)
        with shell.begin_anew("ingest", "psi.npy", "--max-rate", "2500", "--name", road, *arguments) as begun:
            wait_for_load(server, road, begun)
            titles = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family(begun.process.pid)]
            assert road.encode() in titles[0]
            for title in titles:
                check_hidden(title.decode(errors="replace"), road)
            begun.signal(signal.SIGINT)
            outcome = begun.end()
        assert outcome.status == 130
        check_hidden(outcome.out + outcome.err, road)


def wait_for_load(server: Server, name: str, begun: Begun) -> None:
    end = time.monotonic() + PATIENCE
    while not ask(server, "EXISTS", f"qwf:{{{name}}}:load"):
        assert time.monotonic() < end
        assert begun.process.poll() is None
        time.sleep(0.01)


@pytest.mark.anyio
async def test_no_repr_and_no_traceback_has_the_password(locked: tuple[Server, int]) -> None:
    host = f"127.0.0.1:{locked[1]}"
    quoted = quote(PASSWORD, safe="")
    for user, where in (("lab", host), ("nobody", host), ("poor", host), ("lab", "127.0.0.1:1")):
        url = f"redis://{user}:{quoted}@{where}"
        settings = qwf_async.Settings(url=url, password=PASSWORD, socket_timeout=1)
        address = Address.parse(url)
        pool = pool_to(address, settings)
        texts = [
            repr(settings),
            repr(address),
            repr(pool),
            repr(pool.nodes[0]._new()),
            repr(pool.nodes[0]._new()._connection),
        ]
        with pytest.raises(QwfError) as raised:
            await looked_at(settings, texts)
        texts += traceback.format_exception(raised.value)
        texts += [repr(link) for link in chain(raised.value)]
        check_hidden("\n".join(texts), url)


async def looked_at(settings: qwf_async.Settings, texts: list[str]) -> None:
    """Connect, note the representations of a store, and open a name whose key has another type."""
    async with qwf_async.connect(settings=settings) as store:
        texts += [repr(store), repr(store.__dict__), repr(await store.server_info())]
        await store.open("wrong")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_a_password_that_is_not_utf8_is_a_usage_error_that_does_not_show_it() -> None:
    bytes_of_a_variable = b"secret\xff".decode(errors="surrogateescape")
    with pytest.raises(UsageError, match="not UTF-8") as raised:
        Address.parse("redis://h", password=bytes_of_a_variable)
    assert "secret" not in "".join(traceback.format_exception(raised.value))
    assert all("secret" not in repr(vars(link)) + repr(link.args) for link in chain(raised.value))


@pytest.mark.parametrize("url", ["redis://a%0Ab%1B%5B2J:x@h", "redis://:x@h%0A.org", "unix:///tmp/a%0Ab%1B"])
def test_what_is_shown_of_an_address_stays_on_its_line(url: str) -> None:
    assert Address.parse(url).shown.isprintable()
