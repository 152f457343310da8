"""Jobs in processes of their own, that are killed and stopped while their server is killed, stopped and emptied."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.conftest import Server, new_server
from tests.support.failing_over import job, on_server, told
from tests.support.waiting import is_stopped, wait_until

JOBS = 4


@pytest.fixture
def durable() -> Iterator[Server]:
    """A server that has what it acknowledged after kill -9, too."""
    yield from new_server("valkey", appendonly="yes")


def check(server: Server, tmp_path: Path) -> None:
    """Each acknowledged trial is there once with its value, none was invented, and no number was shown twice."""
    notes = sorted(tmp_path.glob("notes*"))
    asked = told(*notes)
    trials = on_server(server.url, tmp_path / "elsewhere")
    there = {trial._trial_id: trial for trial in trials}
    assert len(there) == len(trials)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    for number, trial_id, value in asked:
        trial = there.pop(trial_id)
        assert trial.system_attrs.get("qwf:asked_as", trial.number) == number
        if value is not None:
            assert (trial.state, trial.value, trial.params) == (TrialState.COMPLETE, value, {"x": value})
    # What is left are trials of jobs that were killed before they could note them.
    assert len(there) <= JOBS
    for host in notes:
        numbers = [number for number, _, _ in told(host)]
        assert len(set(numbers)) == len(numbers)


def running(server: Server, tmp_path: Path, end: Path) -> list[int]:
    jobs = [
        job(server.url, tmp_path / "host", tmp_path / "notes", until=end.exists, pause=0.01)
        for _ in range(JOBS)
    ]
    wait_until(lambda: (tmp_path / "notes").exists() and len(told(tmp_path / "notes")) > 4 * JOBS)
    return jobs


def acknowledged(tmp_path: Path, more: int) -> None:
    """Wait until so many more trials were acknowledged."""
    enough = len(told(tmp_path / "notes")) + more
    wait_until(lambda: len(told(tmp_path / "notes")) >= enough)


def ended(jobs: list[int]) -> list[int]:
    return [os.waitpid(pid, 0)[1] for pid in jobs]


@pytest.mark.parametrize("what", ["killed", "stopped", "emptied"])
def test_no_job_is_told_of_an_outage(durable: Server, tmp_path: Path, what: str) -> None:
    end = tmp_path / "end"
    jobs = running(durable, tmp_path, end)
    if what == "stopped":
        durable.stop()
    else:
        durable.kill()
    acknowledged(tmp_path, 10 * JOBS)
    if what == "emptied":
        for file in (durable.directory / "appendonlydir").iterdir():
            file.unlink()
    if what == "stopped":
        durable.go_on()
    else:
        durable.start()
    acknowledged(tmp_path, 10 * JOBS)
    end.touch()
    assert ended(jobs) == [0] * JOBS
    check(durable, tmp_path)


def test_jobs_are_killed_and_stopped_at_any_moment_of_an_outage(durable: Server, tmp_path: Path) -> None:
    chance = random.Random(3)
    end = tmp_path / "end"
    jobs = running(durable, tmp_path, end)
    durable.kill()
    acknowledged(tmp_path, 2 * JOBS)
    stopped, killed = jobs[0], jobs[1:3]
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: is_stopped(stopped))
    time.sleep(chance.random() / 10)  # the moment is what is tested
    os.kill(killed[0], signal.SIGKILL)
    os.kill(stopped, signal.SIGCONT)
    durable.start()
    time.sleep(chance.random() / 3)  # as above: while they bring it to the server
    os.kill(killed[1], signal.SIGKILL)
    acknowledged(tmp_path, 5 * JOBS)
    end.touch()
    assert ended(jobs) == [0, signal.SIGKILL, signal.SIGKILL, 0]
    check(durable, tmp_path)
