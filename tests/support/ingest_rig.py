"""Ingests of one file as processes, to be stopped at a moment; and the check that what they stored is whole.

Points are checked by plain redis-py against the file that they came from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PATIENCE, Server, new_server
from tests.support.command import Begun, Outcome, Shell

CHUNKS, CHUNK_POINTS = 6, 10_000
"""An axis of more than 2¹³ points makes a chunk of each of its lines: many chunks of few points."""

POINTS = CHUNKS * CHUNK_POINTS
PACED = ["--max-rate", str(POINTS)]
"""So the last chunk is sent 5/6 s after the first."""

HELD = """
import os, pathlib, time
import numpy as np
held, read = np.load("psi.npy", mmap_mode="r"), 0
def psi(t, x, y, z):
    global read
    if z.size == held.shape[2]:  # a chunk, and not a sample for the fingerprint
        while read >= int(pathlib.Path(os.environ["LET"]).read_text() or 0):
            time.sleep(0.005)
        read += 1
    i, k = (np.rint(at + size / 2).astype(int) for at, size in ((x, held.shape[0]), (z, held.shape[2])))
    return held[i, 0, k]
"""
GRID = f"{CHUNKS}x1x{CHUNK_POINTS}"
SOURCE = ["held:psi", "--grid", GRID, "--box", GRID]
"""The values of psi.npy; each process reads as many chunks as `Rig.let` allows, and waits then for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A server, a directory with psi.npy, and the fields that the server must hold in the end."""

    shell: Shell
    server: Server
    fields: list[dict[bytes, bytes]]
    """The fields of each chunk, which has a hash of its own."""

    def begin(self, name: str, *options: str) -> Begun:
        return self.shell.begin("ingest", "psi.npy", "--name", name, *options)

    def begin_held(self, name: str, chunks: int, *options: str, anew: bool = False) -> Begun:
        """As `begin`, from a source that waits once it has given so many chunks, until `let` says more.

        With `anew`, Python starts for it.
        """
        self.let(name, chunks)
        shell = self.shell.having(LET=f"let-{name}")
        return (shell.begin_anew if anew else shell.begin)("ingest", *SOURCE, "--name", name, *options)

    def let(self, name: str, chunks: int) -> None:
        """Let processes that `begin_held` began read so many chunks each."""
        (self.shell.directory / f"let-{name}").write_text(str(chunks))

    def ingest_held(self, name: str, *options: str) -> Outcome:
        """Run an ingest as `begin_held` does, to its end."""
        with self.begin_held(name, CHUNKS, *options) as begun:
            return begun.end()

    def ingest(self, name: str, *options: str) -> Outcome:
        with self.begin(name, *options) as begun:
            return begun.end()

    def load(self, name: str) -> dict[str, str]:
        """The record of the load of a name; empty if there is none."""
        with self.server.plain as client:
            found = client.hgetall(f"qwf:{{{name}}}:load")
        return {key.decode(): value.decode() for key, value in found.items()}

    def journalled(self, name: str) -> int:
        """Chunks in the journal of the load under way."""
        with self.server.plain as client:
            generation = client.hget(f"qwf:{{{name}}}:load", "generation")
            keys = group_keys(name, generation.decode() if generation else "none", "j")
            return sum(client.hexists(key, str(number)) for number, key in enumerate(keys))

    def wait_for_load(self, name: str, chunks: int) -> None:
        """Wait until the journal of the load under way has so many chunks."""
        end = time.monotonic() + PATIENCE
        with self.server.plain as client:
            while time.monotonic() < end:
                if client.hexists(f"qwf:{{{name}}}:load", "generation") and self.journalled(name) >= chunks:
                    return
                time.sleep(0.01)
        raise AssertionError(f"no load of {name} with {chunks} chunks after {PATIENCE:g} s")

    def check_whole(self, name: str) -> None:
        """Every point is there and right, and nothing else of the name is left; then it is deleted."""
        with self.server.plain as client:
            generation = client.hget(f"qwf:{{{name}}}:meta", "generation")
            assert generation is not None
            data, journals = (group_keys(name, generation.decode(), ending) for ending in "sj")
            keys = {*client.scan_iter(f"qwf:{{{name}}}:*"), *client.scan_iter(f"qwf:{name}:*")}
            wanted = {f"qwf:{{{name}}}:meta", *data, *journals}
            assert keys == {key.encode() for key in wanted}
            for number in range(CHUNKS):
                assert client.hkeys(journals[number]) == [b"%d" % number]
                assert client.hgetall(data[number]) == self.fields[number]
            client.unlink(*keys)

    def await_own_load(self, name: str, begun: Begun) -> bool:
        """Wait until the process has begun to load, or has ended. Returns whether it has begun."""
        with self.server.plain as client:
            while client.hget(f"qwf:{{{name}}}:load", "owner_pid") != str(begun.process.pid).encode():
                if begun.process.poll() is not None:
                    return False
                time.sleep(0.005)
        return True

    def start_up(self) -> float:
        """Seconds from the start of Python until its load begins, as this machine goes at present."""
        with self.begin_held("measured", CHUNKS, anew=True) as begun:
            assert self.await_own_load("measured", begun)
            start_up = time.monotonic() - begun.since
            assert begun.end().status == 0
        self.check_whole("measured")
        return start_up


def send(begun: Begun, number: int) -> Outcome:
    """Send a signal and wait for the end."""
    begun.signal(number)
    return begun.end()


def group_keys(name: str, generation: str, ending: str) -> list[str]:
    """The keys of each chunk: "s" of its data, "j" of its journal."""
    return [f"qwf:{name}:{{{generation}.{number}}}:{ending}" for number in range(CHUNKS)]


def lay_out(directory: Path) -> list[dict[bytes, bytes]]:
    """Write psi.npy, and the module that holds it back; the fields that a server should hold of it."""
    rng = np.random.default_rng(11)
    psi = rng.standard_normal((CHUNKS, 1, CHUNK_POINTS)) + 1j * rng.standard_normal((CHUNKS, 1, CHUNK_POINTS))
    np.save(directory / "psi.npy", psi)
    (directory / "held.py").write_text(HELD)
    data = psi.tobytes()
    fields: list[dict[bytes, bytes]] = [{} for _ in range(CHUNKS)]
    for i in range(POINTS):
        x, z = divmod(i, CHUNK_POINTS)
        fields[x][b"x%d_y0_z%d_t0" % (x, z)] = data[16 * i : 16 * i + 16]
    return fields


def new_rig(factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """For a fixture: a rig with a server of its own, which ends with it."""
    directory = factory.mktemp("ingests")
    fields = lay_out(directory)
    for server in new_server("valkey", maxmemory="1gb"):
        yield Rig(shell=Shell.at(directory, QWF_URL=server.url), server=server, fields=fields)
