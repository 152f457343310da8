"""`qwf where`: a user pastes what it prints into a shell, and redis-cli reads the point that `qwf get` reads."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qwf_async
from qwf_async.layout import LAYOUTS
from tests.conftest import Server, free_port, new_server
from tests.support.command import Outcome, Shell
from tests.support.loads import ask, wave

PSI = wave(2, 30, 20, 10)
POINTS = [(0, 0, 0, 0), (29, 19, 9, 1), (16, 3, 5, 1)]
"""As x, y, z, t."""

FORMS: dict[str, tuple[str, ...]] = {
    f"{layout}-{codec}": ("c.npy", "--layout", layout, "--codec", codec)
    for layout, kind in LAYOUTS.items()
    for codec in kind.codecs
}
FORMS |= {
    "all": ("c.npy", "--slab", "all"),
    "all-text": ("c.npy", "--slab", "all", "--codec", "text10"),
    "box": ("c.npy", "--slab", "7x3x10x2"),
    "box-text": ("f.npy", "--slab", "7x3x10x2", "--codec", "text10"),
    "fortran": ("f.npy", "--slab", "5x6x1x1"),
    "fortran-packed": ("f.npy", "--layout", "packed"),
    "fortran-tile": ("f.npy", "--layout", "tile", "--tile", "3x5x7"),
}
SECRET = "it's $HOME; ψ"


def ingested(shell: Shell, **forms: tuple[str, ...]) -> Shell:
    """The shell, after PSI was stored there under each name, from a file in C or in Fortran order."""
    np.save(shell.directory / "c.npy", PSI)
    np.save(shell.directory / "f.npy", np.asfortranarray(PSI))
    for outcome in shell.each(*(["ingest", *how, "--name", name] for name, how in forms.items())):
        assert outcome.status == 0, outcome.err
    return shell


def pasted(shell: Shell, line: str) -> Outcome:
    """A line of what was printed, in a shell of the user's."""
    with shell.start(["sh", "-c", line]) as begun:
        return begun.end()


def numbers(text: str) -> complex:
    re_part, im_part = text.replace(",", " ").split()
    return complex(float(re_part), float(im_part))


def check(shell: Shell, *names: str) -> None:
    """Check that what redis-cli and redis-py read by what is printed is what `qwf get` reads, at each of POINTS."""
    text = "".join(f"{x} {y} {z} {t}\n" for x, y, z, t in POINTS)
    (shell.directory / "points.txt").write_text(text)
    at = [[str(x), str(y), str(z), "--t", str(t)] for x, y, z, t in POINTS]
    for name in names:
        got, as_json, *told = shell.each(
            ["get", name, "--points", "points.txt", "--json"],
            ["where", name, *at[-1], "--json"],
            *(["where", name, *point] for point in at),
        )
        for outcome in (got, as_json, *told):
            assert outcome.status == 0, outcome.err
        values = [complex(point["re"], point["im"]) for point in json.loads(got.out)]
        for one, value in zip(told, values, strict=True):
            line, *comments = one.out.splitlines()
            assert all(comment.startswith("# ") for comment in comments)
            read = pasted(shell, line)
            assert (read.status, read.err) == (0, "")
            dtype = np.complex64 if name.endswith("c8") else np.complex128
            assert dtype(numbers(read.out)) == dtype(value)

        facts = json.loads(as_json.out)
        assert tuple(facts[axis] for axis in "xyzt") == POINTS[-1]
        assert line == " | ".join(filter(None, (facts["command"], facts["shell"])))
        with subprocess.Popen(
            ["sh", "-c", facts["command"]], stdout=subprocess.PIPE, env=dict(shell.environment)
        ) as process:
            stored, _ = process.communicate()
        assert eval(facts["python"], {"numpy": np, "value": stored}) == value  # noqa: S307 # the Python that is printed


def test_what_is_printed_reads_the_point_in_every_layout(each_server: Server, tmp_path: Path) -> None:
    shell = ingested(Shell.at(tmp_path, QWF_URL=each_server.url), **FORMS)
    check(shell, *FORMS)


