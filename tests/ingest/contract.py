"""What every sink promises (`ingesting/sink`), as tests that a sink passes by inheriting them.

A subclass opens its sink and says where its batches end up. What is stored is read past the code
under test: from a server by plain redis-py, from a spool by plain sqlite3 on a copy of its file.
"""

from __future__ import annotations

import math
import sqlite3
import struct
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from shutil import copy
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np
import pytest
from numpy.typing import NDArray

from qwf_async.errors import OutOfMemory, QwfError, ServerUnavailable
from qwf_async.ingesting.sink import AwayForTooLong, Sink
from qwf_async.wire.batch import Batch
from tests.conftest import Server
from tests.support.handmade import FLAT, GRID, PLAN
from tests.support.loads import wave

BASE: Final = b"qwf:psi:{0123456789abcdef."
PSI = wave(*GRID.shape)
OTHER = wave(*GRID.shape, seed=1)

Stored = dict[int, bytes]
"""Chunk number → the bytes of its values in C order. Only whole chunks are in it."""


def batch_of(number: int, psi: NDArray[Any] = PSI) -> Batch:
    """The batch of a chunk of ψ, in layout flat."""
    values = psi[PLAN[number].box.slices]
    return FLAT.open(BASE).encode(PLAN[number], np.ascontiguousarray(values), math.nan)


def values_of(*numbers: int, psi: NDArray[Any] = PSI) -> Stored:
    """What is stored if these chunks of ψ are."""
    return {number: psi[PLAN[number].box.slices].tobytes() for number in numbers}


def stored_on(server: Server) -> Stored:
    """What a server holds, read point by point with plain redis-py."""
    with server.plain as client:
        chunks = [client.hgetall(BASE + b"%d}:s" % number) for number in range(len(PLAN))]
    stored = {}
    for number, held in enumerate(chunks):
        box = PLAN[number].box
        points = [tuple(int(i) for i in index) for index in np.argwhere(np.ones(box.shape))]
        ts, xs, ys, zs = box.start
        names = [b"x%d_y%d_z%d_t%d" % (xs + x, ys + y, zs + z, ts + t) for t, x, y, z in points]
        if all(name in held for name in names):
            stored[number] = b"".join(held[name] for name in names)
    return stored


def stored_in(spool: Path) -> Stored:
    """What waits in a spool. Of two rows of one chunk the later one counts: it is replayed last."""
    if not spool.exists():
        return {}
    with tempfile.TemporaryDirectory() as directory:
        # A copy: the spool is open, and locked.
        for file in spool.parent.glob(f"{spool.name}*"):
            copy(file, directory)
        with closing(sqlite3.connect(Path(directory) / spool.name)) as plain:
            rows = plain.execute(
                "SELECT chunk, row FROM waiting JOIN batches USING (sequence) ORDER BY sequence"
            ).fetchall()
    return {chunk: row[12 + struct.unpack_from("<I", row, 8)[0] :] for chunk, row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault with which a sink takes no batch: how it begins and ends, its error, and whether a retry may help."""

    begin: Callable[[], Awaitable[object]]
    end: Callable[[], Awaitable[object]]
    error: type[QwfError]
    try_again: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A sink under test, and what it has stored."""

    sink: Sink
    stored: Callable[[], Stored]
    faults: dict[str, Fault]


@pytest.mark.anyio
class SinkContract:
    """The promises of one sink. A subclass opens it."""

    def opened(self, server: Server, directory: Path) -> AbstractAsyncContextManager[Opened]:
        """The sink, in front of a server of the test's own; spools lie in the directory."""
        raise NotImplementedError

    async def test_what_is_acknowledged_is_stored(self, own_server: Server, tmp_path: Path) -> None:
        async with self.opened(own_server, tmp_path) as opened:
            for number in range(len(PLAN)):
                await opened.sink.write(batch_of(number))
                assert opened.stored() == values_of(*range(number + 1))

    async def test_several_tasks_write_at_once(self, own_server: Server, tmp_path: Path) -> None:
        acknowledged: set[int] = set()

        async def write(number: int) -> None:
            await opened.sink.write(batch_of(number))
            acknowledged.add(number)
            assert opened.stored().keys() >= acknowledged

        async with self.opened(own_server, tmp_path) as opened:
            async with anyio.create_task_group() as tasks:
                for number in range(len(PLAN)):
                    tasks.start_soon(write, number)
            assert opened.stored() == values_of(*range(len(PLAN)))

    async def test_a_batch_may_be_written_again(self, own_server: Server, tmp_path: Path) -> None:
        async with self.opened(own_server, tmp_path) as opened:
            for number in (0, 1, 0, 0):
                await opened.sink.write(batch_of(number))
            assert opened.stored() == values_of(0, 1)

    async def test_of_two_batches_of_a_chunk_the_later_one_is_stored(
        self, own_server: Server, tmp_path: Path
    ) -> None:
        async with self.opened(own_server, tmp_path) as opened:
            for psi in (PSI, OTHER, PSI, OTHER):
                await opened.sink.write(batch_of(2, psi))
            assert opened.stored() == values_of(2, psi=OTHER)

    async def test_what_cannot_be_stored_raises_and_can_be_written_later(
        self, own_server: Server, tmp_path: Path
    ) -> None:
        async with self.opened(own_server, tmp_path) as opened:
            assert opened.faults
            for number, (name, fault) in enumerate(opened.faults.items()):
                await fault.begin()
                with pytest.raises(fault.error) as raised:
                    await opened.sink.write(batch_of(number))
                may_be_tried = isinstance(raised.value, ServerUnavailable | OutOfMemory)
                final = isinstance(raised.value, AwayForTooLong)
                assert (may_be_tried and not final) == fault.try_again, name
                await fault.end()
                await opened.sink.write(batch_of(number))
                assert number in opened.stored(), name
