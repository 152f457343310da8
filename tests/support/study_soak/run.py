"""One run of the soak: workers on two hosts, faults, calm, and the check."""

from __future__ import annotations

import multiprocessing
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Literal

import optuna
from optuna.trial import FrozenTrial

from tests.conftest import PATIENCE, Server
from tests.support.relay import Relay, relaying
from tests.support.study_soak.checker import check
from tests.support.study_soak.journal import Call, Told, read
from tests.support.study_soak.nemesis import Nemesis
from tests.support.study_soak.worker import STUDY, Host, Worker, open_storage, work
from tests.support.waiting import wait_until

FORKED: Final = multiprocessing.get_context("forkserver")
"""Workers are forked from a process that has imported Optuna: that takes longer than many a fault."""

QUEUED: Final = 20
"""Trials that wait in the queue at the beginning."""

HOSTS: Final = 2


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a soak has found, in figures and in words. `longest` is of all calls, in seconds, stopped ones too."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    workers: int = 0
    trials: int = 0
    told: int = 0
    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    renumbered: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(self.faults.items()))
        errors = ", ".join(f"{kind} {n}" for kind, n in sorted(self.errors.items())) or "none"
        return (
            f"seed {self.seed}: {self.faults.total()} faults in {self.seconds:.0f} s ({faults}); "
            f"{self.workers} workers, {self.trials} trials, {self.told} results acknowledged in {self.calls} calls, "
            f"the longest {self.longest:.1f} s; {self.renumbered} renumbered; errors: {errors}; "
            f"{len(self.problems)} problems" + "".join(f"\n  {each}" for each in self.problems[:20])
        )


class Workers:
    """The processes of all hosts. One that is killed is followed by another, as a queue of jobs does it."""

    def __init__(self, hosts: Sequence[Host], template: Worker) -> None:
        self._hosts = hosts
        self._template = template
        self._running: dict[int, tuple[int, BaseProcess, Connection]] = {}
        self._lock = threading.Lock()
        self.begun = 0

    def begin(self, host: int) -> None:
        """Start one more on a host."""
        with self._lock:
            self.begun += 1
            name = f"{self._hosts[host].name}-{self.begun}"
            ours, theirs = FORKED.Pipe()
            worker = replace(self._template, name=name, host=self._hosts[host])
            process = FORKED.Process(target=work, args=(worker, theirs), daemon=True)
            process.start()
            theirs.close()
            assert process.pid is not None
            self._running[process.pid] = (host, process, ours)

    def wait(self) -> None:
        """Until each that runs has opened the study."""
        for _, _, told in self._running.values():
            if told.poll(PATIENCE):
                told.recv()

    def pids(self, host: int | None = None) -> list[int]:
        with self._lock:
            return [pid for pid, (own, _, _) in self._running.items() if host in (None, own)]

    def kill(self, pid: int) -> None:
        with self._lock:
            host, process, told = self._running.pop(pid)
        process.kill()
        process.join()
        told.close()
        self.begin(host)

    def end(self) -> Iterator[str]:
        """Ask all to end, and wait for them; those that do not, or died by themselves, are told of."""
        for _, _, told in self._running.values():
            try:
                told.send("stop")
            except OSError:
                yield "a worker has died"
        end = time.monotonic() + PATIENCE
        for _, process, told in self._running.values():
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                yield f"a worker hangs: {process.pid}"
                process.kill()
                process.join()
            elif process.exitcode:
                yield f"a worker ended with {process.exitcode}"
            told.close()
        self._running.clear()


