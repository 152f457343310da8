"""Faults of a study's server, its two networks, its workers and one disk, drawn from a seed.

Two lanes run beside each other: the server's with the networks', and that of the workers. One thing is kept
apart: no worker is killed within a second of a fault by which the server loses what it had acknowledged.
What a process was just told, and nobody else had, would be gone with both.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import redis

from tests.conftest import PATIENCE, Server
from tests.support.relay import Relay

DISK: Final = 32 * 1024
"""How long a file of a worker may become while its disk is full, in bytes."""


class Crew(Protocol):
    """The workers, for the nemesis. `kill` ends one and lets another begin in its place."""

    def pids(self, host: int | None = None) -> list[int]: ...

    def kill(self, pid: int) -> None: ...


@dataclass(slots=True, kw_only=True)
class Nemesis:
    """Makes `faults` faults at least, of the given kinds; `scale` is of their lengths.

    `full` says of each host in which times its disk was full.
    """

    server: Server
    relays: Sequence[Relay]
    crew: Crew
    seed: int
    faults: int
    scale: float = 1.0
    kinds: Sequence[str] = ()
    drawn: Counter[str] = field(default_factory=Counter)
    full: list[tuple[int, float, float]] = field(default_factory=list)
    apart: threading.Lock = field(default_factory=threading.Lock)
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Make faults until none are left; then all is in order. Blocks."""
        over = threading.Event()
        with_workers = threading.Thread(target=self._lane, args=("workers", WORKERS, over.is_set))
        with_workers.start()
        self._lane("server", SERVER, lambda: self.drawn.total() >= self.faults)
        if not set(SERVER) & set(self.kinds or SERVER):
            while self.drawn.total() < self.faults:
                time.sleep(0.1)
        over.set()
        with_workers.join()

    def _lane(self, name: str, faults: Sequence[str], is_over: Callable[[], bool]) -> None:
        chance = random.Random(f"{self.seed} {name}")
        kinds = [kind for kind in faults if not self.kinds or kind in self.kinds]
        bag: list[str] = []
        while kinds and not is_over():
            if not bag:
                bag = chance.sample(kinds, len(kinds))
            kind = bag.pop()
            self.drawn[kind] += 1
            try:
                FAULTS[kind](self, chance)
            except Exception as error:  # noqa: BLE001 # a fault that could not be made must not hide the rest
                self.problems.append(f"nemesis, {kind}: {type(error).__name__}: {error}")
            self._wait(chance, 0.1, 1)

    def _wait(self, chance: random.Random, shortest: float, longest: float) -> None:
        time.sleep(chance.uniform(shortest, longest) * self.scale)

    def _start(self) -> None:
        with suppress(redis.exceptions.TimeoutError):
            self.server.start()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
                with self.server.plain as client:
                    client.ping()
                return
            time.sleep(0.02)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        """Beside this no worker is killed, nor for a second before and after."""
        with self.apart:
            time.sleep(1.0)
            yield
            time.sleep(1.0)

    def _kill(self, chance: random.Random) -> None:
        """kill -9. It comes back with all it had acknowledged, from its append-only file."""
        self.server.kill()
        self._wait(chance, 0, 4)
        self._start()

    def _kill_for_older(self, chance: random.Random) -> None:
        """kill -9. It comes back with a snapshot from some time before."""
        with self._losing():
            with self.server.plain as client:
                client.save()
                self._wait(chance, 0.1, 1)
                self.server.kill()
            shutil.rmtree(self.server.directory / "appendonlydir")
            self._wait(chance, 0, 4)
            self._start_without_file()

    def _kill_for_empty(self, chance: random.Random) -> None:
        """kill -9. It comes back empty."""
        with self._losing():
            self.server.kill()
            shutil.rmtree(self.server.directory / "appendonlydir")
            (self.server.directory / "dump.rdb").unlink(missing_ok=True)
            self._wait(chance, 0, 4)
            self._start_without_file()

    def _start_without_file(self) -> None:
        """Start it from its snapshot, if there is one; from then on it keeps an append-only file again."""
        options = dict(self.server.options)
        self.server.options["appendonly"] = "no"
        self._start()
        self.server.options.update(options)
        with self.server.plain as client:
            client.config_set("appendonly", "yes")
            end = time.monotonic() + PATIENCE
            while client.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < end:
                time.sleep(0.02)

    def _flush(self, chance: random.Random) -> None:
        """FLUSHALL."""
        with self._losing(), self.server.plain as client:
            client.flushall()

    def _stop(self, chance: random.Random) -> None:
        """SIGSTOP, and SIGCONT later."""
        self.server.stop()
        try:
            self._wait(chance, 0.2, 4)
        finally:
            self.server.go_on()

    def _cut(self, chance: random.Random) -> None:
        """One host has no network: its connections are cut or half-open, and new ones fail."""
        relay = chance.choice(self.relays)
        if chance.random() < 0.5:
            relay.discard()
        else:
            relay.refuse()
            relay.cut()
        self._wait(chance, 0.2, 4)
        relay.normal()

    def _lose_replies(self, chance: random.Random) -> None:
        """One reply of 200 is lost, with its connection."""
        gaps = [int(chance.expovariate(0.005)) for _ in range(100_000)]
        for relay in self.relays:
            relay.replies.cut_after(gaps, in_pieces=True)
        self._wait(chance, 1, 4)
        for relay in self.relays:
            relay.replies.cut_after([])

    def _fill_disk(self, chance: random.Random) -> None:
        """The files of one host do not grow any more, and its network is cut for most of that time."""
        host = chance.randrange(len(self.relays))
        begun = time.monotonic()
        pids = self.crew.pids(host)
        for pid in pids:
            _limit(pid, DISK)
        relay = self.relays[host]
        self._wait(chance, 0, 0.3)
        relay.refuse()
        relay.cut()
        self._wait(chance, 0.2, 2)
        relay.normal()
        self._wait(chance, 0, 0.3)
        for pid in pids:
            _limit(pid, resource.RLIM_INFINITY)
        self.full.append((host, begun, time.monotonic()))

    def _kill_workers(self, chance: random.Random) -> None:
        """kill -9 of some, each followed by another."""
        pids = self.crew.pids()
        for pid in chance.sample(pids, min(len(pids), chance.randint(1, 3))):
            with self.apart:
                self.crew.kill(pid)
            self._wait(chance, 0, 0.3)

    def _stop_workers(self, chance: random.Random) -> None:
        """SIGSTOP of some, and SIGCONT later."""
        pids = self.crew.pids()
        some = chance.sample(pids, min(len(pids), chance.randint(1, 4)))
        for pid in some:
            _signal(pid, signal.SIGSTOP)
        self._wait(chance, 0.2, 3)
        for pid in some:
            _signal(pid, signal.SIGCONT)


def _limit(pid: int, most: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


SERVER: Final = ("kill", "older", "empty", "flush", "stop", "cut", "lost replies", "full disk")
WORKERS: Final = ("kill workers", "stop workers")
FAULTS: Final[dict[str, Callable[[Nemesis, random.Random], None]]] = {
    "kill": Nemesis._kill,
    "older": Nemesis._kill_for_older,
    "empty": Nemesis._kill_for_empty,
    "flush": Nemesis._flush,
    "stop": Nemesis._stop,
    "cut": Nemesis._cut,
    "lost replies": Nemesis._lose_replies,
    "full disk": Nemesis._fill_disk,
    "kill workers": Nemesis._kill_workers,
    "stop workers": Nemesis._stop_workers,
}
