"""Random ingests under random faults, and the oracle: what was acknowledged is there, and nothing else is.

Some ingests are tasks of this process, some are `qwf` processes; each is repeated with `--resume`,
or replayed, until it has ended well. What is stored is read by plain redis-py, past the relay, and
compared with a plain twin of the layouts, a value at a time.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import numpy as np

import qwf_async
from qwf_async import Settings, Store, sources
from qwf_async.errors import OutOfMemory, QwfError, Refused, ReplayOwed, ServerUnavailable
from qwf_async.events import Event, Progress
from qwf_async.ingesting.leftover_spools import waiting_spools
from qwf_async.ingesting.replay import replay
from qwf_async.ingesting.shutdown import Shutdown
from tests.conftest import PATIENCE, Server
from tests.support.command import Outcome, Shell
from tests.support.relay import Relay, relaying
from tests.support.soak.findings import Findings
from tests.support.soak.oracle import Case, compared, journalled, remove, strays
from tests.support.soak.random_faults import RandomFaults, patiently, start

TASKS, PROCESSES = 4, 2
MAX_ATTEMPTS: Final = 100
MAX_IN_CALM: Final = 10
"""Attempts after the last fault: one, after those for which an attempt that was killed holds the name."""

KEPT: Final = 4
"""Wavefunctions that each worker leaves stored, to be compared once more at the end."""

HANGS: Final = 90.0
"""Seconds after which an attempt counts as hanging. Faults last up to 6 s, and deadlines are up to 12."""

LIMITS: Final[dict[str, Any]] = {
    "spool_after": 0.3,
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "ownership_ttl": 2.0,
    "gate_timeout": 3.0,
}


@dataclass(slots=True, kw_only=True)
class Acked:
    """A hook that counts what was acknowledged: `points` are safe by now, `found` were so at the beginning."""

    chunks: int = 0
    points: int = 0
    found: int | None = None
    _sent: int = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            if self.found is None:
                self.found = event.points
            self.chunks += event.bytes_sent > self._sent
            self._sent, self.points = event.bytes_sent, event.points


@dataclass(slots=True, kw_only=True)
class Soak:
    """Workers that ingest while there are faults. `stored` is what must be there: by name, its last ingest."""

    server: Server
    relay: Relay
    shell: Shell
    spool_dir: Path
    weather: RandomFaults
    findings: Findings
    stored: dict[str, Case] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        return [self.relay.url, self.relay.tcp_url]

    async def run(self, tasks: int, processes: int) -> None:
        settings = Settings(**LIMITS, spool_dir=self.spool_dir)
        async with anyio.create_task_group() as workers:
            for number in range(tasks):
                workers.start_soon(self._work_in_process, f"task{number}", settings)
            for number in range(processes):
                workers.start_soon(self._work_by_processes, f"process{number}")
            workers.start_soon(self.weather.run)
        await anyio.to_thread.run_sync(self.server.kill)
        await anyio.to_thread.run_sync(start, self.server)
        for case in self.stored.values():
            await self._compare(case)
        async with qwf_async.connect(self.server.url, settings=settings) as store:
            await store.clean()
        look = partial(strays, cases=self.stored.values())
        self.findings.leaked += await anyio.to_thread.run_sync(patiently, self.server, look)
        self.findings.leaked += [
            f"in the spool: {path.name}" for path in self.spool_dir.glob("**/*") if path.is_file()
        ]
        self.findings.leaked += [f"task {task}" for task in asyncio.all_tasks() - {asyncio.current_task()}]

    async def _work_in_process(self, worker: str, settings: Settings) -> None:
        chance = random.Random(f"{self.weather.seed} {worker}")
        names: list[str] = []
        number = 0
        while self.weather.left > 0:
            number += 1
            overwrite = bool(names) and chance.random() < 0.3
            name = chance.choice(names) if overwrite else f"{worker}-{number}"
            shape = (
                chance.randint(1, 6),
                chance.randint(5, 20),
                chance.randint(5, 12),
                chance.randint(5, 12),
            )
            case = Case.drawn(chance, name, self.urls, shape, overwrite=overwrite)
            await self._ingest_in_process(case, chance, settings)
            await self._ended(case, names)

    async def _ingest_in_process(self, case: Case, chance: random.Random, settings: Settings) -> None:
        """Attempts until one succeeds; what any had acknowledged, the next must find."""
        source = sources.array(case.psi)
        settings = replace(settings, spool_limit=case.spool_limit, deadline=case.deadline)
        most = 0
        whole = False
        for attempt, calm in self._attempts(case):
            hook = Acked()
            begun = time.monotonic()
            error: QwfError | None = None
            report = None
            with anyio.move_on_after(HANGS) as hanging, anyio.CancelScope() as cancelled:
                if not calm and chance.random() < 0.3:
                    cancelled.deadline = anyio.current_time() + chance.uniform(0, 2.5)
                try:
                    async with qwf_async.connect(case.url, settings=settings) as store:
                        report = await self._attempt(
                            case, source, store, hook, replays=whole and chance.random() < 0.5
                        )
                except QwfError as found:
                    error = found
            self.findings.acked += hook.chunks
            if hook.found is not None and hook.found < most:
                self.findings.lose(
                    case, (most - hook.found), "points that were acked were not found by the next attempt"
                )
            most = max(most, hook.points)
            if hanging.cancelled_caught:
                self.findings.problem(case, f"attempt {attempt} hung\n{_stacks()}")
            if cancelled.cancelled_caught:
                self.weather.strike("cancelled")
            self.findings.ended(attempt, error.exit_code if error else "cancelled" if report is None else 0)
            if report is not None:
                self.findings.spooled += report.spooled_chunks
                return
            whole = whole or isinstance(error, ReplayOwed)
            if error is not None:
                self._explain(case, error.exit_code, str(error), attempt, begun, calm=calm)
                await anyio.sleep(chance.uniform(0, 1))

    def _attempts(self, case: Case) -> Iterator[tuple[int, bool]]:
        """Numbers of attempts, and whether they begin after the last fault: as many as an ingest may need."""
        in_calm = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            in_calm += self.weather.calm
            if in_calm > MAX_IN_CALM:
                break
            yield attempt, self.weather.calm
        self.findings.problem(case, f"not stored after {attempt} attempts, {in_calm} of them in calm")

    async def _attempt(self, case: Case, source: Any, store: Store, hook: Acked, *, replays: bool) -> Any:
        if replays and (waiting := await waiting_spools(store, case.name)):
            return await replay(store, waiting[0], Shutdown(drain_timeout=1), hook=hook)
        return await qwf_async.ingest(
            source,
            store,
            case.name,
            layout=case.layout,
            codec=case.codec,
            writers=case.writers,
            max_rate=case.max_rate,
            verify=case.verify,
            overwrite=case.overwrite,
            resume=True,
            hooks=(hook,),
        )

    async def _work_by_processes(self, worker: str) -> None:
        chance = random.Random(f"{self.weather.seed} {worker}")
        names: list[str] = []
        number = 0
        while self.weather.left > 0:
            number += 1
            shape = (1, chance.randint(3, 5), 1, 33_000)
            case = Case.drawn(chance, f"{worker}-{number}", self.urls, shape, overwrite=False)
            file = self.shell.directory / f"{case.name}.npy"
            await anyio.to_thread.run_sync(np.save, file, case.psi)
            await self._ingest_by_processes(case, file, chance)
            file.unlink()
            await self._ended(case, names)

    async def _ingest_by_processes(self, case: Case, file: Path, chance: random.Random) -> None:
        options = {
            "layout": case.layout,
            "codec": case.codec,
            "writers": case.writers,
            "max-rate": case.max_rate,
        }
        command = ["ingest", file.name, "--name", case.name, "--resume", "--json", "--url", case.url]
        command += [f"--{name}={value}" for name, value in options.items()] + ["--verify"] * case.verify
        resume = ["resume", case.name, "--json", "--url", case.url]
        shell = self.shell.having(QWF_SPOOL_LIMIT=str(case.spool_limit), QWF_DEADLINE=str(case.deadline))
        stated, whole = 0, False
        for attempt, calm in self._attempts(case):
            begun = time.monotonic()
            by_resume = whole and chance.random() < 0.5
            number = None
            if not calm and chance.random() < 0.5:
                number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
            outcome, struck = await self._process(shell, resume if by_resume else command, number, chance)
            allowed = {0, 3, 4, 6, 8} | ({128 + number} if struck and number else set())
            self.findings.ended(attempt, outcome.status)
            # CPython prints, and forgets, a Ctrl-C that comes within a callback of its own, as while it imports.
            ignored = struck and number == signal.SIGINT and "Exception ignored in" in outcome.err
            never_began = struck and number == signal.SIGINT and outcome.never_began
            failed = outcome.status not in allowed or ("Traceback" in outcome.err and not ignored)
            if failed and not never_began:
                self.findings.problem(case, f"exit {outcome.status}: {outcome.err}")
            reports = _reports(outcome.out) if outcome.status == 0 else []
            if found := _STATED.search(outcome.err):
                now_stated = int(found[1]) + int(found[2] or 0)
                if now_stated < stated:
                    self.findings.lose(
                        case, stated - now_stated, "chunks that an attempt had stated are missing in the next"
                    )
                stated = now_stated
            for report in reports:
                self.findings.spooled += report["spooled_chunks"]
                if not report.get("already") and report["resumed_chunks"] + report["spooled_chunks"] < stated:
                    self.findings.lose(case, stated, f"chunks had been stated, and the report is {report}")
            if reports:
                self.findings.acked += await anyio.to_thread.run_sync(
                    patiently, self.server, partial(journalled, name=case.name)
                )
                return
            whole = whole or outcome.status == ReplayOwed.exit_code
            if outcome.status in (3, 4, 6, 8):
                self._explain(case, outcome.status, outcome.lines[-1], attempt, begun, calm=calm)

    async def _process(
        self, shell: Shell, command: list[str], number: int | None, chance: random.Random
    ) -> tuple[Outcome, bool]:
        """Run a command to its end. Returns its outcome, and whether it was sent the signal before."""
        struck = False
        with await anyio.to_thread.run_sync(partial(shell.begin, *command)) as begun:
            if number is not None:
                await anyio.sleep(chance.uniform(0.5, 5))
                if begun.process.poll() is None:
                    begun.signal(number)
                    self.weather.strike(signal.Signals(number).name)
                    struck = True
            return await anyio.to_thread.run_sync(begun.end, HANGS), struck

    def _explain(self, case: Case, code: int, text: str, attempt: int, begun: float, *, calm: bool) -> None:
        """An error must be caused by a fault, or by the attempt before."""
        if "is being loaded by" in text:
            explained = attempt > 1  # by an attempt of this process, which could not give it up
        elif any(sign in text for sign in _LOSS):
            self.findings.lose(case, 0, text)
            return
        elif code == OutOfMemory.exit_code:
            explained = self.weather.since("memory", begun)
        elif code == Refused.exit_code:
            # The latter are the words of Redis where a script may not run what it calls.
            words = "permission" in text or "can't run this command" in text
            explained = words and self.weather.since("permission", begun)
        else:  # in calm too: a busy machine may take longer than these short timeouts, but not MAX_IN_CALM times
            explained = code in (ServerUnavailable.exit_code, ReplayOwed.exit_code)
        if not explained:
            self.findings.problem(case, f"attempt {attempt}, calm {calm}, exit {code}: {text}")

    async def _ended(self, case: Case, names: list[str]) -> None:
        """Compare what was published; remove the worker's oldest, if it has enough."""
        self.findings.ingests += 1
        self.stored[case.name] = case
        await self._compare(case)
        if case.name not in names:
            names.append(case.name)
        if len(names) > KEPT:
            oldest = names.pop(0)
            del self.stored[oldest]
            await anyio.to_thread.run_sync(patiently, self.server, partial(remove, name=oldest))

    async def _compare(self, case: Case) -> None:
        compare = partial(patiently, self.server, partial(compared, case=case))
        lost, wrong = await anyio.to_thread.run_sync(compare)
        self.findings.points += case.psi.size
        self.findings.lost += lost
        self.findings.wrong += wrong
        if lost or wrong:
            self.findings.problem(case, f"{lost} fields are missing and {wrong} wrong")


