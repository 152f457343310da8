"""`qwf ls`: a table that fits 80 columns, with the states of names: stored, being loaded, interrupted, spooled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import qwf_async
from qwf_async import sources
from qwf_async.catalog.keys import Keys
from qwf_async.cli.listing import WIDTH, Listed, lines_of
from qwf_async.store.listing import Entry
from tests.conftest import Server, new_server
from tests.support.command import Shell
from tests.support.handmade import begin, fill, manifest
from tests.support.loads import leave_unfinished, wave
from tests.support.loops import ON_ASYNCIO
from tests.support.outages import left, owing

pytestmark = pytest.mark.anyio
PSI = sources.array(wave(8, 10, 10, 10))
LONG = "n" * 100


@ON_ASYNCIO
@pytest.mark.usefixtures("small_chunks")
async def test_each_name_has_its_state_and_what_to_do(own_server: Server, tmp_path: Path) -> None:
    async with qwf_async.connect(own_server.url) as store:
        await qwf_async.ingest(PSI, store, "kept", layout="packed")
        await qwf_async.ingest(PSI, store, LONG)
        await leave_unfinished(own_server, PSI, 1000, "stopped")
        load = await begin(store.pool, manifest(), keys=Keys(prefix="qwf", name="running"))
        await fill(store.pool, load, range(3))
        shell = Shell.at(tmp_path, QWF_URL=own_server.url)
        shown, by_size, as_json, wrong = shell.each(
            ["ls"], ["ls", "--sort", "size", "--json"], ["ls", "--json"], ["ls", "--sort", "norm"]
        )
    assert (shown.status, shown.err) == (0, "")
    heads, *lines = shown.out.splitlines()
    assert heads.split() == ["name", "shape", "layout", "codec", "≈", "memory", "age", "state"]
    assert max(len(line) for line in (heads, *lines) if line != LONG) <= WIDTH
    kept = next(line for line in lines if line.startswith("kept "))
    assert kept.split()[1:4] == ["8×10×10×10", "packed", "c16"]
    assert kept.endswith("  published")
    assert LONG in lines  # a name is never cut
    running = lines.index(next(line for line in lines if line.startswith("running")))
    assert lines[running].endswith("loading 75 %")
    assert lines[running + 1].startswith("  by process ")
    stopped = lines.index(next(line for line in lines if line.startswith("stopped")))
    assert "  interrupted " in lines[stopped]
    assert "the same qwf ingest with --resume goes on" in lines[stopped + 1]
    rows = {row["name"]: row for row in json.loads(as_json.out)}
    assert [*rows] == ["kept", LONG, "running", "stopped"]
    assert [row["name"] for row in json.loads(by_size.out)][:2] == [LONG, "kept"]
    assert rows["running"]["load"]["done"] == 0.75
    assert rows["running"]["load"]["held"] is True
    assert (rows["running"]["state"], rows["stopped"]["state"]) == ("loading", "interrupted")
    assert 0 < rows["stopped"]["load"]["done"] < 1
    per_point = rows["kept"]["bytes"] / 8000
    exact = json.loads(shell.qwf("info", "kept", "--json").out)["bytes_per_point"]
    assert per_point == pytest.approx(exact, rel=0.2)
    assert wrong.status == 2


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server of the test's own that has what it acknowledged after kill -9 too."""
    yield from new_server("valkey", appendonly="yes", appendfsync="always")


@ON_ASYNCIO
@pytest.mark.usefixtures("small_chunks")
async def test_what_waits_in_a_spool_is_listed_with_its_cure(durable: Server, tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    await owing(durable, spool_dir=spools)
    durable.start()
    shell = Shell.at(tmp_path, QWF_URL=durable.url, QWF_SPOOL_DIR=str(spools))
    shown, as_json = shell.each(["ls"], ["ls", "--json"])
    assert shown.out.splitlines()[1].endswith("  spooled")
    assert shown.out.splitlines()[-1].endswith("goes on with: qwf resume psi")
    (row,) = json.loads(as_json.out)
    assert row["state"] == "spooled"
    assert row["spools"] == [str(path) for path in left(spools) if path.suffix == ".spool"]


def test_nothing_is_listed_without_heads_and_a_spool_alone_has_a_row() -> None:
    assert list(lines_of([])) == []
    lines = list(lines_of([Listed(name="psi", entry=None, spools=["/spool/1"])]))
    assert lines[1].split() == ["psi", "-", "-", "-", "-", "-", "spooled"]
    damaged = Listed(
        name="psi", entry=Entry(name="psi", manifest=None, note="qwf:{psi}:meta is no record"), spools=()
    )
    assert [line.strip() for line in lines_of([damaged])][2] == "qwf:{psi}:meta is no record"
