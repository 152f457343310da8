"""What a shell is offered, asked as each shell asks it."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Server
from tests.support.command import Shell

PATIENCE = 10.0
"""Seconds, far more than a server that gives no answer is waited for, and less than any timeout of the settings."""


OFFERED = {
    "qwf get|p": ["packet"],
    "qwf rm|wall|": ["packet", "wall"],
    "qwf ingest|hyd": ["hydrogen", "hydrogen:"],
    "qwf ingest|ps": ["psi.npy"],
    "qwf ingest|fr": ["frames/"],
    "qwf ingest|hydrogen|:": ["n=", "l=", "m=", "Z=", "mass="],
    "qwf ingest|hydrogen|:|n|=|2,": ["2,l=", "2,m=", "2,Z=", "2,mass="],
    "qwf ingest|ev": ["evolve:potential="],
    "qwf ingest|evolve|:|potential|=|bar": ["barrier"],
    "qwf ingest|evolve|:|potential|=|barrier,he": ["barrier,height="],
    "qwf ingest|eigen|:|potential|=|harmonic,om": ["harmonic,omega="],
    "qwf verify|packet|gau": ["gaussian", "gaussian:"],
    "qwf observe|packet|--potential|harm": ["harmonic"],
    "qwf observe|packet|--potential|harmonic|:": ["omega=", "centre="],
    "qwf server|sto": ["stop"],
    "qwf whe": ["where"],
}
"""Words as bash has them, with | between → what it is offered."""


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    """A shell where psi.npy and a folder are, and packet and wall are stored on the server that QWF_URL names."""
    np.save(tmp_path / "psi.npy", np.ones((1, 2, 3, 4), complex))
    (tmp_path / "frames").mkdir()
    shell = Shell.at(tmp_path, QWF_URL=server.url)
    for name in ("packet", "wall"):
        assert shell.qwf("ingest", "psi.npy", "--name", name, "--quiet").status == 0
    return shell


def by_bash(shell: Shell, words: Sequence[str]) -> list[str]:
    """The last of the words is being typed; bash has broken them at colons and equals signs."""
    asking = shell.having(
        COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1), _QWF_COMPLETE="complete_bash"
    )
    told = asking.qwf()
    assert (told.status, told.err) == (0, "")
    return told.out.split()


def by_zsh_or_fish(shell: Shell, kind: str, line: str) -> str:
    told = shell.having(
        _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args", _QWF_COMPLETE=f"complete_{kind}"
    ).qwf()
    assert (told.status, told.err) == (0, "")
    return told.out


def test_bash_is_offered_what_there_is(shell: Shell) -> None:
    told = {
        words: by_bash(shell, [part for word in words.split("|") for part in word.split(" ")])
        for words in OFFERED
    }
    assert told == OFFERED


def test_zsh_and_fish_are_offered_whole_words(shell: Shell) -> None:
    assert by_zsh_or_fish(shell, "fish", "qwf ingest hydrogen:n").splitlines() == ["hydrogen:n="]
    assert "hydrogen\\\\:n=" in by_zsh_or_fish(shell, "zsh", "qwf ingest hydrogen:n")
    assert by_zsh_or_fish(shell, "fish", "qwf info pa").splitlines() == ["packet"]


def test_names_come_from_the_server_of_the_options(shell: Shell, server: Server) -> None:
    nowhere = shell.having(QWF_URL="redis://localhost:1")
    assert by_bash(nowhere, ["qwf", "get", ""]) == []
    assert by_zsh_or_fish(nowhere, "fish", f"qwf -u {server.url} get w").split() == ["wall"]
    assert by_zsh_or_fish(nowhere, "fish", f"qwf get --url {server.socket} w").split() == ["wall"]


def test_at_a_failure_nothing_is_offered_and_no_server_started(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="qwf-") as runtime:
        shell = Shell.at(tmp_path, QWF_DATA_DIR=str(tmp_path / "none"), XDG_RUNTIME_DIR=runtime)
        assert by_bash(shell, ["qwf", "get", ""]) == []
        assert by_bash(shell.having(QWF_WRITERS="many"), ["qwf", "get", ""]) == []
        assert list(Path(runtime).iterdir()) == list(tmp_path.iterdir()) == []


def test_a_server_that_gives_no_answer_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        shell = Shell.at(tmp_path, QWF_URL=f"localhost:{silent.getsockname()[1]}", QWF_SOCKET_TIMEOUT="60")
        begun = time.monotonic()
        assert by_bash(shell, ["qwf", "get", ""]) == []
        assert time.monotonic() - begun < PATIENCE