def test_it_reads_from_the_embedded_server_under_a_path_that_must_be_quoted(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf it's $HOME ") as runtime:
        shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"), XDG_RUNTIME_DIR=runtime)
        try:
            check(ingested(shell, flat=("c.npy",), tile=("c.npy", "--layout", "tile")), "flat", "tile")
        finally:
            shell.qwf("server", "stop", "--quiet")


def test_the_prefix_and_the_database_are_those_of_the_wavefunction(
    each_server: Server, tmp_path: Path
) -> None:
    shell = Shell.at(tmp_path, QWF_URL=f"{each_server.url}?db=3", QWF_PREFIX="lab.x")
    check(ingested(shell, **{"a-name": ("c.npy", "--layout", "packed")}), "a-name")
    facts: dict[str, Any] = json.loads(shell.qwf("where", "a-name", "1", "--json").out)
    assert facts["key"].startswith("lab.x:a-name:{")
    assert " -n 3 " in facts["command"]
    assert ask(each_server, "DBSIZE") == 0


@pytest.fixture(params=["valkey", "redis"])
def guarded(request: pytest.FixtureRequest) -> Iterator[tuple[Server, int]]:
    """A server that lets nobody in but the user `lab;user`, and its TCP port."""
    with free_port() as port:
        for server in new_server(request.param, port=str(port), bind="127.0.0.1 ::1"):
            ask(server, "ACL", "SETUSER", "lab;user", "on", f">{SECRET}", "~*", "&*", "+@all")
            ask(server, "ACL", "SETUSER", "default", "off")
            yield server, port


def test_a_password_is_taken_from_the_environment_and_never_printed(
    guarded: tuple[Server, int], tmp_path: Path
) -> None:
    _, port = guarded
    shell = Shell.at(tmp_path, QWF_URL=f"redis://lab;user@localhost:{port}/2", QWF_PASSWORD=SECRET)
    ingested(shell, flat=("c.npy",), text=("c.npy", "--codec", "text10"))
    check(shell.having(REDISCLI_AUTH=SECRET), "flat", "text")
    told = shell.qwf("where", "flat", "1", "2", "3")
    assert told.out.splitlines()[-1] == "# redis-cli takes the password from the variable REDISCLI_AUTH"
    assert SECRET not in told.out
    facts = json.loads(shell.qwf("where", "flat", "1", "2", "3", "--json").out)
    assert facts["password"] == "REDISCLI_AUTH"
    refused = pasted(shell, told.out)
    assert (refused.out, "NOAUTH" in refused.err) == ("", True)
    wrong = pasted(shell.having(REDISCLI_AUTH="other"), told.out)
    assert (wrong.out, "NOAUTH" in wrong.err) == ("", True)


def test_nothing_is_printed_where_nothing_is(each_server: Server, tmp_path: Path) -> None:
    shell = ingested(Shell.at(tmp_path, QWF_URL=each_server.url), **FORMS)
    told = dict(zip(FORMS, shell.each(*(["where", name, "29", "19", "9"] for name in FORMS)), strict=True))
    assert shell.qwf("rm", *FORMS).status == 0
    for name, outcome in told.items():
        assert pasted(shell, outcome.out).out.strip() == "", name
    ask(each_server, "SET", json_key(told["box"]), "no hash")
    refused = pasted(shell, told["box"].out)
    assert (refused.out, "WRONGTYPE" in refused.err) == ("", True)


def json_key(told: Outcome) -> str:
    """The key in the command of a line that was printed."""
    return told.out.partition("HGET '")[2].partition("'")[0]


def test_a_terminal_gets_the_command_on_one_line(server: Server, tmp_path: Path) -> None:
    prefix = "long-" * 20
    shell = ingested(Shell.at(tmp_path, QWF_URL=server.url, QWF_PREFIX=prefix), psi=("c.npy",))
    status, written = shell.on_terminal("where", "psi", "1", "2", "3")
    told = shell.qwf("where", "psi", "1", "2", "3").out
    assert (status, written.replace("\r\n", "\n")) == (0, told)
    assert len(told.splitlines()[0]) > 120


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("psi", "30"), 7, "x = 30 is outside the grid: x runs from 0 to 29"),
    (("psi", "1", "2", "3", "--t", "2"), 7, "t = 2 is outside the grid: t runs from 0 to 1"),
    (("psi", "1" * 30), 7, "is outside the grid"),
    (("psi", "-31"), 7, "x = -31 is outside the grid"),
    (("psi", "1", "--t", "-3"), 7, "t = -3 is outside the grid"),
    (("psi", "-o"), 2, "No such option: -o"),
    (("psi", "one"), 2, "Invalid value for 'x'"),
    (("psi",), 2, "give the indices x y z of a point"),
    ((), 2, "Missing argument 'name'"),
    (("psi", "1", "2", "3", "4"), 2, "unexpected extra argument"),
    (("nobody", "1"), 7, "there is no wavefunction 'nobody'"),
    (("a b", "1"), 7, "the name 'a b' may hold only"),
]