def soak(
    server: Server,
    directory: Path,
    *,
    seed: int,
    faults: int,
    workers: int = 6,
    threads: int = 1,
    scale: float = 1.0,
    pause: float = 0.0,
    kinds: Sequence[str] = (),
    storage: Literal["own", "stock"] = "own",
) -> Findings:
    """So many workers on each of two hosts, until so many faults were made; what was found.

    `server` has an append-only file. `scale` is of the lengths of the faults, and `pause` of the times
    between trials, in seconds.
    """
    FORKED.set_forkserver_preload(["tests.support.study_soak.worker", "redis", "qwf_async.study.storage"])
    findings = Findings(seed=seed)
    begun = time.monotonic()
    journals = directory / "journals"
    journals.mkdir()
    with ExitStack() as stack:
        relays = [stack.enter_context(relaying(server)) for _ in range(HOSTS)]
        hosts = [_host(directory, number, relay) for number, relay in enumerate(relays)]
        queued = _create(hosts[0], storage)
        template = Worker(
            name="",
            host=hosts[0],
            journals=journals,
            seed=seed,
            storage=storage,
            threads=threads,
            pause=pause,
        )
        crew = Workers(hosts, template)
        for number in range(workers * HOSTS):
            crew.begin(number % HOSTS)
        crew.wait()
        nemesis = Nemesis(
            server=server, relays=relays, crew=crew, seed=seed, faults=faults, scale=scale, kinds=kinds
        )
        nemesis.run()
        time.sleep(2.0)
        findings.problems += [*nemesis.problems, *crew.end()]
        for host in hosts:  # so that each has brought to the server what it has
            _view(host, storage)
        views = [_view(host, storage) for host in hosts]
    findings.faults = nemesis.drawn
    findings.workers = crew.begun
    told = list(read(journals))

    def explained(worker: Told, call: Call) -> bool:
        """A full disk explains an error of its host, and an outage that a study cannot be opened first."""
        if call.kind == "open" and str(call.answer).startswith(
            ("ServerUnavailable", "HungUp", "ConnectionLost")
        ):
            return True
        return any(
            worker.host == f"h{host}" and first <= call.ended and call.begun <= last + 1
            for host, first, last in nemesis.full
        )

    findings.problems += check(told, views, explained, queued)
    _count(findings, told, views[0])
    findings.seconds = time.monotonic() - begun
    return findings


def _host(directory: Path, number: int, relay: Relay) -> Host:
    own = directory / f"host{number}"
    own.mkdir(mode=0o700)
    return Host(name=f"h{number}", url=relay.url, directory=own)


def _create(host: Host, kind: str) -> list[float]:
    """Make the study, and queue some trials; their x."""
    with _closing(open_storage(host, kind)) as storage:
        study = optuna.create_study(study_name=STUDY, storage=storage)
        queued = [number / QUEUED for number in range(QUEUED)]
        for x in queued:
            study.enqueue_trial({"x": x})
        return queued


def _view(host: Host, kind: str) -> list[FrozenTrial]:
    """The study as a new process of a host reads it, once ghosts are failed and its host is back."""
    with _closing(open_storage(host, kind)) as storage:
        study = optuna.load_study(study_name=STUDY, storage=storage)
        if kind == "own":
            study.set_user_attr("viewed", host.name)
            wait_until(lambda: storage.get_storage_status()["mode"] == "online")
        with warnings.catch_warnings(action="ignore"):
            optuna.storages.fail_stale_trials(study)
        return study.get_trials()


@contextmanager
def _closing(storage: Any) -> Iterator[Any]:
    try:
        yield storage
    finally:
        getattr(storage, "close", lambda: None)()


def _count(findings: Findings, told: Sequence[Told], trials: Sequence[FrozenTrial]) -> None:
    calls = [call for each in told for call in each.calls]
    findings.calls = sum(call.outcome == "done" for call in calls)
    findings.told = sum(call.kind == "tell" and call.outcome == "done" for call in calls)
    findings.trials = len(trials)
    findings.renumbered = sum("qwf:asked_as" in trial.system_attrs for trial in trials)
    findings.errors = Counter(
        str(call.answer).partition(":")[0] for call in calls if call.outcome == "failed"
    )
    findings.longest = max((call.ended - call.begun for call in calls if call.outcome == "done"), default=0.0)
