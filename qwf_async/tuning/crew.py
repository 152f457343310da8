"""The worker processes of a tuner, and one run: so many jobs at once, while another process watches the server."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Final, Self

import anyio

from ..client.every_node import ask_each
from ..client.node import Node
from ..client.reply import is_text
from ..errors import QwfError, Refused, ServerUnavailable
from ..lattice.grid import Shape4
from ..server.info import parse_info, whole_number
from ..store.store import Store
from .candidate import Candidate
from .nursery import Nursery, nursery_for_workers
from .orders import GO, STOP, Lines, as_error, settings_as_words
from .scratch import scratch_name

MAX_GATHERING_TIME: Final = 30.0
"""Seconds within which all jobs of a run must have connected."""

MAX_ENDING_TIME: Final = 15.0
"""Seconds that workers may take to end; each may have to remove what it has stored."""

MAX_SETTLING_TIME: Final = 5.0
"""Seconds for which the server's freeing of what was removed is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """So many jobs at once, each of which loads a part of this shape; `max_rate` is that of one, in points/s."""

    candidate: Candidate
    shape: Shape4
    jobs: int
    max_rate: float | None = None
    verify: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run gave: points/s of all jobs together, and seconds from the first beginning to the last end.

    `p99` is that of another client's waits meanwhile, in milliseconds. `bytes_per_point` is None
    where the server forbids to ask.
    """

    rate: float
    seconds: float
    p99: float
    bytes_per_point: float | None


@dataclass(slots=True)
class Worker:
    """A worker process, and what is said to it."""

    lines: Lines
    pid: int | None = None

    @classmethod
    async def start(cls, nursery: Nursery, words: Mapping[str, Any]) -> Self:
        """Start one, which is told these words; `begun` returns when it is ready."""
        worker = cls(Lines(await nursery.worker()))
        await worker.lines.say(words)
        return worker

    async def begun(self) -> None:
        """Wait until it is ready. Raises what it meets before."""
        self.pid = int((await self.answer())["pid"])

    async def answer(self) -> dict[str, Any]:
        """Its next answer. Raises the error of ours that it tells of, or QwfError if it has died."""
        words = await self.lines.next()
        if words is None:
            raise QwfError("a worker process of the tuner has died")
        if "error" in words:
            raise as_error(words)
        return words

    def leave(self) -> None:
        """Tell it to end. It then removes what it has stored."""
        with suppress(OSError):  # it has died
            self.lines.sock.shutdown(socket.SHUT_WR)

    async def end(self) -> None:
        """Wait until it has ended; if this is cancelled, it is killed."""
        try:
            with suppress(QwfError):
                while await self.answer():
                    pass
        except anyio.get_cancelled_exc_class():
            if self.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            self.lines.sock.close()


@dataclass(slots=True, kw_only=True)
class Crew:
    """Workers that have opened the source, and one that watches the server. Made by `crew_of`."""

    store: Store
    nursery: Nursery
    first: Mapping[str, Any]
    watcher: Worker
    workers: list[Worker] = field(default_factory=list)

    async def grow(self, jobs: int) -> None:
        """Have at least so many workers. Raises what a worker meets that opens the source."""
        new = max(0, jobs - len(self.workers))
        for _ in range(new):
            self.workers.append(await Worker.start(self.nursery, self.first))
        for worker in self.workers[len(self.workers) - new :]:
            await worker.begun()

    async def measure(self, run: Run) -> Measured:
        """Let the jobs load at once, and remove what they stored. Raises the first error that one of them meets."""
        await self.grow(run.jobs)
        workers = self.workers[: run.jobs]
        names = [scratch_name(job) for job in range(run.jobs)]
        order = {
            "do": "load",
            "candidate": asdict(run.candidate),
            "shape": run.shape,
            "max_rate": run.max_rate,
            "verify": run.verify,
        }
        for job, worker in enumerate(workers):
            await worker.lines.say(order | {"job": job, "name": names[job]})
        await self._gather(workers)
        await self._watched()
        for worker in workers:
            await worker.lines.say(GO)
        answers, errors = await _answers(workers)
        p99 = await self._watched()
        for worker, name in zip(workers, names, strict=True):
            await worker.lines.say({"do": "remove", "name": name})
        _, later = await _answers(workers)
        await settle(self.store)
        if errors := [*errors, *later]:
            raise errors[0]
        done = [answer for answer in answers if answer is not None]
        seconds = max(one["ended"] for one in done) - min(one["begun"] for one in done)
        sizes = [one["bytes_per_point"] for one in done if one["bytes_per_point"] is not None]
        return Measured(
            rate=sum(one["points"] for one in done) / seconds,
            seconds=seconds,
            p99=p99,
            bytes_per_point=fmean(sizes) if sizes else None,
        )

    async def _gather(self, workers: Sequence[Worker]) -> None:
        """Return when all have connected. Raises the first error, or ServerUnavailable if some take too long.

        A server that has no room for all of them lets the last ones wait, and none would ever begin.
        """
        with anyio.move_on_after(MAX_GATHERING_TIME) as scope:
            for worker in workers:
                try:
                    await worker.answer()
                except QwfError:
                    await _stop([other for other in workers if other is not worker])
                    raise
        if scope.cancelled_caught:
            await _stop(workers)
            raise ServerUnavailable(
                f"the server did not let all of {len(workers)} jobs in within {MAX_GATHERING_TIME:g} s"
            )

    async def _watched(self) -> float:
        """p99 of the waits since the last call, in milliseconds."""
        await self.watcher.lines.say({"do": "tell"})
        return float((await self.watcher.answer())["p99"])


@asynccontextmanager
async def crew_of(store: Store, source: str, options: Mapping[str, Any]) -> AsyncIterator[Crew]:
    """Workers for the source that this text and these options name; they end with the body.

    Whatever ends the body, each worker removes what it has stored before it ends.
    """
    first = {"settings": settings_as_words(store.settings), "source": source, "options": dict(options)}
    async with nursery_for_workers() as nursery:
        watcher = await Worker.start(nursery, first | {"source": None})
        crew = Crew(store=store, nursery=nursery, first=first, watcher=watcher)
        try:
            await watcher.begun()
            yield crew
        finally:
            with anyio.CancelScope(shield=True):
                everyone = [watcher, *crew.workers]
                for worker in everyone:
                    worker.leave()
                with anyio.move_on_after(MAX_ENDING_TIME):
                    async with anyio.create_task_group() as tasks:
                        for worker in everyone:
                            tasks.start_soon(worker.end)


async def settle(store: Store) -> None:
    """Wait until the servers have freed what was removed, so that it does not disturb what comes next.

    Not for long, and not at all where INFO is forbidden.
    """

    async def pending(node: Node) -> int:
        async with node.connection() as connection:
            info = parse_info(await connection.call("INFO", "memory", expect=is_text))
        return whole_number(info.get("lazyfree_pending_objects", "")) or 0

    with anyio.move_on_after(MAX_SETTLING_TIME), suppress(Refused):
        while any((await ask_each(store.pool, pending)).values()):  # noqa: ASYNC110 # the server tells nobody
            await anyio.sleep(0.01)


async def _answers(workers: Sequence[Worker]) -> tuple[list[dict[str, Any] | None], list[QwfError]]:
    """The answer of each worker, None for an error, and the errors."""
    answers: list[dict[str, Any] | None] = []
    errors = []
    for worker in workers:
        try:
            answers.append(await worker.answer())
        except QwfError as error:
            answers.append(None)
            errors.append(error)
    return answers, errors


async def _stop(workers: Sequence[Worker]) -> None:
    """Call off what these were told to load, and wait until they have heard it, or have met an error before."""
    for worker in workers:
        await worker.lines.say(STOP)
    for worker in workers:
        with suppress(QwfError):
            while "stopped" not in await worker.answer():
                pass
