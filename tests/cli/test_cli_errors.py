"""Every bad request ends with one line, the right exit code, and the server as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server, free_port, new_server
from tests.support.command import Outcome, Shell

PASSWORD = "g/h:e@i%m"
QUOTED = "g%2Fh%3Ae%40i%25m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A command line, the exit code that it must have, and a pattern that its message must match.

    `boxed`: typer refuses it, and puts a box around its message.
    """

    status: int
    says: str
    boxed: bool = False
    environment: dict[str, str] = field(default_factory=dict)


def bad(status: int, says: str, **environment: str) -> Case:
    return Case(status=status, says=says, environment=environment)


def usage(says: str) -> Case:
    return Case(status=2, says=says, boxed=True)


SOURCES = {
    "ingest hydrogn:n=3 --grid 4": bad(7, r"unknown source 'hydrogn:n=3'.*hydrogen"),
    "ingest missing:psi --grid 4 --box 4": bad(7, "unknown source 'missing:psi'"),
    "ingest :": bad(7, "unknown source ':'"),
    "ingest hydrogen:n=3,q=1 --grid 4": bad(7, r"no parameter 'q'.*takes n .*, l .*, m "),
    "ingest box:n --grid 4": bad(7, "'n' must be written as parameter=value"),
    "ingest harmonic:n=x --grid 4": bad(7, "n=x cannot be read"),
    "ingest hydrogen:n=2,l=2,m=0 --grid 4": bad(7, "l=2 must be from 0 to n-1"),
    "ingest hydrogen:n=0,l=0,m=0 --grid 4": bad(7, "n=0 must be from 1"),
    "ingest gaussian:sigma=-1 --grid 4": bad(7, "must be above 0"),
    "ingest needy:psi --grid 4": bad(7, "spacing of axis x is not known: give --box"),
    "ingest needy:fails --grid 4 --box 4": bad(7, "needy:fails failed: RuntimeError: no"),
    "ingest needy:nothing --grid 4 --box 4": bad(7, "nothing"),
    "ingest needy:quits --grid 4 --box 4": bad(7, "needy:quits failed: SystemExit"),
    "ingest quitting:psi --grid 4 --box 4": bad(7, "quitting:psi cannot be imported: SystemExit"),
}
GRIDS = {
    "ingest gaussian --grid -5": bad(7, "-5 points"),
    "ingest gaussian --grid 0": bad(7, "0 points"),
    "ingest gaussian --grid 4x0x4": bad(7, "axis y .* 0 points"),
    "ingest gaussian --grid 10000": bad(4, r"1 trillion points .* need .* free"),
    "ingest gaussian --grid 999999999999999999x9x9": bad(7, "more than 2"),
    "ingest gaussian --grid many": bad(2, "--grid 'many' is no grid"),
    "ingest gaussian --grid 4x4x4x4": bad(7, "1 to 3 spatial sizes"),
    "ingest gaussian --grid 4 --frames 0": bad(7, "axis t .* 0 points"),
    "ingest gaussian --grid 4 --dt nan": bad(7, "step nan"),
    "ingest gaussian --grid 4 --box 0": bad(7, "extent of axis x is 0"),
    "ingest gaussian --grid 4 --box wide": bad(2, "--box 'wide' is no box"),
}
FILES = {
    "ingest absent.npy": bad(7, "absent.npy cannot be opened: No such file"),
    "ingest truncated.npy": bad(7, "truncated.npy is cut short: 1052 bytes, where its header says 1152"),
    "ingest head.npy": bad(7, "head.npy"),
    "ingest objects.npy": bad(7, "objects.npy holds Python objects"),
    "ingest strings.npy": bad(7, "strings.npy holds values of type <U1"),
    "ingest five.npy": bad(7, "five.npy has 5 dimensions"),
    "ingest empty.npy": bad(7, r"empty.npy is empty: its shape is \(0, 3\)"),
    "ingest nothing.npy": bad(7, "nothing.npy is an empty file"),
    "ingest nan.npy": bad(
        7, "nan.npy holds NaN or infinity, first at t = 0, x = 1, y = 2, z = 3: --allow-nonfinite"
    ),
    "ingest infinite.npy": bad(7, "infinite.npy holds NaN or infinity"),
    "ingest psi.npy --grid 4": bad(2, "--grid cannot be given for psi.npy"),
}
NAMES = {
    "ingest psi.npy --name a_b{c}": bad(7, "name 'a_b{c}' may hold only"),
    "ingest psi.npy --name ψ": bad(7, "name 'ψ' may hold only"),
    "ingest psi.npy --name=": bad(7, "name '' may hold only"),
    "ingest psi.npy --name kept": bad(8, "kept exists already: --overwrite replaces it", QWF_PREFIX="kept"),
    "get nobody 0": bad(7, "no wavefunction 'nobody'"),
    "get no:body 0": bad(7, "name 'no:body' may hold only"),
    "info nobody": bad(7, "no wavefunction 'nobody'"),
    "rm nobody": bad(7, "no wavefunction 'nobody'"),
    "get kept 4": bad(7, "x = 4 is outside the grid: x runs from 0 to 3", QWF_PREFIX="kept"),
    "get kept 0 0 -9": bad(7, "z = -9 is outside", QWF_PREFIX="kept"),
    "get kept 0 0 0 --t 1": bad(7, "t = 1 is outside the grid: t runs from 0 to 0", QWF_PREFIX="kept"),
}
SERVERS = {
    "ingest psi.npy -u http://localhost": bad(2, "must begin with redis://"),
    f"ls -u redis://user:{QUOTED}@localhost:99999": bad(2, "does not parse"),
    f"ls -u redis://user:{QUOTED}@localhost:1": bad(3, r"redis://user:\*\*\*@localhost:1: .*refused"),
    "ingest psi.npy -u unix:///nowhere/s": bad(3, "unix:///nowhere/s: there is no such socket file"),
    "ls -u redis://nowhere.invalid": bad(3, "redis://nowhere.invalid"),
    "ls": bad(3, "refused", QWF_URL="", REDIS_URL=f"redis://:{QUOTED}@127.0.0.1:1"),
    "ls -u {locked}": bad(8, "wants a password: set QWF_PASSWORD or --password-file"),
    "ingest psi.npy -u {locked}": bad(
        8, "does not accept this user name and password", QWF_PASSWORD=PASSWORD
    ),
    f"get kept 0 -u redis://:{QUOTED}@{{host}}": bad(8, "does not accept this user name and password"),
}
OPTIONS = {
    "ingest psi.npy --codec c99": bad(2, "unknown codec 'c99': one of c16, c8, text10"),
    "ingest psi.npy --layout heap": bad(2, "unknown layout 'heap'"),
    "ingest psi.npy --max-rate 0": bad(2, "max_rate = 0.0 .flag --max-rate. must be a number, above 0"),
    "ingest psi.npy --writers 65": bad(2, "writers = 65 .flag --writers."),
    "ingest psi.npy --resume --discard": bad(2, "contradict"),
    "ingest psi.npy --config absent.toml": bad(2, "settings file 'absent.toml' cannot be used"),
    "ls --password-file absent": bad(2, "password_file 'absent'"),
    "ingest psi.npy": bad(2, "writers = 'x' .environment QWF_WRITERS.", QWF_WRITERS="x"),
    "ingest psi.npy --frobnicate": usage("No such option: --frobnicate"),
    "ingest": usage("Missing argument 'source'"),
    "get kept east": usage("Invalid value for 'x'"),
    "info": usage("give the name of a wavefunction, or --server"),
    "frobnicate": usage("No such command 'frobnicate'"),
}
CASES = SOURCES | GRIDS | FILES | NAMES | SERVERS | OPTIONS