def test_what_is_not_there_or_no_point_is_refused_as_by_get(server: Server, tmp_path: Path) -> None:
    shell = ingested(Shell.at(tmp_path, QWF_URL=server.url), psi=("c.npy",))
    refused = shell.each(*(["where", *arguments] for arguments, _, _ in REFUSED))
    by_get = shell.each(*(["get", *arguments] for arguments, _, _ in REFUSED))
    for (arguments, status, says), outcome, other in zip(REFUSED, refused, by_get, strict=True):
        assert (outcome.status, outcome.out) == (status, ""), arguments
        assert says in outcome.err, outcome.err
        assert other.status == status, arguments


@pytest.mark.anyio
async def test_the_key_is_what_a_client_computes_from_info(server: Server, tmp_path: Path) -> None:
    shell = ingested(Shell.at(tmp_path, QWF_URL=server.url), **FORMS)
    chance = np.random.default_rng(10)
    told = shell.each(*(["info", name, "--json"] for name in FORMS))
    async with qwf_async.connect(server.url) as store:
        for name, outcome in zip(FORMS, told, strict=True):
            psi = await store.open(name)
            for t, x, y, z in chance.integers(0, PSI.shape, (20, 4)).tolist():
                place = psi.where(x, y, z, t)
                assert (place.key.decode(), place.field.decode()) == by_hand(
                    name, json.loads(outcome.out), t, x, y, z
                )


def by_hand(name: str, facts: dict[str, Any], t: int, x: int, y: int, z: int) -> tuple[str, str]:
    """The key and the field of a point, by the formulas of `qwf help keys`."""
    shape = facts["shape"]
    _, size_x, size_y, size_z = shape
    i = ((t * size_x + x) * size_y + y) * size_z + z
    plan = facts["plan"]
    if facts.get("slab") == "all":
        g = 0
    elif plan["kind"] == "range":
        g = i // plan["length"]
    else:
        q_t, q_x, q_y, q_z = (at // size for at, size in zip((t, x, y, z), plan["chunk"], strict=True))
        n_t, n_x, n_y, n_z = (-(-all_of // size) for all_of, size in zip(shape, plan["chunk"], strict=True))
        g = ((q_t * n_x + q_x) * n_y + q_y) * n_z + q_z
        if plan["order"] == "F":
            g = ((q_z * n_y + q_y) * n_x + q_x) * n_t + q_t
    base = f"qwf:{name}:{{{facts['generation']}.{g}}}:"
    if facts["layout"] == "flat":
        return f"{base}s", f"x{x}_y{y}_z{z}_t{t}"
    if facts["layout"] == "packed":
        return f"{base}b{i // 128}", str(i % 128)
    a, b, c = facts["tile"]
    return f"{base}t", f"c/{t}/{x // a}/{y // b}/{z // c}"
