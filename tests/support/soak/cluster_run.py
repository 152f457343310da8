"""Random loads on a cluster, a fault in each round, and the oracle: what was reported is there, bit for bit.

A round ends published and equal, or with an error that the fault explains, after which the same call
succeeds. What a cluster loses after it was published is not counted as ours: its replication is
asynchronous. Most loads are held until the fault has struck: those must be whole.
"""

from __future__ import annotations

import asyncio
import io
import random
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

import qwf_async
from qwf_async import Settings, sources
from qwf_async.errors import DataLost, InvalidInput, OutOfMemory, QwfError, ReplayOwed, ServerUnavailable
from qwf_async.lattice.grid import Box
from qwf_async.source import Source
from tests.conftest import PATIENCE
from tests.support.clusters import Cluster
from tests.support.loads import Watched
from tests.support.soak.beside import LOSS, Beside
from tests.support.soak.cluster_faults import FAULTS, VALKEY_ALONE, ClusterFault
from tests.support.soak.cluster_findings import ClusterFindings
from tests.support.soak.oracle import Case, compared

HANGS: Final = 90.0
"""Seconds after which an attempt counts as hanging. Faults last up to 6 s, and deadlines are up to 12."""

MAX_IN_CALM: Final = 8
"""Attempts after the fault: one, after those for which one that was given up holds the name."""

LIMITS: Final[dict[str, Any]] = {
    "spool_after": 0.3,
    "socket_timeout": 1.0,
    "socket_connect_timeout": 1.0,
    "ownership_ttl": 2.0,
    "gate_timeout": 3.0,
}