NEEDY = """
def psi(t, x, y, z): return x + 0j
def fails(t, x, y, z): raise RuntimeError("no")
def quits(t, x, y, z): raise SystemExit(0)
"""


def fill(directory: Path) -> None:
    psi = np.ones((4, 4, 4), complex)
    np.save(directory / "psi.npy", psi)
    for name, value in (("nan", np.nan), ("infinite", np.inf)):
        psi[1, 2, 3] = value
        np.save(directory / f"{name}.npy", psi)
    whole = (directory / "psi.npy").read_bytes()
    (directory / "truncated.npy").write_bytes(whole[:-100])
    (directory / "head.npy").write_bytes(whole[:20])
    (directory / "nothing.npy").write_bytes(b"")
    np.save(directory / "objects.npy", np.array([{}], object))
    np.save(directory / "strings.npy", np.array(["a"]))
    np.save(directory / "five.npy", np.ones((2,) * 5, complex))
    np.save(directory / "empty.npy", np.ones((0, 3), complex))
    (directory / "needy.py").write_text(NEEDY)
    (directory / "quitting.py").write_text("raise SystemExit(0)  # as a script without a guard does")


def contents(server: Server, prefix: str) -> dict[bytes, bytes]:
    with server.plain as client:
        return {key: client.dump(key) for key in client.scan_iter(f"{prefix}:*")}


