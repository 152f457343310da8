"""Ingests that are stopped or killed at any moment say how to go on, and what is resumed is whole.

The moments are random; each test prints its seed, and QWF_TEST_SEED repeats it.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command import Begun, Outcome, Shell
from conftest import Server
from ingests import CHUNK_POINTS, CHUNKS, PACED, Place, new_place, send

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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from new_place(tmp_path_factory)


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("QWF_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"QWF_TEST_SEED={seed}")  # noqa: T201 # pytest shows it when the test fails
    return random.Random(seed)


def check_stopped(place: Place, name: str, begun: Begun, outcome: Outcome, number: int) -> None:
    """It had finished, or it ended in time and, if it had begun its load, said how to go on and gave it up."""
    load = place.load(name)
    began = load.get("owner_pid") == str(begun.process.pid)
    if "Traceback" in outcome.err:  # Python's own, from before `main` was entered
        assert "qwf_async/cli" not in outcome.err
        assert not began
        return
    assert outcome.status in (0, 128 + number), outcome
    assert outcome.seconds < 10
    if outcome.status == 0:
        assert load == {}
        assert f"stored {name}" in outcome.err or "already" in outcome.err
    elif began:
        assert f"(exit {128 + number})" in outcome.lines[-1]
        assert "--resume" in outcome.lines[-1]
        with place.server.plain as client:
            seconds, microseconds = client.time()
        assert int(load["owner_deadline"]) <= seconds * 1000 + microseconds // 1000


@pytest.mark.parametrize(
    ("number", "names", "stops"),
    [(signal.SIGINT, 7, 3), (signal.SIGTERM, 2, 3), (signal.SIGHUP, 2, 3)],
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_stopped_at_any_moment_again_and_again_it_is_resumed_whole(
    place: Place, chance: random.Random, number: int, names: int, stops: int
) -> None:
    moments = place.moments(chance, names * stops)

    def life(index: int) -> int:
        name = f"stopped{number}-{index}"
        stopped_while_loading = 0
        for moment in moments[index * stops :][:stops]:
            with place.begin(name, "--resume", *PACED) as begun:
                outcome = place.send_at(moment, name, begun, number)
            check_stopped(place, name, begun, outcome, number)
            stopped_while_loading += "chunks of" in outcome.err
        last = place.ingest(name, "--resume")
        assert last.status == 0, last.err
        place.check_whole(name)
        return stopped_while_loading

    with ThreadPoolExecutor(2) as both:
        stopped_while_loading = sum(both.map(life, range(names)))
    # Or the moments were no test; a few of them may all fall elsewhere on a busy machine.
    assert stopped_while_loading > 0 or names * stops < 20


def test_killed_at_any_moment_again_and_again_it_is_taken_over_at_once_and_whole(
    place: Place, chance: random.Random
) -> None:
    moments = place.moments(chance, 7 * 3)

    def life(index: int) -> int:
        name = f"killed{index}"
        killed_while_loading = journalled = 0
        for moment in moments[index * 3 :][:3]:
            with place.begin(name, "--resume", *PACED) as begun:
                outcome = place.send_at(moment, name, begun, signal.SIGKILL)
            assert outcome.status in (0, 137), outcome.err
            if load := place.load(name):
                killed_while_loading += load["owner_pid"] == str(begun.process.pid)
                with place.server.plain as client:
                    before, journalled = (
                        journalled,
                        client.hlen(f"qwf:{{{name}}}:journal:{load['generation']}"),
                    )
                assert journalled >= before  # each goes on from where the last ended
        last = place.ingest(name, "--resume")
        assert last.status == 0, last.err
        assert last.seconds < 15  # an owner that lives has 30 s
        place.check_whole(name)
        return killed_while_loading

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(life, range(7))) > 0  # or the moments were no test


def test_resumed_ingest_sends_only_what_the_journal_lacks(place: Place) -> None:
    with place.begin("rest", *PACED) as begun:
        place.wait_for_load("rest", 3)
        assert send(begun, signal.SIGKILL).status == 137
    refused = place.ingest("rest")
    assert refused.status == 8
    assert re.search(
        "unfinished load of rest: --resume goes on with it, --discard throws it away", refused.err
    )
    resumed = place.ingest("rest", "--resume", "--json", "--quiet")
    assert resumed.status == 0, resumed.err
    report = json.loads(resumed.out)
    assert 3 <= report["resumed_chunks"] < CHUNKS
    # A point travels as a field of 12 to 16 characters and a value of 16 bytes, each with its length.
    sent = CHUNKS - report["resumed_chunks"]
    assert sent * CHUNK_POINTS * 38 < report["bytes_sent"] < sent * CHUNK_POINTS * 46
    place.check_whole("rest")


@pytest.fixture
def blocking(tmp_path: Path, own_server: Server) -> Shell:
    """A shell where blocking:psi is a source that blocks in its first chunk while `block-reading` is there."""
    (tmp_path / "blocking.py").write_text(BLOCKING)
    (tmp_path / "block-reading").touch()
    return Shell.at(tmp_path, QWF_URL=own_server.url)


BLOCKED = ["ingest", "blocking:psi", "--grid", "2x2x33000", "--box", "1", "--name", "psi"]


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name} after 30 s"
        time.sleep(0.01)


def test_interrupted_with_nothing_written_it_starts_when_resumed(blocking: Shell, own_server: Server) -> None:
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "reading")
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert "0 of 4 chunks of psi are stored: run the same command with --resume" in outcome.lines[-1]
    assert outcome.seconds < 1.5
    (blocking.directory / "block-reading").unlink()
    resumed = blocking.qwf(*BLOCKED, "--resume")
    assert resumed.status == 0, resumed.err
    with own_server.plain as client:
        generation = client.hget("qwf:{psi}:meta", "generation")
        assert generation is not None
        assert client.hlen(f"qwf:psi:{generation.decode()}:s0") == 4 * 33_000


def test_interrupt_ends_it_at_once_before_anything_is_begun(blocking: Shell, own_server: Server) -> None:
    (blocking.directory / "block-sampling").touch()
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "sampling")
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.seconds < 1.3
    assert outcome.lines == ["qwf: stopped by SIGINT (exit 130)"]
    with own_server.plain as client:
        assert client.keys() == []


def test_second_interrupt_ends_it_within_a_second_while_the_source_blocks(blocking: Shell) -> None:
    with blocking.begin(*BLOCKED) as begun:
        wait_for(blocking.directory / "reading")
        begun.signal(signal.SIGINT)
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.seconds < 1.3
    assert "Traceback" not in outcome.err


def test_second_interrupt_ends_it_within_a_second_in_the_midst_of_a_paced_load(place: Place) -> None:
    with place.begin("twice", *PACED) as begun:
        place.wait_for_load("twice", 2)
        begun.signal(signal.SIGINT)
        outcome = send(begun, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.seconds < 1.3
    assert "Traceback" not in outcome.err
    assert place.ingest("twice", "--resume").status == 0
    place.check_whole("twice")


@pytest.mark.parametrize("signals", [1, 2])
def test_draining_ends_in_time_on_a_server_that_hangs(place: Place, own_server: Server, signals: int) -> None:
    here = Place(
        shell=place.shell.having(QWF_URL=own_server.url, QWF_DRAIN_TIMEOUT="2" if signals == 1 else "10"),
        server=own_server,
        fields=place.fields,
    )
    assert own_server.process is not None
    with here.begin("hung", *PACED) as begun:
        here.wait_for_load("hung", 1)
        own_server.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(0.3)  # a batch is under way by then
            if signals == 2:
                begun.signal(signal.SIGINT)
                time.sleep(0.3)  # long enough that it drains, and not so long that it gives up
                assert begun.process.poll() is None
            outcome = send(begun, signal.SIGINT)
        finally:
            own_server.process.send_signal(signal.SIGCONT)
    assert outcome.status == 130
    assert outcome.seconds < (1.3 if signals == 2 else 2 + 2 + 1)  # draining, settling, and some
    assert "Traceback" not in outcome.err
    assert here.ingest("hung", "--resume").status == 0
    here.check_whole("hung")


def test_hang_up_of_the_terminal_is_no_matter_under_nohup(place: Place) -> None:
    command = ["nohup", sys.executable, "-m", "qwf_async", "ingest", "psi.npy", "--name", "kept", *PACED]
    with place.shell.start(command) as begun:
        place.wait_for_load("kept", 1)
        begun.signal(signal.SIGHUP)
        outcome = begun.end()
    assert outcome.status == 0, outcome.err
    place.check_whole("kept")


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
def test_library_call_puts_the_callers_signal_handlers_back(place: Place, loop: str) -> None:
    with place.shell.start([sys.executable, "-c", LIBRARY_CALL, loop]) as begun:
        outcome = begun.end()
    assert (outcome.status, outcome.out, outcome.err) == (0, "15 1\n", "")
    place.check_whole("library")
