"""Passwords that nobody sees, files that are the user's alone, names that stay in their place."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qwf_async
from qwf_async import sources
from qwf_async.catalog.keys import Keys
from qwf_async.client.address import Address
from qwf_async.embedded.data_dir import DataDir
from qwf_async.errors import InvalidInput, QwfError, UsageError
from qwf_async.source import default_name
from qwf_async.spool import spool_path
from qwf_async.store.connecting import pool_to
from tests.conftest import PATIENCE, Server, free_port, new_server
from tests.support.command import Begun, Shell
from tests.support.loads import ask, wave

PASSWORD = "p@s:s/w%o#r?d&=+ψ é"
PSI = wave(1, 4, 4, 4)
GENERATION = "0123456789abcdef"


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
        (8, ["ls", "-u", f"redis://lab@{host}/99"]),
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
    """A process and all that descend from it."""
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
    np.save(tmp_path / "psi.npy", wave(1, 6, 1, 33_000))  # six chunks: the second is sent after 7 s
    ways = roads(tmp_path, f"127.0.0.1:{port}")
    for road in ("variable", "toml"):
        variables, arguments = ways[road]
        shell = Shell.at(tmp_path, **variables)
        with shell.begin("ingest", "psi.npy", "--max-rate", "5000", "--name", road, *arguments) as begun:
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
        texts = [repr(settings), repr(address), repr(pool), repr(pool._new()), repr(pool._new()._connection)]
        with pytest.raises(QwfError) as raised:
            await looked_at(settings, texts)
        texts += traceback.format_exception(raised.value)
        texts += [repr(link) for link in chain(raised.value)]
        check_hidden("\n".join(texts), url)


async def looked_at(settings: qwf_async.Settings, texts: list[str]) -> None:
    """Connect, note what a store shows of itself, and open a name at which something else lies."""
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


def modes(*directories: Path) -> dict[str, str]:
    """Modes of these directories and of all that is in them."""
    paths = [path for directory in directories for path in (directory, *directory.rglob("*"))]
    return {str(path): stat.filemode(path.lstat().st_mode) for path in paths}


def test_what_the_embedded_server_has_is_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as short:
        # A password that is meant for another server is not sent to this one.
        data_dir = str(tmp_path / "new" / "data")
        shell = Shell.at(tmp_path, XDG_RUNTIME_DIR=short, QWF_DATA_DIR=data_dir, QWF_PASSWORD=PASSWORD)
        qwf = f'umask 0; exec "{sys.executable}" -m qwf_async '
        try:
            for line in ("ingest gaussian --grid 8 --box 8", "server stop", "ls --json"):
                with shell.start(["sh", "-c", qwf + line]) as begun:
                    outcome = begun.end()
                assert outcome.status == 0, outcome.err
            found = modes(tmp_path / "new" / "data", Path(short) / "qwf")
            assert len([path for path in found if "/qwf." in path]) >= 6
            for path, mode in found.items():
                assert mode[4:] == "------", (path, mode)
            status = json.loads(shell.qwf("server", "status", "--json").out)
            assert listening_ports(status["pid"]) == set()
        finally:
            shell.qwf("server", "stop")


def listening_ports(pid: int) -> set[str]:
    """Addresses on which a process listens by TCP. Source: proc_pid_net(5); state 0A is LISTEN."""
    sockets = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        if (path := Path(f"/proc/{pid}/net/{table}")).exists()
        for line in path.read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def test_a_runtime_directory_that_is_not_ours_alone_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        planted = Path(short) / "qwf"
        assert DataDir.of(tmp_path).socket.parent == planted
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        planted.symlink_to(elsewhere)
        assert DataDir.of(tmp_path).socket.parent != planted
        planted.unlink()
        planted.mkdir()
        planted.chmod(0o770)
        assert DataDir.of(tmp_path).socket.parent != planted
        planted.chmod(0o700)
        assert DataDir.of(tmp_path).socket.parent == planted


def test_nothing_of_another_user_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen by a user to whom nothing here belongs."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "qwf.json").write_text(json.dumps({"socket": "/tmp/theirs", "host": "h"}))  # noqa: S108 # never opened
    place = DataDir.of(data)
    assert place.start_record() is not None
    if os.geteuid() == 0:
        os.chown(data, 4_000_001, -1)  # what is root's is trusted
    stranger = 4_000_002
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert place.start_record() is None
    with pytest.raises(InvalidInput, match="belongs to another user"):
        place.create()
    planted = Path(f"/tmp/qwf-{stranger}")  # noqa: S108 # as one who knows the name would
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(planted.parent))
    planted.mkdir(mode=0o700)
    try:
        with pytest.raises(InvalidInput, match="no place for the server's socket"):
            DataDir.of(data)
    finally:
        planted.rmdir()


name_like = st.one_of(
    st.text(st.sampled_from("aA0._-:{}*?[]\\/ \n\0é"), max_size=6),
    st.sampled_from(["names", "meta", "..", "-", GENERATION]),
)


@given(prefixes=st.tuples(name_like, name_like), names=st.tuples(name_like, name_like))
def test_keys_of_two_names_never_meet(prefixes: tuple[str, str], names: tuple[str, str]) -> None:
    owned: list[tuple[tuple[str, str], set[bytes]]] = []
    for prefix, name in zip(prefixes, names, strict=True):
        allowed = all(re.fullmatch(r"[A-Za-z0-9._-]{1,128}", text) for text in (prefix, name))
        if not allowed:
            with pytest.raises(InvalidInput):
                Keys(prefix=prefix, name=name)
            continue
        keys = Keys(prefix=prefix, name=name)
        control = {keys.meta, keys.load, keys.trash, keys.scratch, keys.journal(GENERATION)}
        data = {keys.base(GENERATION) + ending for ending in (b":s0", b":b1", b":t0.0", b":probe")}
        mine = data | {key.encode() for key in control}
        assert len(mine) == 9
        assert keys.names.encode() not in mine
        assert all(key.startswith(prefix.encode() + b":") for key in mine)
        assert all(key.split(b":")[1].strip(b"{}") == name.encode() for key in mine)
        owned.append(((prefix, name), mine | {keys.names.encode()}))
    if len(owned) == 2 and owned[0][0] != owned[1][0]:
        (_, one), (_, other) = owned
        shared = {f"{prefixes[0]}:names".encode()} if prefixes[0] == prefixes[1] else set()
        assert one & other == shared


@given(name_like)
def test_no_name_of_a_source_or_a_generation_leaves_its_directory(text: str) -> None:
    assert "/" not in default_name(text)
    with suppress(InvalidInput):
        assert spool_path(Path("/spools"), text).parent == Path("/spools")
        assert re.fullmatch("[0-9a-f]{16}", text)


@pytest.mark.anyio
async def test_removing_and_cleaning_a_name_touches_no_other(each_server: Server) -> None:
    names = ["a", "a.b", "A", "a-", "aa", "-a", "names", "..", "a.b.c", "meta"]
    async with qwf_async.connect(each_server.url) as store:
        for name in names:
            await qwf_async.ingest(sources.array(PSI), store, name)
    mine = qwf_async.Settings(url=each_server.url, prefix="q")
    async with qwf_async.connect(settings=mine) as store:
        await qwf_async.ingest(sources.array(PSI), store, "a")
    before = each_server.contents()
    async with qwf_async.connect(each_server.url) as store:
        await store.remove("a")
        await store.clean()
    after = each_server.contents()
    gone = before.keys() - after.keys()
    assert {key.split(b":")[1] for key in gone} == {b"a", b"{a}"}
    assert {key for key in gone if not key.startswith(b"qwf:")} == set()
    assert {key: value for key, value in after.items() if key != b"qwf:names"} == {
        key: value for key, value in before.items() if key not in gone | {b"qwf:names"}
    }
    assert before[b"qwf:names"].keys() - after[b"qwf:names"].keys() == {b"a"}


@pytest.mark.parametrize("name", ["*", "a*", "?", "[a]", "{a}", "a:b", "a b", "../x", "a/b", "", "é", "a\n"])
def test_names_and_prefixes_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Keys(prefix="qwf", name=name)
    with pytest.raises(UsageError):
        qwf_async.Settings(prefix=name)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_code_in_a_npy_file_runs(server: Server, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    bomb = np.empty((2, 2), dtype=object)
    bomb.fill(Bomb(ran))
    np.save(tmp_path / "objects.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "inside.npz", bomb)
    (tmp_path / "inside.npz").rename(tmp_path / "archive.npy")
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Bomb(ran)))
    header = f"{{'descr': __import__('pathlib').Path({str(ran)!r}).touch(), 'fortran_order': False, 'shape': (1,)}}\n"
    file = io.BytesIO(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    (tmp_path / "header.npy").write_bytes(file.getvalue() + bytes(16))
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    names = [f"{name}.npy" for name in ("objects", "archive", "pickle", "header")]
    outcomes = shell.several([(["ingest", name], {}) for name in names])
    for name, outcome in zip(names, outcomes, strict=True):
        assert outcome.status == 7, (name, outcome.err)
        assert outcome.err.count("\n") == 1
        assert name in outcome.err
    assert not ran.exists()
    pickle.loads((tmp_path / "pickle.npy").read_bytes())  # noqa: S301 # our own: it would have run
    assert ran.exists()
    assert server.contents() == {}
