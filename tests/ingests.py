"""Ingests of one file as processes, to be stopped at a moment; and the check that what they stored is whole.

Points are checked by plain redis-py against the file that they came from.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from command import Begun, Outcome, Shell
from conftest import Server, new_server

CHUNKS, CHUNK_POINTS = 6, 33_000
"""An axis of more than 2¹⁵ points makes a chunk of each of its lines: many chunks of few points."""

POINTS = CHUNKS * CHUNK_POINTS
PACED = ["--max-rate", str(POINTS)]
"""So the last chunk is sent 5/6 s after the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """So many seconds after a process began, or after its load did."""

    while_loading: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server, a directory with psi.npy, and the fields that the server must hold in the end."""

    shell: Shell
    server: Server
    fields: dict[bytes, bytes]

    def begin(self, name: str, *options: str) -> Begun:
        return self.shell.begin("ingest", "psi.npy", "--name", name, *options)

    def ingest(self, name: str, *options: str) -> Outcome:
        with self.begin(name, *options) as begun:
            return begun.end()

    def load(self, name: str) -> dict[str, str]:
        """The record of the load of a name; empty if there is none."""
        with self.server.plain as client:
            found = client.hgetall(f"qwf:{{{name}}}:load")
        return {key.decode(): value.decode() for key, value in found.items()}

    def wait_for_load(self, name: str, chunks: int) -> None:
        """Return when the journal of the load under way has so many chunks."""
        end = time.monotonic() + 20
        with self.server.plain as client:
            while time.monotonic() < end:
                generation = client.hget(f"qwf:{{{name}}}:load", "generation")
                if generation and client.hlen(f"qwf:{{{name}}}:journal:{generation.decode()}") >= chunks:
                    return
                time.sleep(0.01)
        raise AssertionError(f"no load of {name} with {chunks} chunks after 20 s")

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

    def await_own_load(self, name: str, begun: Begun) -> bool:
        """Return when the process has begun to load, or has ended: whether it has begun."""
        with self.server.plain as client:
            while client.hget(f"qwf:{{{name}}}:load", "owner_pid") != str(begun.process.pid).encode():
                if begun.process.poll() is not None:
                    return False
                time.sleep(0.005)
        return True

    def moments(self, chance: random.Random, stops: int) -> list[Moment]:
        """Random moments of a paced ingest as it goes at present: of a run that is measured, start-up included."""
        with self.begin("measured", *PACED) as begun:
            assert self.await_own_load("measured", begun)
            start_up = time.monotonic() - begun.since
            assert begun.end().status == 0
        self.check_whole("measured")
        loading = time.monotonic() - begun.since - start_up
        # A third of them in the start-up, by the clock; the others by when the load in question began,
        # for on a busy machine a start-up takes now one second and now three. In the first half of the
        # loading, for a resumed one is shorter, and the one that was measured may have been slow.
        return [
            Moment(while_loading=False, seconds=chance.uniform(0, start_up))
            if chance.random() < 1 / 3
            else Moment(while_loading=True, seconds=chance.uniform(0, loading / 2))
            for _ in range(stops)
        ]

    def send_at(self, moment: Moment, name: str, begun: Begun, number: int) -> Outcome:
        """Send a signal at a moment of an ingest; the seconds are then those from the signal on."""
        since = begun.since
        if moment.while_loading and self.await_own_load(name, begun):
            since = time.monotonic()
        time.sleep(max(0.0, since + moment.seconds - time.monotonic()))
        return send(begun, number)


def send(begun: Begun, number: int) -> Outcome:
    """Send a signal and wait for the end; the seconds are those in between."""
    sent = time.monotonic()
    begun.signal(number)
    outcome = begun.end()
    return replace(outcome, seconds=time.monotonic() - sent)


def new_place(factory: pytest.TempPathFactory) -> Iterator[Place]:
    """For a fixture: a place with a server of its own, which ends with it."""
    directory = factory.mktemp("ingests")
    rng = np.random.default_rng(11)
    psi = rng.standard_normal((CHUNKS, 1, CHUNK_POINTS)) + 1j * rng.standard_normal((CHUNKS, 1, CHUNK_POINTS))
    np.save(directory / "psi.npy", psi)
    data = psi.tobytes()
    fields = {b"x%d_y0_z%d_t0" % divmod(i, CHUNK_POINTS): data[16 * i : 16 * i + 16] for i in range(POINTS)}
    for server in new_server("valkey", maxmemory="1gb"):
        yield Place(shell=Shell.at(directory, QWF_URL=server.url), server=server, fields=fields)
