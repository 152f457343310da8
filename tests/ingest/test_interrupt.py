"""Ingests that are stopped or killed at any moment say how to go on, and what is resumed is whole.

The moments are random; each test prints its seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import json
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from qwf_async import Grid, sources
from qwf_async.ingesting.shutdown import LAST_GRACE
from tests.conftest import PATIENCE, Server
from tests.support.chance import new_seed
from tests.support.command import Begun, Outcome, Shell
from tests.support.ingest_rig import CHUNK_POINTS, CHUNKS, PACED, SOURCE, Rig, new_rig, send
from tests.support.loads import ask, data_keys, plain_fields

BLOCKING = """
import pathlib, time
def psi(t, x, y, z):
    # The fingerprint samples 8 points of an axis; what is stored comes after it.
    step = "reading" if z.size > 8 else "sampling"
    pathlib.Path(step).touch()
    while pathlib.Path(f"block-{step}").exists():
        time.sleep(0.02)
    return t + x + y + z + 0j
"""


ENDLESS = {"QWF_DRAIN_TIMEOUT": "3600", "QWF_OWNERSHIP_TTL": "3600"}
"""Time limits of an hour: what ends or goes on with them has waited for neither."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    for each in new_rig(tmp_path_factory):
        yield replace(each, shell=each.shell.having(**ENDLESS))


