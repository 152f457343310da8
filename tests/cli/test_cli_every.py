"""Every command has help with an example, JSON, completion, and output that any terminal can print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from qwf_async.cli.app import app
from qwf_async.cli.commands import COMMANDS as LISTED
from qwf_async.cli.commands import loaded
from qwf_async.cli.server import server as server_commands
from qwf_async.embedded.configuration import server_configuration
from qwf_async.ingesting.write_mode import WRITE_MODES
from qwf_async.layout import LAYOUTS
from qwf_async.plotting.kinds import KINDS
from qwf_async.server.acl import reader, writer
from qwf_async.source.formats.table import writers
from qwf_async.wire.codec import CODECS
from tests.conftest import Server
from tests.support.command import Shell
from tests.support.loads import wave

PSI = wave(2, 4, 3, 2)
MARKUP = re.compile(r"\[[a-zψ][^\]]*\]")
"""What rich takes for a tag, and does not print."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        inner = loaded(command)
        if hasattr(inner, "commands"):
            yield from commands(inner, (*path, name))
        else:
            yield (*path, name), inner


COMMANDS = dict(commands(typer.main.get_command(app)))
EVERY = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """A shell where psi.npy is, stored as psi on the server that QWF_URL names."""
    np.save(tmp_path / "psi.npy", PSI)
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    assert shell.qwf("ingest", "psi.npy", "--box", "4", "--quiet").status == 0
    return shell


