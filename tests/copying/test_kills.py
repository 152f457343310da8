"""Killed at any moment and repeated until it exits 0, a copy, move, backup or restore is done, and leaves nothing."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.copying.test_backup import Held, held
from tests.support.chance import new_seed
from tests.support.command import Shell
from tests.support.loads import ask

FORMS = (["--layout", "flat"], ["--layout", "packed", "--codec", "c8"], ["--layout", "tile"])
LONGEST = 0.6
"""Seconds within which a command is killed: about what one takes that nobody kills."""


def killed(shell: Shell, command: list[str], moment: float) -> bool:
    """Run a command, and kill it at that moment. Whether it was quicker."""
    with shell.begin(*command) as begun:
        try:
            begun.process.wait(moment)
        except subprocess.TimeoutExpired:
            begun.process.kill()
            begun.end()
            return False
        outcome = begun.end()
        assert outcome.status == 0, outcome.err
        return True


def until_done(shell: Shell, command: list[str], kills: int, chance: random.Random) -> None:
    for _ in range(kills):
        if killed(shell, command, chance.uniform(0.05, LONGEST)):
            return
    outcome = shell.qwf(*command)
    assert outcome.status == 0, outcome.err


def check_only(server: Server, *names: str) -> None:
    """Check that the server has what is published under these names, and no other key of ours."""
    with server.plain as client:
        assert sorted(client.hkeys("qwf:names")) == sorted(name.encode() for name in names)
        left = {key.decode() for key in client.scan_iter(count=1000)} - {"qwf:names"}
    for name in names:
        generation = ask(server, "HGET", f"qwf:{{{name}}}:meta", "generation").decode()
        left = {
            key
            for key in left - {f"qwf:{{{name}}}:meta"}
            if not key.startswith(f"qwf:{name}:{{{generation}.")
        }
    assert not left


def named(whole: Held, name: str) -> Held:
    """What is held of a name, as if it were called NAME."""
    return {
        key.replace(name.encode(), b"NAME"): {
            field: value for field, value in fields.items() if field != b"created"
        }
        for key, fields in whole.items()
        if name.encode() in key
    }


@pytest.mark.parametrize("rounds", [1, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])])
def test_what_is_killed_and_repeated_is_done_once(own_server: Server, tmp_path: Path, rounds: int) -> None:
    chance = random.Random(new_seed())
    shell = Shell.at(tmp_path, QWF_URL=own_server.url, QWF_MAX_RATE="150000")
    for number in range(rounds):
        form = FORMS[number % len(FORMS)] if rounds > 1 else chance.choice(FORMS)
        ask(own_server, "FLUSHALL")
        load = ["ingest", "hydrogen:n=2,l=1,m=1", "--grid", "32", "--name", "first", *form]
        assert shell.having(QWF_MAX_RATE="1e9").qwf(*load).status == 0
        before = held(own_server)
        kills = chance.randint(1, 3 if rounds > 1 else 2)

        until_done(shell, ["cp", "first", "second", "--resume"], kills, chance)
        check_only(own_server, "first", "second")
        assert named(held(own_server), "second") == named(before, "first")

        until_done(shell, ["mv", "second", "third", "--resume"], kills, chance)
        check_only(own_server, "first", "third")
        assert named(held(own_server), "third") == named(before, "first")

        directory = f"backup{number}"
        until_done(shell, ["backup", directory], kills, chance)
        files = sorted(path.name.split(".")[0] + path.suffix for path in (tmp_path / directory).iterdir())
        assert files == ["first.json", "first.npy", "third.json", "third.npy"]

        whole = held(own_server)
        ask(own_server, "FLUSHALL")
        until_done(shell, ["restore", directory], kills, chance)
        check_only(own_server, "first", "third")
        assert held(own_server) == whole