@pytest.fixture
def chance() -> random.Random:
    return random.Random(new_seed())


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The moment of a signal: `seconds` after the process or its load began. It may read `chunks` by then."""

    while_loading: bool
    seconds: float
    chunks: int

    def send(self, number: int, rig: Rig, name: str) -> tuple[Begun, Outcome]:
        """Begin an ingest that resumes, and send it a signal at this moment."""
        with rig.begin_held(name, self.chunks, "--resume", anew=not self.while_loading) as begun:
            since = begun.since
            if self.while_loading and rig.await_own_load(name, begun):
                since = time.monotonic()
            time.sleep(max(0.0, since + self.seconds - time.monotonic()))
            return begun, send(begun, number)


def moments(chance: random.Random, rig: Rig, lives: int) -> list[list[Moment]]:
    """Three for each of so many ingests.

    The first is any, from the first moment on; at the second the process is loading for certain,
    for its source holds chunks back; by the third it may have finished.
    """
    start_up = rig.start_up()

    def drawn(chunks: int, *, while_loading: bool) -> Moment:
        seconds = chance.uniform(0, 0.4 if while_loading else 1.2 * start_up)
        return Moment(while_loading=while_loading, seconds=seconds, chunks=chunks)

    return [
        [
            drawn(chance.randint(1, 2), while_loading=chance.random() < 0.4),
            drawn(chance.randint(1, 2), while_loading=True),
            drawn(CHUNKS, while_loading=True),
        ]
        for _ in range(lives)
    ]


def check_stopped(rig: Rig, name: str, begun: Begun, outcome: Outcome, number: int) -> bool:
    """It had finished, or it ended and, if it had begun its load, said how to go on and gave it up: whether it had."""
    load = rig.load(name)
    began = load.get("owner_pid") == str(begun.process.pid)
    if outcome.never_began:
        assert not began
        return False
    assert "Traceback" not in outcome.err
    assert outcome.status in (0, 128 + number), outcome
    if outcome.status == 0:
        assert load == {}
        assert f"stored {name}" in outcome.err or "already" in outcome.err
        return False
    if began:
        assert f"(exit {128 + number})" in outcome.lines[-1]
        assert "--resume" in outcome.lines[-1]
        with rig.server.plain as client:
            seconds, microseconds = client.time()
        assert int(load["owner_deadline"]) <= seconds * 1000 + microseconds // 1000
    return began


@pytest.mark.parametrize(
    ("number", "lives"),
    [(signal.SIGINT, 4), (signal.SIGTERM, 2), (signal.SIGHUP, 1)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_stopped_at_any_moment_again_and_again_it_is_resumed_whole(
    rig: Rig, chance: random.Random, number: int, lives: int
) -> None:
    def life(index: int, stops: list[Moment]) -> int:
        name = f"stopped{number}-{index}"
        stopped_while_loading = 0
        for moment in stops:
            begun, outcome = moment.send(number, rig, name)
            stopped_while_loading += check_stopped(rig, name, begun, outcome, number)
        last = rig.ingest_held(name, "--resume")
        assert last.status == 0, last.err
        rig.check_whole(name)
        return stopped_while_loading

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(life, range(lives), moments(chance, rig, lives))) >= lives


def test_killed_at_any_moment_again_and_again_it_is_taken_over_at_once_and_whole(
    rig: Rig, chance: random.Random
) -> None:
    def life(index: int, stops: list[Moment]) -> int:
        name = f"killed{index}"
        killed_while_loading = journalled = 0
        for moment in stops:
            begun, outcome = moment.send(signal.SIGKILL, rig, name)
            assert outcome.status in (0, 137), outcome.err
            if load := rig.load(name):
                killed_while_loading += load["owner_pid"] == str(begun.process.pid)
                before, journalled = journalled, rig.journalled(name)
                assert journalled >= before  # each goes on from where the last ended
        last = rig.ingest_held(name, "--resume")  # an owner that lives has an hour
        assert last.status == 0, last.err
        rig.check_whole(name)
        return killed_while_loading

    lives = 4
    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(life, range(lives), moments(chance, rig, lives))) >= lives


def test_resumed_ingest_sends_only_what_the_journal_lacks(rig: Rig) -> None:
    with rig.begin_held("rest", 3) as begun:
        rig.wait_for_load("rest", 3)
        assert send(begun, signal.SIGKILL).status == 137
    refused = rig.ingest_held("rest")
    assert refused.status == 8
    assert re.search(
        "unfinished load of rest: --resume goes on with it, --discard throws it away", refused.err
    )
    resumed = rig.ingest_held("rest", "--resume", "--json", "--quiet")
    assert resumed.status == 0, resumed.err
    report = json.loads(resumed.out)
    assert report["resumed_chunks"] == 3
    # A point travels as a field of 11 to 14 characters and a value of 16 bytes, each after a byte with its length.
    assert (CHUNKS - 3) * CHUNK_POINTS * 29 < report["bytes_sent"] < (CHUNKS - 3) * CHUNK_POINTS * 33
    rig.check_whole("rest")


@pytest.mark.parametrize("source", ["held", "plane:k=1"])
def test_several_producers_stopped_in_the_midst_are_resumed_whole(rig: Rig, source: str) -> None:
    """One source is read in turn, and one by several threads at once."""
    rig = replace(rig, shell=rig.shell.having(QWF_PRODUCERS="4"))
    if source == "held":
        begun = rig.begin_held("several", 3)
    else:
        grid = Grid.of((CHUNKS, CHUNK_POINTS))
        psi = sources.plane(k=1, grid=grid).read(grid.whole)
        lines = [plain_fields(psi[:, x : x + 1], "c16", (0, x, 0, 0)) for x in range(CHUNKS)]
        rig = replace(rig, fields=lines)
        command = ("ingest", source, "--grid", f"{CHUNKS}x{CHUNK_POINTS}", "--name", "several")
        begun = rig.shell.begin(*command, *PACED)
    with begun:
        rig.wait_for_load("several", 3)
        outcome = send(begun, signal.SIGTERM)
    assert outcome.status == 143, outcome.err
    again = (
        rig.ingest_held("several", "--resume") if source == "held" else rig.shell.qwf(*command, "--resume")
    )
    assert again.status == 0, again.err
    rig.check_whole("several")


@pytest.fixture
def blocking(tmp_path: Path, own_server: Server) -> Shell:
    """A shell where blocking:psi is a source that blocks in its first chunk while `block-reading` is there."""
    (tmp_path / "blocking.py").write_text(BLOCKING)
    (tmp_path / "block-reading").touch()
    return Shell.at(tmp_path, QWF_URL=own_server.url, **ENDLESS)


BLOCKED = ["ingest", "blocking:psi", "--grid", "2x2x10000", "--box", "1", "--name", "psi"]


def wait_for(path: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name} after {PATIENCE:g} s"
        time.sleep(0.01)


def test_interrupted_with_nothing_written_it_starts_when_resumed(blocking: Shell, own_server: Server) -> None:
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "reading")
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert "0 of 4 chunks of psi are stored: run the same command with --resume" in outcome.lines[-1]
    (blocking.directory / "block-reading").unlink()
    resumed = blocking.qwf(*BLOCKED, "--resume")
    assert resumed.status == 0, resumed.err
    assert [ask(own_server, "HLEN", key) for key in data_keys(own_server)] == [10_000] * 4


def test_interrupt_ends_it_at_once_before_anything_is_begun(blocking: Shell, own_server: Server) -> None:
    (blocking.directory / "block-sampling").touch()
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "sampling")
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.lines == ["qwf: stopped by SIGINT (exit 130)"]
    with own_server.plain as client:
        assert client.keys() == []


def test_second_interrupt_ends_it_within_a_second_while_the_source_blocks(blocking: Shell) -> None:
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "reading")
        begun.signal(signal.SIGINT)
        begun.await_said("stopping")  # two that wait to be delivered would be one
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert "Traceback" not in outcome.err


def test_second_interrupt_ends_it_within_a_second_in_the_midst_of_a_load(rig: Rig) -> None:
    with rig.begin_held("twice", 2) as begun:
        rig.wait_for_load("twice", 2)
        begun.signal(signal.SIGINT)
        begun.await_said("stopping")
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert "Traceback" not in outcome.err
    assert rig.ingest_held("twice", "--resume").status == 0
    rig.check_whole("twice")


@pytest.mark.parametrize(("signals", "drain_timeout"), [(1, "0.5"), (2, "3600")])
def test_draining_ends_in_time_on_a_server_that_hangs(
    rig: Rig, own_server: Server, signals: int, drain_timeout: str
) -> None:
    """The read hangs until the process has ended. The other time limits are an hour, so nothing else can end it."""
    assert LAST_GRACE < 1
    hour = {f"QWF_{name}": "3600" for name in ("SOCKET_TIMEOUT", "DEADLINE", "GATE_TIMEOUT")}
    here = replace(
        rig,
        shell=rig.shell.having(QWF_URL=own_server.url, QWF_DRAIN_TIMEOUT=drain_timeout, **hour),
        server=own_server,
    )
    with here.begin_held("hung", 1) as begun:
        here.wait_for_load("hung", 1)
        own_server.stop()
        try:
            here.let("hung", 2)  # a batch that stays under way
            if signals == 2:
                begun.signal(signal.SIGINT)
                begun.await_said("stopping")
                assert begun.process.poll() is None
            outcome = send(begun, signal.SIGINT)
        finally:
            own_server.go_on()
    assert outcome.status == 130
    assert "Traceback" not in outcome.err
    assert here.ingest_held("hung", "--resume").status == 0
    here.check_whole("hung")


def test_hang_up_of_the_terminal_is_no_matter_under_nohup(rig: Rig) -> None:
    rig.let("kept", 1)
    command = ["nohup", sys.executable, "-m", "qwf_async", "ingest", *SOURCE, "--name", "kept"]
    with rig.shell.having(LET="let-kept").start(command) as begun:
        rig.wait_for_load("kept", 1)
        begun.signal(signal.SIGHUP)
        rig.let("kept", CHUNKS)
        outcome = begun.end()
    assert outcome.status == 0, outcome.err
    rig.check_whole("kept")


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_that_was_ignored_from_the_start_stays_so(rig: Rig, name: str) -> None:
    """A shell lets what a script starts in the background ignore SIGINT."""
    ingest = [sys.executable, "-m", "qwf_async", "ingest", *SOURCE, "--name", name]
    command = ["/bin/sh", "-c", f"trap '' {name}; exec \"$@\"", "sh", *ingest]
    rig.let(name, 1)
    with rig.shell.having(LET=f"let-{name}").start(command) as begun:
        rig.wait_for_load(name, 1)
        begun.signal(signal.Signals[f"SIG{name}"])
        rig.let(name, CHUNKS)
        outcome = begun.end()
    assert outcome.status == 0, outcome.err
    rig.check_whole(name)


LIBRARY_CALL = """
import os, signal, sys, anyio, qwf_async as qwf
heard = []
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, frame: heard.append(number))
async def main():
    async with qwf.connect() as store:
        await qwf.ingest(qwf.sources.npy("psi.npy"), store, "library", signals=True)
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep(0.1)
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.sleep(0.1)
anyio.run(main, backend_options={"use_uvloop": sys.argv[1] == "uvloop"})
print(*heard)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_library_call_puts_the_callers_signal_handlers_back(rig: Rig, loop: str) -> None:
    with rig.shell.start([sys.executable, "-c", LIBRARY_CALL, loop]) as begun:
        outcome = begun.end()
    assert (outcome.status, outcome.out, outcome.err) == (0, "15 1\n", "")
    rig.check_whole("library")