@pytest.fixture(scope="module")
def open_server() -> Iterator[Server]:
    yield from new_server("valkey", maxmemory="1gb")  # with a limit, or ingest would say that there is none


@pytest.fixture(scope="module")
def locked_server() -> Iterator[tuple[Server, int]]:
    with free_port() as port:
        for server in new_server("redis", port=str(port)):
            with server.plain as client:
                client.config_set("requirepass", "another")
            yield server, port


@pytest.fixture(scope="module")
def outcomes(
    open_server: Server, locked_server: tuple[Server, int], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Outcome, bool]]:
    """Each case as it ended, and whether the keys of its prefix were then as before."""
    directory = tmp_path_factory.mktemp("errors")
    fill(directory)
    locked, port = locked_server
    shell = Shell.at(directory, QWF_URL=open_server.url, QWF_DEADLINE="2")
    assert shell.having(QWF_PREFIX="kept").qwf("ingest", "psi.npy", "--name", "kept").status == 0

    commands, prefixes = [], []
    for number, (line, case) in enumerate(CASES.items()):
        typed = line.format_map({"locked": locked.url, "host": f"127.0.0.1:{port}", "c": "{c}"}).split()
        commands.append((typed, {"QWF_PREFIX": f"case{number}"} | case.environment))
        prefixes.append(commands[-1][1]["QWF_PREFIX"])
    before = [contents(open_server, prefix) for prefix in prefixes]
    ended = shell.several(commands)
    unchanged = [contents(open_server, prefix) == held for prefix, held in zip(prefixes, before, strict=True)]
    return dict(zip(CASES, zip(ended, unchanged, strict=True), strict=True))


@pytest.mark.parametrize("line", CASES)
def test_bad_request_ends_with_one_line_and_its_exit_code_and_changes_nothing(
    line: str, outcomes: dict[str, tuple[Outcome, bool]]
) -> None:
    case = CASES[line]
    outcome, unchanged = outcomes[line]
    assert outcome.status == case.status, outcome
    assert "Traceback" not in outcome.err
    for secret in (PASSWORD, QUOTED):
        assert secret not in outcome.out + outcome.err
    said = re.sub(r"[\s│]+", " ", outcome.err)
    assert re.search(case.says, said), outcome.err
    if not case.boxed:
        assert len(outcome.lines) == 1, outcome.err
        assert outcome.err.startswith("qwf: ")
        assert outcome.err.endswith(f"(exit {case.status})\n")
    assert outcome.out == ""
    assert unchanged


