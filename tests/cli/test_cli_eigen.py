"""Eigenstates on the command line: stored, looked at, resumed, and estimated without being computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.support.command import Shell

TEXT = "eigen:potential=harmonic,omega=2,n=3,mass=1.5"


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell.at(tmp_path, QWF_URL=server.url)


def test_the_command_stores_them(shell: Shell) -> None:
    dry = shell.qwf("ingest", "eigen:potential=coulomb,n=500", "--grid", "128", "--dry-run", "--json")
    assert json.loads(dry.out)["states"] == "the 500 lowest of this potential, in rising energy"
    stored = shell.qwf("ingest", TEXT, "--grid", "128x1", "--name", "levels", "--json")
    assert stored.status == 0, stored.err
    facts = json.loads(stored.out)["source_facts"]
    assert [facts[f"energy_{n}"] for n in range(3)] == pytest.approx([1, 3, 5], rel=1e-9)
    seen = shell.qwf("observe", "levels", "--potential", "harmonic:omega=2", "--json")
    assert [frame["energy"] for frame in json.loads(seen.out)["rows"]] == pytest.approx([1, 3, 5], rel=1e-9)
    again = shell.qwf("ingest", TEXT, "--grid", "128x1", "--name", "levels", "--resume", "--json")
    assert json.loads(again.out)["already"] is True
    assert shell.qwf("estimate", "eigen:potential=coulomb,n=200", "--grid", "64", "--json").status == 0


def test_the_json_report_has_the_warnings_after_the_run(shell: Shell) -> None:
    stored = shell.qwf("ingest", "eigen:potential=harmonic,n=2", "--grid", "24x24", "--name", "cut", "--json")
    assert stored.status == 0, stored.err
    assert json.loads(stored.out)["warnings"] == [
        "state 1 belongs to a level of which n=2 cuts off a part: give n=3 for all of it"
    ]
