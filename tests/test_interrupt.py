"""Ingests that are stopped, killed, frozen or doubled at any moment: what is resumed is whole, what was published stays.

Points are checked by plain redis-py against the file that they came from. The moments
are random; each test prints its seed, and QWF_TEST_SEED repeats it.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from command import Begun, Outcome, Shell
from conftest import Server, new_server

CHUNKS, CHUNK_POINTS = 6, 33_000
"""An axis of more than 2¹⁵ points makes a chunk of each of its lines: many chunks of few points."""

POINTS = CHUNKS * CHUNK_POINTS
PACED = ["--max-rate", str(POINTS)]
"""The last chunk is read CHUNKS − 1 parts of a second after the first."""

BLOCKING = """
import pathlib, time
def psi(t, x, y, z):
    if z.size > 8:  # not for the fingerprint, which samples 8 points of an axis
        pathlib.Path("reading").touch()
        while pathlib.Path("blocked").exists():
            time.sleep(0.02)
    return t + x + y + z + 0j
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server, a directory with psi.npy, and the fields that the server must hold in the end."""

    shell: Shell
    server: Server
    fields: dict[bytes, bytes]

    def begin(self, name: str, *options: str) -> Begun:
        return self.shell.begin("ingest", "psi.npy", "--name", name, *options)

    def ingest(self, name: str, *options: str) -> Outcome:
        return self.begin(name, *options).end()

    def load(self, name: str) -> dict[str, str]:
        """The record of the load of a name; empty if there is none."""
        with self.server.plain as client:
            found = client.hgetall(f"qwf:{{{name}}}:load")
        return {key.decode(): value.decode() for key, value in found.items()}

    def wait_for_load(self, name: str, chunks: int) -> None:
        """Return when the journal of the load under way has so many chunks."""
        end = time.monotonic() + 30
        with self.server.plain as client:
            while time.monotonic() < end:
                generation = client.hget(f"qwf:{{{name}}}:load", "generation")
                if generation and client.hlen(f"qwf:{{{name}}}:journal:{generation.decode()}") >= chunks:
                    return
                time.sleep(0.01)
        raise AssertionError(f"no load of {name} with {chunks} chunks after 30 s")

    def check_whole(self, name: str) -> None:
        """Every point is there and right, and nothing else of the name is left; then it is deleted."""
        with self.server.plain as client:
            generation = client.hget(f"qwf:{{{name}}}:meta", "generation")
            assert generation is not None
            journal = b"qwf:{%s}:journal:%s" % (name.encode(), generation)
            data = b"qwf:%s:%s:s0" % (name.encode(), generation)
            keys = {*client.scan_iter(f"qwf:{{{name}}}:*"), *client.scan_iter(f"qwf:{name}:*")}
            assert keys == {f"qwf:{{{name}}}:meta".encode(), journal, data}
            assert client.hlen(journal) == CHUNKS
            assert client.hgetall(data) == self.fields
            client.unlink(*keys)

    def duration(self) -> float:
        """Seconds that a paced ingest takes at the moment, start-up included."""
        outcome = self.ingest("measured", *PACED)
        assert outcome.status == 0, outcome.err
        self.check_whole("measured")
        return outcome.seconds


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("interrupt")
    rng = np.random.default_rng(11)
    psi = rng.standard_normal((CHUNKS, 1, CHUNK_POINTS)) + 1j * rng.standard_normal((CHUNKS, 1, CHUNK_POINTS))
    np.save(directory / "psi.npy", psi)
    data = psi.tobytes()
    fields = {b"x%d_y0_z%d_t0" % divmod(i, CHUNK_POINTS): data[16 * i : 16 * i + 16] for i in range(POINTS)}
    for server in new_server("valkey", maxmemory="1gb"):
        yield Place(shell=Shell.at(directory, QWF_URL=server.url), server=server, fields=fields)


@pytest.fixture
def moments() -> random.Random:
    seed = int(os.environ.get("QWF_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"QWF_TEST_SEED={seed}")
    return random.Random(seed)


def send_at(begun: Begun, moment: float, number: int) -> Outcome:
    """Send a signal so many seconds after the process began; the seconds are then those from the signal on."""
    time.sleep(max(0.0, begun.since + moment - time.monotonic()))
    sent = time.monotonic()
    begun.signal(number)
    outcome = begun.end()
    return Outcome(status=outcome.status, out=outcome.out, err=outcome.err, seconds=time.monotonic() - sent)


def check_stopped(place: Place, name: str, outcome: Outcome, number: int) -> None:
    """It had finished, or it ended in time, said how to go on, and gave the name up."""
    assert "Traceback" not in outcome.err
    assert outcome.status in (0, 128 + number), outcome
    assert outcome.seconds < 10
    load = place.load(name)
    if outcome.status == 0:
        assert load == {}
        assert f"stored {name}" in outcome.err or "already" in outcome.err
    elif load:
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
    place: Place, moments: random.Random, number: int, names: int, stops: int
) -> None:
    duration = place.duration()
    planned = [[moments.uniform(0, duration) for _ in range(stops)] for _ in range(names)]

    def life(numbered: tuple[int, list[float]]) -> None:
        name = f"stopped{number}-{numbered[0]}"
        for moment in numbered[1]:
            outcome = send_at(place.begin(name, "--resume", *PACED), moment, number)
            check_stopped(place, name, outcome, number)
        last = place.ingest(name, "--resume")
        assert last.status == 0, last.err
        place.check_whole(name)

    with ThreadPoolExecutor(2) as both:
        list(both.map(life, enumerate(planned)))


def test_killed_at_any_moment_again_and_again_it_is_taken_over_at_once_and_whole(
    place: Place, moments: random.Random
) -> None:
    duration = place.duration()
    planned = [[moments.uniform(0, duration) for _ in range(3)] for _ in range(7)]

    def life(numbered: tuple[int, list[float]]) -> None:
        name = f"killed{numbered[0]}"
        journalled = 0
        for moment in numbered[1]:
            outcome = send_at(place.begin(name, "--resume", *PACED), moment, signal.SIGKILL)
            assert outcome.status in (0, 137), outcome.err
            with place.server.plain as client:
                generation = place.load(name).get("generation", "")
                before, journalled = journalled, client.hlen(f"qwf:{{{name}}}:journal:{generation}")
            assert journalled >= before or generation == ""
        last = place.ingest(name, "--resume", "--json")
        assert last.status == 0, last.err
        assert last.seconds < 15  # an owner that lives has 30 s
        place.check_whole(name)

    with ThreadPoolExecutor(2) as both:
        list(both.map(life, enumerate(planned)))


def test_resumed_ingest_sends_only_what_the_journal_lacks(place: Place) -> None:
    first = place.begin("rest", *PACED)
    place.wait_for_load("rest", 3)
    assert send_at(first, 0, signal.SIGKILL).status == 137
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
    """A shell where blocking:psi is a source that blocks in its first chunk while a file `blocked` is there."""
    (tmp_path / "blocking.py").write_text(BLOCKING)
    (tmp_path / "blocked").touch()
    return Shell.at(tmp_path, QWF_URL=own_server.url)


BLOCKED = ["ingest", "blocking:psi", "--grid", "2x2x33000", "--box", "1", "--name", "psi"]


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name} after 30 s"
        time.sleep(0.01)


def test_interrupted_with_nothing_written_it_starts_when_resumed(blocking: Shell, own_server: Server) -> None:
    begun = blocking.begin(*BLOCKED)
    wait_for(blocking.directory / "reading")
    outcome = send_at(begun, 0, signal.SIGINT)
    assert outcome.status == 130
    assert "0 of 4 chunks of psi are stored: run the same command with --resume" in outcome.lines[-1]
    assert outcome.seconds < 1.5
    (blocking.directory / "blocked").unlink()
    resumed = blocking.qwf(*BLOCKED, "--resume")
    assert resumed.status == 0, resumed.err
    with own_server.plain as client:
        generation = client.hget("qwf:{psi}:meta", "generation")
        assert generation is not None
        assert client.hlen(f"qwf:psi:{generation.decode()}:s0") == 4 * 33_000


def test_second_interrupt_ends_it_within_a_second_while_the_source_blocks(blocking: Shell) -> None:
    begun = blocking.begin(*BLOCKED)
    wait_for(blocking.directory / "reading")
    begun.signal(signal.SIGINT)
    outcome = send_at(begun, 0, signal.SIGINT)
    assert outcome.status == 130
    assert outcome.seconds < 1.3
    assert "Traceback" not in outcome.err


def test_second_interrupt_ends_it_within_a_second_in_the_midst_of_a_paced_load(place: Place) -> None:
    begun = place.begin("twice", *PACED)
    place.wait_for_load("twice", 2)
    begun.signal(signal.SIGINT)
    outcome = send_at(begun, 0, signal.SIGINT)
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
    begun = here.begin("hung", *PACED)
    here.wait_for_load("hung", 1)
    assert own_server.process is not None
    own_server.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(0.3)  # a batch is under way by then
        if signals == 2:
            begun.signal(signal.SIGINT)
            time.sleep(0.3)  # long enough that it drains, and not so long that it gives up
            assert begun.process.poll() is None
        outcome = send_at(begun, 0, signal.SIGINT)
    finally:
        own_server.process.send_signal(signal.SIGCONT)
    assert outcome.status == 130
    assert outcome.seconds < (1.3 if signals == 2 else 2 + 2 + 1)  # draining, settling, and some
    assert "Traceback" not in outcome.err
    assert here.ingest("hung", "--resume").status == 0
    here.check_whole("hung")


def test_process_that_slept_past_its_deadline_cannot_publish(place: Place) -> None:
    short = Place(shell=place.shell.having(QWF_OWNERSHIP_TTL="1"), server=place.server, fields=place.fields)
    sleeper = short.begin("slept", *PACED)
    short.wait_for_load("slept", 2)
    sleeper.signal(signal.SIGSTOP)
    try:
        early = short.ingest("slept", "--resume")
        time.sleep(1.2)
        taken = short.ingest("slept", "--resume")
        with place.server.plain as client:
            published = client.hgetall("qwf:{slept}:meta")
    finally:
        sleeper.signal(signal.SIGCONT)
    outcome = sleeper.end()
    assert taken.status == 0 or "already" in taken.err, taken.err
    assert early.status in (0, 8)  # 8 unless the start of a process took longer than the ttl
    assert outcome.status == 8, outcome.err
    assert "taken over" in outcome.lines[-1]
    with place.server.plain as client:
        assert client.hgetall("qwf:{slept}:meta") == published
    place.check_whole("slept")


def test_of_two_ingests_of_one_name_one_wins_and_the_other_names_it(place: Place) -> None:
    both = [place.begin("contested", *PACED) for _ in range(2)]
    place.wait_for_load("contested", 1)
    removed = place.shell.qwf("rm", "contested")
    outcomes = [begun.end() for begun in both]
    won, lost = sorted(outcomes, key=lambda outcome: outcome.status)
    assert (won.status, lost.status) == (0, 8), outcomes
    winner = both[outcomes.index(won)].process.pid
    for refused in (lost, removed):
        assert refused.status == 8, refused.err
        assert f"being loaded by process {winner} on " in refused.err
        assert len(refused.lines) == 1
    place.check_whole("contested")


def test_process_that_is_frozen_but_not_late_keeps_its_name(place: Place) -> None:
    frozen = place.begin("frozen", *PACED)
    place.wait_for_load("frozen", 1)
    frozen.signal(signal.SIGSTOP)
    try:
        for option in ("--resume", "--discard"):
            refused = place.ingest("frozen", option)
            assert refused.status == 8, refused.err
            assert f"being loaded by process {frozen.process.pid} on " in refused.err
    finally:
        frozen.signal(signal.SIGCONT)
    assert frozen.end().status == 0
    place.check_whole("frozen")


def test_source_that_was_touched_is_not_resumed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "psi.npy").write_bytes((place.shell.directory / "psi.npy").read_bytes())
    shell = Shell.at(tmp_path, QWF_URL=place.server.url)
    command = ["ingest", "psi.npy", "--name", "touched"]
    begun = shell.begin(*command, *PACED)
    place.wait_for_load("touched", 2)
    assert send_at(begun, 0, signal.SIGKILL).status == 137
    before = place.load("touched")
    os.utime(tmp_path / "psi.npy")
    refused = shell.qwf(*command, "--resume")
    assert refused.status == 8
    assert re.search("cannot be resumed, it differs in source: .*--discard", refused.err)
    assert len(refused.lines) == 1
    assert place.load("touched") == before
    assert shell.qwf(*command, "--discard").status == 0
    place.check_whole("touched")


def test_hang_up_of_the_terminal_is_no_matter_under_nohup(place: Place) -> None:
    command = ["nohup", sys.executable, "-m", "qwf_async", "ingest", "psi.npy", "--name", "kept", *PACED]
    begun = place.shell.start(command)
    place.wait_for_load("kept", 1)
    begun.signal(signal.SIGHUP)
    outcome = begun.end()
    assert outcome.status == 0, outcome.err
    place.check_whole("kept")