@pytest.mark.parametrize("road", ["variable", "file", "url"])
def test_password_comes_from_the_environment_a_file_or_the_url(
    locked_server: tuple[Server, int], tmp_path: Path, road: str
) -> None:
    server, port = locked_server
    (tmp_path / "secret").write_text("another\n")
    shell = Shell.at(tmp_path)
    known = {"QWF_PASSWORD": "another"}
    outcome = {
        "variable": lambda: shell.having(**known).qwf("info", "--server", "-u", server.url),
        "file": lambda: shell.qwf("info", "--server", "-u", server.url, "--password-file", "secret"),
        "url": lambda: shell.qwf("info", "--server", "-u", f"redis://:another@127.0.0.1:{port}"),
    }[road]()
    assert outcome.status == 0, outcome.err
    assert "another" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("key", "commands"),
    [
        ("qwf:{psi}:meta", ["ingest psi.npy", "get psi 0", "info psi", "rm psi"]),
        ("qwf:{psi}:load", ["ingest psi.npy", "rm psi"]),
        ("qwf:names", ["ingest psi.npy", "ls"]),
    ],
)
def test_key_of_another_type_in_the_way_is_named_and_left_alone(
    server: Server, tmp_path: Path, key: str, commands: list[str]
) -> None:
    fill(tmp_path)
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    with server.plain as client:
        client.set(key, "somebody else's")
    before = contents(server, "qwf")
    with ThreadPoolExecutor(2) as both:
        for outcome in both.map(lambda line: shell.qwf(*line.split()), commands):
            assert outcome.status == 8, outcome.err
            assert key in outcome.lines[-1]
            assert "Traceback" not in outcome.err
    assert contents(server, "qwf") == before


def test_trash_of_another_type_keeps_what_is_published_from_being_replaced_or_removed(
    server: Server, tmp_path: Path
) -> None:
    fill(tmp_path)
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    with server.plain as client:
        client.set("qwf:{psi}:trash", "somebody else's")
        stored = shell.qwf("ingest", "psi.npy")
        assert stored.status == 0  # nothing goes to the trash yet
        assert "warning: " in stored.err
        assert "qwf:{psi}:trash" in stored.err
        for line in ("ingest psi.npy --overwrite", "rm psi"):
            refused = shell.qwf(*line.split())
            assert refused.status == 8, refused.err
            assert "qwf:{psi}:trash" in refused.lines[-1]
        assert client.get("qwf:{psi}:trash") == b"somebody else's"
        assert shell.qwf("get", "psi", "0").status == 0


def test_hash_that_is_not_ours_is_not_taken_for_metadata(server: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    with server.plain as client:
        client.hset("qwf:{psi}:meta", mapping={"format": "1", "shape": "[]"})
    outcome = shell.qwf("get", "psi", "0")
    assert outcome.status == 5
    assert "qwf:{psi}:meta is not the metadata of a wavefunction" in outcome.err
    assert len(outcome.lines) == 1


def test_server_that_evicts_stored_data_is_refused_unless_forced(own_server: Server, tmp_path: Path) -> None:
    fill(tmp_path)
    shell = Shell.at(tmp_path, QWF_URL=own_server.url)
    with own_server.plain as client:
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        refused = shell.qwf("ingest", "psi.npy")
        assert refused.status == 4
        assert re.search("allkeys-lru evicts .*--force", refused.err)
        assert client.keys() == []
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert shell.qwf("ingest", "psi.npy", "--force").status == 0
        assert shell.qwf("ingest", "psi.npy", "--overwrite", "--configure-server").status == 0
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_server_that_forbids_a_write_is_reported_with_the_permission(
    own_server: Server, tmp_path: Path
) -> None:
    fill(tmp_path)
    with own_server.plain as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@all", "-hset")
    shell = Shell.at(tmp_path, QWF_URL=f"unix://reader:x@{own_server.socket}")
    outcome = shell.qwf("ingest", "psi.npy", "--quiet")
    assert outcome.status == 8
    assert "permission" in outcome.err
    assert len(outcome.lines) == 1
    with own_server.plain as client:
        assert client.keys() == []