_LOSS: Final = ("must come from the source", "of no more use", "came back empty", "holes", "keeps losing")
"""Words of errors that say that the server or the spool has lost what was acknowledged."""

_STATED: Final = re.compile(r"(\d+) of \d+ chunks of \S+ are stored(?:, (\d+) more wait)?")


def _reports(out: str) -> list[dict[str, Any]]:
    """The reports that a command printed: ingest prints one, resume a list."""
    found = json.loads(out)
    return found if isinstance(found, list) else [found]


def _stacks() -> str:
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    return text.getvalue()


def _threads_and_files() -> Iterator[str]:
    yield from (f"thread {thread.name}" for thread in threading.enumerate())
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue
        if target.startswith(("socket:", "pipe:", "/")) and not target.startswith("/proc"):
            yield f"file {target}"


def soak(
    server: Server,
    directory: Path,
    *,
    seed: int,
    faults: int,
    tasks: int = TASKS,
    processes: int = PROCESSES,
    scale: float = 1.0,
) -> Findings:
    """Ingest on a durable server until so many faults were made; what was found.

    `scale` is of the lengths of the faults. The plans of this process must have small chunks.
    """
    findings = Findings(seed=seed)
    begun = time.monotonic()
    backend: dict[str, Any] = {"use_uvloop": seed % 2 == 0}
    anyio.run(anyio.sleep, 0, backend_options=backend)  # uvloop's first loop opens a pipe that it keeps
    before = set(_threads_and_files())
    environment = {f"QWF_{name.upper()}": str(value) for name, value in LIMITS.items()}
    spool_dir = directory / "spool"
    with relaying(server) as relay:
        weather = RandomFaults(
            server=server, relay=relay, seed=seed, left=faults, scale=scale, drawn=findings.faults
        )
        shell = Shell.at(directory, QWF_SPOOL_DIR=str(spool_dir), **environment)
        run = Soak(
            server=server, relay=relay, shell=shell, spool_dir=spool_dir, weather=weather, findings=findings
        ).run
        anyio.run(run, tasks, processes, backend_options=backend)
    end = time.monotonic() + PATIENCE
    while (left := set(_threads_and_files()) - before) and time.monotonic() < end:
        time.sleep(0.02)  # threads of a loop that has ended, ending themselves
    findings.leaked += sorted(left)
    findings.seconds = time.monotonic() - begun
    return findings
