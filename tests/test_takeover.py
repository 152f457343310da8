"""One name is loaded by one process: who may take it over, and when."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Shell
from ingests import PACED, Place, new_place, send


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from new_place(tmp_path_factory)


def test_process_that_slept_past_its_deadline_cannot_publish(place: Place) -> None:
    short = Place(shell=place.shell.having(QWF_OWNERSHIP_TTL="1"), server=place.server, fields=place.fields)
    with short.begin("slept", *PACED) as sleeper:
        short.wait_for_load("slept", 2)
        sleeper.signal(signal.SIGSTOP)
        time.sleep(1.2)
        taken = short.ingest("slept", "--resume")
        with place.server.plain as client:
            published = client.hgetall("qwf:{slept}:meta")
        sleeper.signal(signal.SIGCONT)
        outcome = sleeper.end()
    assert taken.status == 0, taken.err
    assert outcome.status == 8, outcome.err
    assert "taken over" in outcome.lines[-1]
    with place.server.plain as client:
        assert client.hgetall("qwf:{slept}:meta") == published
    place.check_whole("slept")


def test_of_two_ingests_of_one_name_one_wins_and_the_other_names_it(place: Place) -> None:
    with place.begin("contested", *PACED) as one, place.begin("contested", *PACED) as other:
        place.wait_for_load("contested", 1)
        winner = int(place.load("contested")["owner_pid"])
        os.kill(winner, signal.SIGSTOP)  # so that it has not finished before the others have asked
        removed = place.shell.qwf("rm", "contested")
        loser = other if winner == one.process.pid else one
        lost = loser.end()
        os.kill(winner, signal.SIGCONT)
        won = (one if loser is other else other).end()
    assert won.status == 0, won.err
    for refused in (lost, removed):
        assert refused.status == 8, refused.err
        assert f"being loaded by process {winner} on " in refused.err
        assert len(refused.lines) == 1
    place.check_whole("contested")


def test_process_that_is_frozen_but_not_late_keeps_its_name(place: Place) -> None:
    with place.begin("frozen", *PACED) as frozen:
        place.wait_for_load("frozen", 1)
        frozen.signal(signal.SIGSTOP)
        for option in ("--resume", "--discard"):
            refused = place.ingest("frozen", option)
            assert refused.status == 8, refused.err
            assert f"being loaded by process {frozen.process.pid} on " in refused.err
        frozen.signal(signal.SIGCONT)
        assert frozen.end().status == 0
    place.check_whole("frozen")


def test_source_that_was_touched_is_not_resumed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "psi.npy").write_bytes((place.shell.directory / "psi.npy").read_bytes())
    shell = Shell.at(tmp_path, QWF_URL=place.server.url)
    command = ["ingest", "psi.npy", "--name", "touched"]
    with shell.begin(*command, *PACED) as begun:
        place.wait_for_load("touched", 2)
        assert send(begun, signal.SIGKILL).status == 137
    before = place.load("touched")
    os.utime(tmp_path / "psi.npy")
    refused = shell.qwf(*command, "--resume")
    assert refused.status == 8
    assert re.search("cannot be resumed, it differs in source: .*--discard", refused.err)
    assert len(refused.lines) == 1
    assert place.load("touched") == before
    assert shell.qwf(*command, "--discard").status == 0
    place.check_whole("touched")
