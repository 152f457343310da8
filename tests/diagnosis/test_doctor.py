"""`qwf doctor` as a user runs it: on a bare machine, beside a dead server, with few rights, with an unfit server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.loads import ask, contents

PASSWORD = "secret"


@pytest.fixture(scope="module")
def fresh() -> Iterator[Server]:
    """A server of these tests, without persistence, whose memory has a limit."""
    yield from new_server("valkey", maxmemory="1gb")


def told(shell: Shell, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what --json says, by subject."""
    outcome = shell.qwf("doctor", "--json", *arguments)
    facts = json.loads(outcome.out)
    assert facts["fit"] is (outcome.status == 0)
    assert facts.get("error", {}).get("code", 0) == outcome.status
    assert bool(outcome.err) is not facts["fit"]
    return outcome.status, {check["subject"]: check for check in facts["checks"]}


def test_a_bare_machine_is_fit_and_no_server_is_started(tmp_path: Path) -> None:
    shell = Shell.at(tmp_path)
    status, checks = told(shell)
    assert status == 0, checks
    assert checks["server"]["text"].startswith("the embedded one does not run, and starts when it is needed")
    assert {"python", "packages", "extras", "locale", "data", "spool"} <= checks.keys()
    assert not (tmp_path / "xdg_data_home").exists()


def test_a_dead_server_is_one_line_and_not_the_end(tmp_path: Path) -> None:
    outcome = Shell.at(tmp_path).qwf("doctor", "-u", "redis://localhost:1")
    assert outcome.status == 3
    lines = outcome.out.splitlines()
    assert lines[0].startswith("not fit  server        redis://localhost:1: connection refused")
    assert lines[1].strip() == "cure: redis-cli -h localhost -p 1 PING"
    assert any(line.startswith("fit      spool ") for line in lines)


def test_an_unfit_server_is_told_with_its_cures_and_nothing_is_changed(fresh: Server, tmp_path: Path) -> None:
    shell = Shell.at(tmp_path, QWF_URL=fresh.url)
    ask(fresh, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    ask(fresh, "SET", "somebody", "else's")
    before = contents(fresh)
    status, checks = told(shell)
    assert status == 4
    assert (checks["policy"]["verdict"], checks["persistence"]["verdict"]) == ("not fit", "not fit")
    assert checks["policy"]["cure"] == f"redis-cli -s {fresh.socket} CONFIG SET maxmemory-policy noeviction"
    assert checks["rights"]["text"] == "default may read and write, and all else"
    assert checks["clock"]["verdict"] == checks["memory"]["verdict"] == "fit"
    assert contents(fresh) == before
    terse = shell.qwf("doctor", "-q")
    assert terse.lines == ["qwf: not fit: policy, persistence (exit 4)"]
    assert {line.split("  ")[0] for line in terse.out.splitlines()} <= {"not fit", ""}
    for setting, value in (("maxmemory-policy", "noeviction"), ("appendonly", "yes")):
        ask(fresh, "CONFIG", "SET", setting, value)
    assert told(shell)[0] == 0
    ask(fresh, "CONFIG", "SET", "appendonly", "no")


@pytest.mark.parametrize(
    ("user", "taken", "says"),
    [
        ("qwf", "-hset", "qwf may read, and not write: hset"),
        ("qwf", "-hget", "qwf may not even read: hget"),
        ("qwf-reader", "-info", "qwf-reader may not even read: info"),
        ("qwf-reader", "+ping", "qwf-reader may read, and not write: del, eval, hdel, hscan, unlink"),
        (
            "qwf",
            "-restore -client|kill",
            "qwf may read and write; layout packed is slower to write (no restore); ",
        ),
    ],
)
def test_rights_are_found_without_a_trace(
    fresh: Server, tmp_path: Path, user: str, taken: str, says: str
) -> None:
    shell = Shell.at(tmp_path, QWF_URL=f"unix://{user}@{fresh.socket}", QWF_PASSWORD=PASSWORD)
    lines = [line.split() for line in shell.qwf("server", "acl").out.splitlines()]
    (rules,) = (rules for _, name, *rules in lines if name == user)
    ask(fresh, "ACL", "SETUSER", user, *rules, f">{PASSWORD}", *taken.split())
    before = contents(fresh)
    status, checks = told(shell)
    assert checks["rights"]["text"].startswith(says)
    assert status == (8 if "not" in says else 0)
    assert "qwf server acl" in checks["rights"]["cure"]
    assert contents(fresh) == before
