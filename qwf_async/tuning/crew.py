"""The worker processes of a tuner, and one run: so many jobs at once, while another process watches the server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Final, Self

import anyio
from anyio.abc import ByteSendStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from ..client.every_node import ask_each
from ..client.node import Node
from ..client.reply import is_text
from ..errors import QwfError, Refused, ServerUnavailable
from ..lattice.grid import Shape4
from ..server.facts import parse_info, whole_number
from ..store.store import Store
from .candidate import Candidate
from .orders import GO, STOP, as_error, as_line, settings_as_words
from .scratch import scratch_name

MAX_LINE: Final = 2**20
"""Bytes of an answer, at most."""

MAX_GATHERING_TIME: Final = 30.0
"""Seconds within which all jobs of a run must have connected."""

MAX_ENDING_TIME: Final = 15.0
"""Seconds that workers may take to end; each may have to remove what it has stored."""

MAX_SETTLING_TIME: Final = 5.0
"""Seconds for which the server's freeing of what was removed is waited for."""

PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from qwf_async.tuning.worker import main; main()"
)
"""A worker with the modules that this process has, wherever they are."""


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


class Worker:
    """A worker process, and what is said to it."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None  # noqa: S101 # for the type checker, as the next one
        assert process.stdout is not None  # noqa: S101
        self._process = process
        self._stdin: ByteSendStream = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def start(cls, words: Mapping[str, Any]) -> Self:
        """Start one, which is told these words; `answer` comes when it is ready."""
        process = await anyio.open_process(
            [sys.executable, "-c", PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            start_new_session=True,  # Ctrl-C is for the tuner, which lets its workers end in order
        )
        worker = cls(process)
        await worker.tell(words)
        return worker

    async def tell(self, words: Mapping[str, Any]) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the answer will be missing
            await self._stdin.send(as_line(words))

    async def answer(self) -> dict[str, Any]:
        """Its next answer. Raises the error of ours that it tells of, or QwfError if it has died."""
        try:
            line = await self._answers.receive_until(b"\n", MAX_LINE)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
            raise QwfError(f"worker process {self._process.pid} of the tuner has died") from error
        words: dict[str, Any] = json.loads(line)
        if "error" in words:
            raise as_error(words)
        return words

    async def leave(self) -> None:
        """Tell it to end. It then removes what it has stored."""
        await self._stdin.aclose()

    async def end(self) -> None:
        """Wait until it has ended; if this is cancelled, it is killed."""
        try:
            await self._process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await self._process.aclose()


@dataclass(slots=True, kw_only=True)
class Crew:
    """Workers that have opened the source, and one that watches the server. Made by `crew_of`."""

    store: Store
    first: Mapping[str, Any]
    watcher: Worker
    workers: list[Worker] = field(default_factory=list)

    async def grow(self, jobs: int) -> None:
        """Have at least so many workers. Raises what a worker meets that opens the source."""
        new = max(0, jobs - len(self.workers))
        for _ in range(new):
            self.workers.append(await Worker.start(self.first))
        for worker in self.workers[len(self.workers) - new :]:
            await worker.answer()

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
            await worker.tell(order | {"job": job, "name": names[job]})
        await self._gather(workers)
        await self._watched()
        for worker in workers:
            await worker.tell(GO)
        answers, errors = await _answers(workers)
        p99 = await self._watched()
        for worker, name in zip(workers, names, strict=True):
            await worker.tell({"do": "remove", "name": name})
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
        await self.watcher.tell({"do": "tell"})
        return float((await self.watcher.answer())["p99"])


@asynccontextmanager
async def crew_of(store: Store, source: str, options: Mapping[str, Any]) -> AsyncIterator[Crew]:
    """Workers for the source that this text and these options name; they end with the body.

    Whatever ends the body, each worker removes what it has stored before it ends.
    """
    first = {"settings": settings_as_words(store.settings), "source": source, "options": dict(options)}
    crew = Crew(store=store, first=first, watcher=await Worker.start(first | {"source": None}))
    try:
        await crew.watcher.answer()
        yield crew
    finally:
        with anyio.CancelScope(shield=True):
            everyone = [crew.watcher, *crew.workers]
            for worker in everyone:
                await worker.leave()
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
        await worker.tell(STOP)
    for worker in workers:
        with suppress(QwfError):
            while "stopped" not in await worker.answer():
                pass
