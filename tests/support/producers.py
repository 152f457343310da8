"""Producers in processes of their own: what they write, and how a test starts and stops them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import qwf_async
from qwf_async.errors import QwfError
from tests.conftest import PATIENCE
from tests.support.waiting import is_stopped, wait_until

Region = tuple[slice, ...]

GRID: Final = qwf_async.Grid.cube(16, box=8.0, frames=4, dt=0.5)
BLOCKS: Final = (1, 8, 8, 16)
SPAWN: Final = multiprocessing.get_context("spawn")


def block_of(region: Region) -> NDArray[np.complex128]:
    """The values that a producer makes of a region: the same each time."""
    numbers = np.random.default_rng([along.start for along in region])
    parts = numbers.normal(size=(2, *(along.stop - along.start for along in region)))
    values: NDArray[np.complex128] = parts[0] + 1j * parts[1]
    return values


def whole(grid: qwf_async.Grid = GRID, blocks: tuple[int, ...] = BLOCKS) -> NDArray[np.complex128]:
    """ψ, as all producers make it together."""
    psi = np.empty(grid.shape, np.complex128)
    for place in np.ndindex(*(-(-n // b) for n, b in zip(grid.shape, blocks, strict=True))):
        ends = zip(place, blocks, grid.shape, strict=True)
        region = tuple(slice(i * b, min(i * b + b, n)) for i, b, n in ends)
        psi[region] = block_of(region)
    return psi


def write(job: tuple[bytes, Region]) -> None:
    """Write one region by a pickled ticket."""
    ticket, region = job
    qwf_async.Target(pickle.loads(ticket))[region] = block_of(region)  # noqa: S301 # our own pickle


def write_all(ticket: bytes, regions: Sequence[Region], told: Connection) -> None:
    """Write regions in turn, and tell of each when it is begun; at the end "done" or the error."""
    try:
        for number, region in enumerate(regions):
            told.send(number)
            write((ticket, region))
        told.send("done")
    except QwfError as error:
        told.send(f"{type(error).__name__}: {error}")


class Producer:
    """A process that writes regions, one after the other. `outcome` waits for its end."""

    def __init__(self, ticket: qwf_async.Ticket, regions: Sequence[Region]) -> None:
        self.told, theirs = SPAWN.Pipe(duplex=False)
        arguments: Any = (pickle.dumps(ticket), regions, theirs)
        self.process: BaseProcess = SPAWN.Process(target=write_all, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def wait_for(self, number: int, chance: random.Random) -> None:
        """Return at a random moment after it began the region of this number."""
        while self.told.poll(PATIENCE) and self.told.recv() != number:
            pass
        time.sleep(chance.random() * 0.01)

    def outcome(self) -> str:
        """How it ended: "done", the error, or "" if it was killed."""
        last: Any = ""
        try:
            while self.told.poll(PATIENCE):
                last = self.told.recv()
        except EOFError:
            pass
        self.process.join()
        return last if isinstance(last, str) else ""

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()

    def freeze(self) -> None:
        """SIGSTOP, and wait until it stands still."""
        self._signal(signal.SIGSTOP)
        wait_until(lambda: is_stopped(self.process.pid or 0) or self.process.exitcode is not None)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.told.close()


@contextmanager
def producer(ticket: qwf_async.Ticket, regions: Sequence[Region]) -> Iterator[Producer]:
    """A process that writes regions; killed at the end if it still runs."""
    started = Producer(ticket, regions)
    try:
        yield started
    finally:
        started.close()