@dataclass(slots=True, kw_only=True)
class Round:
    """One fault with two loads under way and a wavefunction beside them that is read and changed.

    `reported` are the loads that were reported as published; `held` those that were not before the fault had struck.
    """

    cluster: Cluster
    seed: str
    kind: str
    directory: Path
    findings: ClusterFindings
    fault: ClusterFault = field(init=False)
    cases: list[Case] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        chance = random.Random(f"{self.seed} fault")
        self.fault = ClusterFault(cluster=self.cluster, kind=self.kind, control="load0", chance=chance)

    async def run(self) -> None:
        """The whole round, on a whole cluster, which it leaves whole and empty."""
        chance = random.Random(f"{self.seed} round")
        await anyio.to_thread.run_sync(self.cluster.flush)
        urls = [node.url for node in self.cluster.primaries]
        urls.append("redis+cluster://" + ",".join(self.cluster.seeds))
        settings = Settings(**LIMITS, spool_dir=self.directory, deadline=12.0)
        beside = Beside(
            name="beside",
            url=urls[-1],
            layout=chance.choice(["flat", "packed", "tile"]),
            settings=replace(settings, read_from=chance.choice(["primary", "primary", "replica"])),
            chance=random.Random(f"{self.seed} beside"),
            fault=self.fault,
        )
        await beside.load()
        for number in range(2):
            shape = (
                chance.randint(2, 6),
                chance.randint(5, 20),
                chance.randint(5, 12),
                chance.randint(5, 12),
            )
            self.cases.append(
                Case.drawn(chance, f"load{number}", urls[-1:] * 3 + urls, shape, overwrite=False)
            )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beside.run)
            tasks.start_soon(self._strike, chance.uniform(0, 0.7))
            for case in self.cases:
                tasks.start_soon(self._load, case, settings)
        for case in self.cases:
            await self._check(case, urls[-1], settings)
        await beside.check()
        self.findings.reads += beside.reads
        self.findings.changes += beside.changes
        self.findings.problems += [f"{self.seed} {self.kind} beside: {text}" for text in beside.problems]
        await self._clear(urls[-1], settings)

    async def _strike(self, after: float) -> None:
        await anyio.sleep(after)
        self.findings.faults[self.kind] += 1
        await anyio.to_thread.run_sync(self.fault.run)

    async def _load(self, case: Case, settings: Settings) -> None:
        """Attempts until one succeeds."""
        chance = random.Random(f"{self.seed} {case.name}")
        settings = replace(
            settings,
            spool_limit=case.spool_limit,
            deadline=case.deadline,
            max_connections=chance.choice([2, 8, 50]),
        )
        write_mode = chance.choice(["auto", "auto", "hset"])
        until = chance.choice([self.fault.begun, self.fault.begun, self.fault.over, None])
        source: Source = sources.array(case.psi)
        if until is not None:
            self.held.add(case.name)
            source = held_until(until, source)
        in_calm = attempt = 0
        overwrite = False
        while in_calm < MAX_IN_CALM:
            calm = self.fault.over.is_set()
            in_calm, attempt = in_calm + calm, attempt + 1
            error: QwfError | None = None
            report = None
            with anyio.move_on_after(HANGS) as hanging, anyio.CancelScope() as cancelled:
                if not calm and chance.random() < 0.2:
                    cancelled.deadline = anyio.current_time() + chance.uniform(0, 2.5)
                try:
                    async with qwf_async.connect(case.url, settings=settings) as store:
                        report = await qwf_async.ingest(
                            source,
                            store,
                            case.name,
                            layout=case.layout,
                            codec=case.codec,
                            writers=case.writers,
                            max_rate=case.max_rate,
                            verify=case.verify,
                            write_mode=write_mode,
                            resume=not overwrite,
                            discard=overwrite,
                            overwrite=overwrite,
                        )
                except QwfError as found:
                    error = found
            ending: object = error.exit_code if error else "cancelled" if report is None else 0
            self.findings.endings[str(ending)] += 1
            if hanging.cancelled_caught:
                self.problem(case, f"attempt {attempt} hung\n{_stacks()}")
            if report is not None:
                self.reported.add(case.name)
                return
            if error is not None:
                self._explain(case, error, attempt, calm=calm)
                overwrite = "overwrite" in str(error)
                await anyio.sleep(chance.uniform(0, 0.5))
        self.problem(case, f"not stored after {attempt} attempts; last {error!r}")

    def _explain(self, case: Case, error: QwfError, attempt: int, *, calm: bool) -> None:
        """An error must be caused by the fault, or by the attempt before."""
        if "is being loaded by" in str(error):
            explained = attempt > 1
        elif "was taken over by" in str(error):  # by the attempt before, if the record of this one is lost
            explained = attempt > 1 and self.fault.may_lose
        elif isinstance(error, DataLost):
            explained = self.fault.may_lose
        elif isinstance(error, OutOfMemory):
            explained = self.kind == "primary full"
        elif isinstance(error, ServerUnavailable | ReplayOwed):
            explained = True
        else:
            explained = isinstance(error, LOSS) and self.fault.may_lose and "overwrite" in str(error)
        if not explained:
            trace = "".join(traceback.format_exception(error)[-12:])
            self.problem(case, f"attempt {attempt}, calm {calm}, {type(error).__name__}: {error}\n{trace}")

    async def _check(self, case: Case, url: str, settings: Settings) -> None:
        """Compare what is stored past the code under test, and verify it; again after what the cluster lost itself."""
        if case.name not in self.reported:
            return
        self.findings.loads += 1
        self.findings.points += case.psi.size
        lost, wrong = await anyio.to_thread.run_sync(self._compared, case)
        since = self.fault.may_lose and case.name not in self.held
        async with qwf_async.connect(url, settings=settings) as store:
            if lost and since:
                self.findings.lost_since += 1
                await self._is_told(store, case)
                await qwf_async.ingest(
                    sources.array(case.psi),
                    store,
                    case.name,
                    layout=case.layout,
                    codec=case.codec,
                    overwrite=True,
                    discard=True,
                )
                lost, more_wrong = await anyio.to_thread.run_sync(self._compared, case)
                wrong += more_wrong
            self.findings.lost += lost
            self.findings.wrong += wrong
            if lost or wrong:
                self.problem(case, f"{lost} fields are missing and {wrong} wrong")
                return
            found = await qwf_async.verify(store, case.name)
            if found.differences:
                self.problem(case, f"verify: {found.differences}")

    def _compared(self, case: Case) -> tuple[int, int]:
        with self.cluster.plain as client:
            return compared(client, case)

    async def _is_told(self, store: Any, case: Case) -> None:
        """Check that nobody can read what has holes as if it were whole."""
        try:
            await (await store.open(case.name)).read[...]
        except LOSS:
            return
        self.problem(case, "it has holes, and reads")

    async def _clear(self, url: str, settings: Settings) -> None:
        """Remove all, and check that no key is left; nor generations that nobody knows, if nothing was lost."""
        async with qwf_async.connect(url, settings=settings) as store:
            for name in ["beside", *self.reported]:
                with suppress(*[InvalidInput] * self.fault.may_lose):
                    await store.remove(name)
            await store.clean()
            orphans = await store.orphans(remove=True)
        if orphans and not self.fault.may_lose:
            self.findings.problems.append(f"{self.seed} {self.kind}: orphans {orphans}")
        end = time.monotonic() + PATIENCE
        while left := await anyio.to_thread.run_sync(self._left):
            if time.monotonic() > end or not self.kind.startswith("slots"):
                self.findings.problems.append(f"{self.seed} {self.kind}: left {left}")
                break
            await anyio.sleep(0.1)  # moved keys may take a moment to be freed
        spools = [path.name for path in self.directory.glob("**/*") if path.is_file()]
        if spools and not self.fault.may_lose:
            self.findings.problems.append(f"{self.seed} {self.kind}: in the spool {spools}")
        self.findings.problems += [
            f"{self.seed} {self.kind}: task {task}" for task in asyncio.all_tasks() - {asyncio.current_task()}
        ]

    def _left(self) -> list[bytes]:
        expected = {b"qwf:names"} if self.fault.may_lose else set()
        return sorted(self.cluster.contents().keys() - expected)

    def problem(self, case: Case, text: str) -> None:
        shown = f"{case.layout} {case.codec} {case.psi.shape} writers {case.writers}"
        shown += f" spool {case.spool_limit} deadline {case.deadline} {case.url}"
        self.findings.problems.append(f"{self.seed} {self.kind} {case.name} ({shown}): {text}")


def held_until(event: threading.Event, source: Source) -> Source:
    """The source, which gives its last time only once the event is set."""

    def wait(box: Box) -> None:
        if box.stop[0] == source.grid.shape[0]:
            assert event.wait(PATIENCE)

    return Watched(source=source, before=wait)


def _stacks() -> str:
    text = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=text)
    return text.getvalue()


def kinds_of(cluster: Cluster) -> list[str]:
    """The kinds of faults that a cluster's software can have."""
    return [kind for kind in FAULTS if cluster.software == "valkey" or kind not in VALKEY_ALONE]


def cluster_soak(cluster: Cluster, directory: Path, *, seed: int, kinds: list[str]) -> ClusterFindings:
    """A round for each kind, on a cluster made with `OPTIONS`; what was found. Plans must have small chunks."""
    findings = ClusterFindings(seed=seed)
    begun = time.monotonic()
    for number, kind in enumerate(kinds):
        spools = directory / str(number)
        spools.mkdir()
        one = Round(cluster=cluster, seed=f"{seed}.{number}", kind=kind, directory=spools, findings=findings)
        anyio.run(one.run, backend_options={"use_uvloop": (seed + number) % 2 == 0})
    findings.seconds = time.monotonic() - begun
    return findings
