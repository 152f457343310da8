"""One name is loaded by one process at a time: which other process may take it over, and when."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

import qwf_async
from qwf_async import sources
from qwf_async.errors import Refused
from tests.support.command import Begun, Shell
from tests.support.ingest_rig import CHUNKS, Rig, new_rig, send
from tests.support.waiting import is_stopped, wait_until


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from new_rig(tmp_path_factory)


def freeze(begun: Begun) -> None:
    """SIGSTOP, and wait until it stands still."""
    begun.signal(signal.SIGSTOP)
    wait_until(lambda: is_stopped(begun.process.pid))


async def ingest(rig: Rig, name: str, **options: bool) -> None:
    """What `qwf ingest psi.npy --name NAME` does, without a process of its own."""
    with closing(sources.npy(rig.shell.directory / "psi.npy")) as source:
        async with qwf_async.connect(rig.server.url) as store:
            await qwf_async.ingest(source, store, name, **options)  # type: ignore[arg-type] # options of ingest


def test_process_that_slept_past_its_deadline_cannot_publish(rig: Rig) -> None:
    short = replace(rig, shell=rig.shell.having(QWF_OWNERSHIP_TTL="1"))

    def is_late() -> bool:
        with rig.server.plain as client:
            seconds, _ = client.time()
        return int(rig.load("slept")["owner_deadline"]) < 1000 * int(seconds)

    with short.begin_held("slept", 2) as sleeper:
        short.wait_for_load("slept", 2)
        freeze(sleeper)
        wait_until(is_late)
        taken = short.ingest_held("slept", "--resume")
        with rig.server.plain as client:
            published = client.hgetall("qwf:{slept}:meta")
        sleeper.signal(signal.SIGCONT)
        outcome = sleeper.end()
    assert taken.status == 0, taken.err
    assert outcome.status == 8, outcome.err
    assert "taken over" in outcome.lines[-1]
    with rig.server.plain as client:
        assert client.hgetall("qwf:{slept}:meta") == published
    rig.check_whole("slept")


def test_of_two_ingests_of_one_name_one_wins_and_the_other_names_it(rig: Rig) -> None:
    with rig.begin_held("contested", 1) as one, rig.begin_held("contested", 1) as other:
        rig.wait_for_load("contested", 1)
        winner = int(rig.load("contested")["owner_pid"])
        removed = rig.shell.qwf("rm", "contested")
        loser = other if winner == one.process.pid else one
        lost = loser.end()
        rig.let("contested", CHUNKS)
        won = (one if loser is other else other).end()
    assert won.status == 0, won.err
    for refused in (lost, removed):
        assert refused.status == 8, refused.err
        assert f"being loaded by process {winner} on " in refused.err
        assert len(refused.lines) == 1
    rig.check_whole("contested")


def test_process_that_is_frozen_but_not_late_keeps_its_name(rig: Rig) -> None:
    patient = replace(rig, shell=rig.shell.having(QWF_OWNERSHIP_TTL="3600"))
    with patient.begin_held("frozen", 1) as frozen:
        rig.wait_for_load("frozen", 1)
        freeze(frozen)
        for options in ({"resume": True}, {"discard": True}):
            with pytest.raises(Refused, match=f"being loaded by process {frozen.process.pid} on "):
                anyio.run(partial(ingest, rig, "frozen", **options))
        rig.let("frozen", CHUNKS)
        frozen.signal(signal.SIGCONT)
        assert frozen.end().status == 0
    rig.check_whole("frozen")


def test_source_that_was_touched_is_not_resumed(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "psi.npy").write_bytes((rig.shell.directory / "psi.npy").read_bytes())
    shell = Shell.at(tmp_path, QWF_URL=rig.server.url)
    command = ["ingest", "psi.npy", "--name", "touched"]
    with shell.begin(*command, "--max-rate", "1000") as begun:  # half a minute for each chunk
        rig.wait_for_load("touched", 1)
        assert send(begun, signal.SIGKILL).status == 137
    before = rig.load("touched")
    os.utime(tmp_path / "psi.npy")
    refused = shell.qwf(*command, "--resume")
    assert refused.status == 8
    assert re.search("cannot be resumed, it differs in source: .*--discard", refused.err)
    assert len(refused.lines) == 1
    assert rig.load("touched") == before
    anyio.run(partial(ingest, rig, "touched", discard=True))
    rig.check_whole("touched")