@EVERY
def test_help_has_an_example_of_the_command_and_loses_no_word(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    _, _, examples = command.help.partition("Example")
    assert f"qwf {' '.join(path)}" in examples
    for text in (command.help, *(getattr(one, "help", None) or "" for one in command.params)):
        assert not MARKUP.search(text), text


def test_the_list_of_commands_says_in_a_short_line_what_each_does() -> None:
    about = {name: line for lines in LISTED.values() for name, line in lines.items()}
    assert {path[0] for path in COMMANDS} == set(about)
    assert all(line.isascii() and line.endswith(".") and len(line) <= 64 for line in about.values())


@EVERY
def test_every_command_that_ends_prints_json(path: tuple[str, ...]) -> None:
    flags = {flag for one in COMMANDS[path].params for flag in one.opts}
    assert ("--json" in flags) == (path != ("server", "run"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ingest psi.npy --layout ", (*LAYOUTS, "auto")),
        ("ingest psi.npy --codec ", CODECS),
        ("ingest psi.npy --write-mode ", WRITE_MODES),
        ("export psi psi.npy --format ", tuple(writers())),
        ("plot psi --what ", KINDS),
        ("ingest psi.npy --layout p", ("packed",)),
        ("server st", ("start", "stop", "status")),
    ],
)
def test_the_shell_is_offered_what_there_is(line: str, offered: tuple[str, ...]) -> None:
    words = f"qwf {line}"
    told = CliRunner().invoke(
        app,
        [],
        prog_name="qwf",
        env={
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "_QWF_COMPLETE": "complete_bash",
        },
    )
    assert sorted(told.stdout.split()) == sorted(offered)


def test_the_help_names_every_layout() -> None:
    (option,) = (option for option in COMMANDS[("ingest",)].params if option.name == "layout")
    assert all(layout in option.help for layout in LAYOUTS)


def test_server_conf_and_acl_print_the_same_as_json() -> None:
    conf = CliRunner().invoke(server_commands, ["conf", "--maxmemory", "3gb", "--json"])
    assert json.loads(conf.stdout) == dict(server_configuration(maxmemory=3 * 2**30))
    acl = CliRunner().invoke(server_commands, ["acl", "--json"])
    assert json.loads(acl.stdout) == {"qwf": writer("qwf"), "qwf-reader": reader("qwf")}


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_what_a_terminal_cannot_print_is_escaped(shell: Shell, encoding: str) -> None:
    narrow = shell.having(PYTHONIOENCODING=encoding)
    table = narrow.qwf("observe", "psi")
    assert table.status == 0, table.err
    assert ("σx" if encoding == "utf-8:strict" else r"\u03c3x") in table.out
    odd = "odd\udcff.npy"  # a name that is not UTF-8
    written = narrow.qwf("export", "psi", odd, "--json")
    assert (written.status, written.err) == (0, "")
    assert json.loads(written.out)["file"] == odd
    np.testing.assert_array_equal(np.load(shell.directory / odd), PSI)
    stored = narrow.qwf("ingest", odd, "--name", "again", "--quiet")
    assert (stored.status, stored.err) == (0, "")
    assert json.loads(narrow.qwf("info", "again", "--json").out)["source"] == r"odd\udcff.npy"
    repeated = narrow.qwf("ingest", odd, "--name", "again", "--resume", "--json")
    assert json.loads(repeated.out)["already"] is True


@pytest.mark.parametrize(
    ("library", "extra", "command"),
    [
        ("scipy", "physics", ["ingest", "evolve"]),
        ("scipy", "physics", ["ingest", "eigen"]),
        ("h5py", "files", ["export", "psi", "psi.h5"]),
        ("h5netcdf", "files", ["export", "psi", "psi.nc"]),
        ("zarr", "zarr", ["export", "psi", "psi.zarr"]),
        ("matplotlib", "plot", ["plot", "psi", "-o", "psi.png"]),
        ("prometheus_client", "metrics", ["ingest", "psi.npy", "--metrics-file", "x.prom"]),
    ],
)
def test_without_a_library_it_is_said_what_to_install(
    shell: Shell, library: str, extra: str, command: list[str]
) -> None:
    script = f"import sys; sys.modules[{library!r}] = None; from qwf_async.cli import main; main()"
    with shell.start([sys.executable, "-c", script, *command]) as begun:
        refused = begun.end()
    assert (refused.status, refused.out) == (2, "")
    assert refused.lines[-1].endswith(
        f"needs {library}, which is not installed: pip install 'qwf_async[{extra}]' (exit 2)"
    )
    assert [path.name for path in shell.directory.iterdir() if path.is_file()] == ["psi.npy"]


def test_a_potential_needs_spacings_that_are_known(shell: Shell) -> None:
    assert shell.qwf("ingest", "psi.npy", "--name", "bare", "--quiet").status == 0
    refused = shell.qwf("observe", "bare", "--potential", "harmonic")
    assert (refused.status, refused.lines) == (
        7,
        [
            "qwf: the spacing of bare along x, y, z is not known, and a potential needs it: "
            "ingest it with --box (exit 7)"
        ],
    )
    refused = shell.qwf("observe", "bare", "--marginal", "y", "--frame", "2")
    assert (refused.status, refused.out) == (7, "")


def test_info_prints_each_fact_in_words(shell: Shell) -> None:
    facts = dict(re.split("  +", line, maxsplit=1) for line in shell.qwf("info", "psi").out.splitlines())
    assert (facts["shape"], facts["points"], facts["axis y"]) == (
        "2×4×3×2", "48", "from -2, step 1.33333 bohr",
    )  # fmt: skip
    assert facts["axis t"] == "from 0, step unknown"
    dry = shell.qwf("ingest", "psi.npy", "--box", "4", "--dry-run").out
    planned = dict(re.split("  +", line, maxsplit=1) for line in dry.splitlines())
    assert (planned["shape"], planned["axis y"]) == (facts["shape"], facts["axis y"])
    assert "None" not in dry
    about = dict(re.split("  +", line, maxsplit=1) for line in shell.qwf("info", "--server").out.splitlines())
    assert (about["settings maxmemory-policy"], about["saving"], about["forbidden"]) == (
        "noeviction",
        "no",
        "none",
    )
    assert about["connections opened"] == "1"


def test_rm_removes_what_is_there_and_says_what_is_not(shell: Shell, server: Server) -> None:
    outcome = shell.qwf("rm", "nobody", "psi", "a b")
    assert (outcome.status, outcome.out) == (7, "")
    removed, wrong, absent = outcome.lines
    assert removed == "removed psi"
    assert wrong.startswith("qwf: the name 'a b' may hold only letters")
    assert absent == f"qwf: there is no wavefunction 'nobody' on {server.url} (exit 7)"
    with server.plain as client:
        assert client.keys() == []
    again = shell.qwf("rm", "psi", "--json")
    done = json.loads(again.out)
    assert (again.status, done["removed"], done["error"]["code"]) == (7, [], 7)


def test_a_load_that_could_not_be_saved_is_saved_when_it_is_repeated(tmp_path: Path) -> None:
    np.save(tmp_path / "psi.npy", PSI)
    shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "data"))
    started = shell.qwf("server", "start", "--json")
    try:
        obstacle = tmp_path / "data" / f"temp-{json.loads(started.out)['pid']}.rdb"
        obstacle.mkdir()
        for _ in range(2):
            failed = shell.qwf("ingest", "psi.npy", "--resume")
            assert failed.status == 1, failed.err
            assert f"stored in memory, but not saved to {tmp_path}/data" in failed.lines[-1]
        obstacle.rmdir()
        done = shell.qwf("ingest", "psi.npy", "--resume", "--json")
        assert done.status == 0, done.err
        report = json.loads(done.out)
        assert (report["already"], report["durability"]) == (True, f"rdb (saved to {tmp_path}/data)")
        assert (tmp_path / "data" / "qwf.rdb").stat().st_size > PSI.nbytes
    finally:
        shell.qwf("server", "stop")
