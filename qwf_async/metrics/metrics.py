"""A hook that counts events, and the registry in which Prometheus finds what was counted."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, Protocol

from ..client.pool import Pool
from ..events import (
    BatchWritten,
    CleanedUp,
    Event,
    GateMoved,
    LoadSampled,
    MemorySampled,
    Noted,
    Progress,
    Retried,
    ServerFacts,
    ServerSampled,
    Spooled,
)
from ..optional import library
from .table import (
    BATCH_BOUNDS,
    BATCH_SECONDS,
    OF_CONNECTIONS,
    OF_EVENTS,
    OF_LOAD,
    OF_PROCESS,
    OF_READS,
    OF_SERVER,
    OF_STUDY,
    Metric,
)

MAX_LOADS: Final = 100
"""Loads of which there are metrics; of more, of the first ones by name."""


class _HasStanding(Protocol):
    """A storage of studies: `standing` has its mode, failovers, recoveries and merged entries."""

    @property
    def standing(self) -> Any: ...


class Metrics:
    """Counts events, of which it is a hook, and has them in `registry`, one of its own, of prometheus_client.

    `name` is what an ingest loads, of which it is the hook. With `add_store` the connections and
    reads of a store are counted too, with `add_storage` what a storage of studies goes through.
    Labels are bounded: addresses of servers, and the names of loads under way. It may be
    asked from any thread. Raises UsageError if prometheus_client is not installed.
    """

    def __init__(self, name: str = "") -> None:
        prometheus: Any = library("prometheus_client", extra="metrics", what="metrics")
        self._core: Any = library("prometheus_client.metrics_core", extra="metrics", what="metrics")
        self._name = name
        self._begun = time.monotonic()
        self.registry = prometheus.CollectorRegistry()
        self._counts = dict.fromkeys(OF_EVENTS, 0.0)
        self._batches = [0] * (len(BATCH_BOUNDS) + 1)
        self._batch_seconds = 0.0
        self._sampled: ServerSampled | None = None
        self._memory: Mapping[str, MemorySampled] = {}
        self._spooled: Spooled | None = None
        self._progress: Progress | None = None
        self._last_verified = 0
        self._shut = False
        self._ended: tuple[bool, float] | None = None
        self._pools: list[Pool] = []
        self._storages: list[_HasStanding] = []
        self.registry.register(self)
        prometheus.ProcessCollector(registry=self.registry)
        prometheus.PlatformCollector(registry=self.registry)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case BatchWritten(points=points, nbytes=nbytes, seconds=seconds):
                self._count("points_written", points)
                self._count("bytes_written", nbytes)
                self._batches[bisect_left(BATCH_BOUNDS, seconds)] += 1
                self._batch_seconds += seconds
            case Retried():
                self._count("batches_retried", 1)
            case Progress(phase="verifying", points=points):
                self._count("points_verified", max(0, points - self._last_verified))
                self._last_verified = points
            case Progress(phase=""):
                self._progress = event
            case CleanedUp(scratch_fields=fields, generations=generations, abandoned_loads=loads):
                self._count("cleaned_fields", fields)
                self._count("cleaned_generations", generations + loads)
            case GateMoved(shut=shut):
                self._shut = shut
            case Spooled():
                self._spooled = event
            case MemorySampled(where=where):
                self._memory = {**self._memory, where: event}
            case ServerSampled():
                self._sampled = event
            case Noted(warning=True):
                self._count("warnings", 1)

    def _count(self, what: str, more: float) -> None:
        self._counts[f"qwf_{what}_total"] += more

    def add_store(self, store: Any) -> None:
        """Count the connections and reads of a store too, an asynchronous or a synchronous one."""
        self._pools.append(getattr(store, "_behind", store).pool)

    def add_storage(self, storage: _HasStanding) -> None:
        """Count what a storage of studies goes through too."""
        self._storages.append(storage)

    def end(self, *, success: bool) -> None:
        """Note that the load has ended, and how, if this is the hook of one."""
        if self._name:
            self._ended = success, time.time()

    @property
    def problem(self) -> str | None:
        """Why the server is not well, in one line; None if it is, by all that was heard."""
        if self._sampled is not None and self._sampled.away:
            return f"away: {', '.join(self._sampled.away)}"
        spooled = self._spooled
        if spooled is not None and spooled.chunks and not spooled.replaying:
            return f"the server is away: {spooled.chunks} chunks wait in the spool"
        return None

    def collect(self) -> Iterator[Any]:
        """The families that are not counters of their own, as prometheus_client asks for them."""
        sampled = self._sampled
        facts = sampled.facts if sampled else ()
        away = sampled.away if sampled else ()
        up = {each.where: 1.0 for each in facts} | dict.fromkeys(away, 0.0)
        yield self._state("qwf_server_up", up, "server")
        yield from self._families(OF_SERVER, "server", {each.where: each for each in self._known(facts)})
        yield from self._families(OF_LOAD, "name", self._loads())
        for name, count in self._counts.items():
            yield _filled(self._core.CounterMetricFamily(name, OF_EVENTS[name]), count)
        yield self._histogram()
        yield self._state("qwf_gate_shut", self._shut)
        yield self._state("qwf_spool_bytes", self._spool("nbytes"))
        yield self._state("qwf_spool_chunks", self._spool("chunks"))
        if self._pools:
            for table, things in (
                (OF_CONNECTIONS, [pool.counts for pool in self._pools]),
                (OF_READS, [pool.reads for pool in self._pools]),
            ):
                for name, metric in table.items():
                    yield self._family(name, metric, None, sum(metric.of(each) or 0 for each in things))
        if self._storages:
            standings = [storage.standing for storage in self._storages]
            for name, metric in OF_STUDY.items():
                yield self._family(name, metric, None, sum(metric.of(each) or 0 for each in standings))
        if self._ended is not None:
            success, ended = self._ended
            yield self._state("qwf_load_success", success)
            yield self._state("qwf_load_timestamp_seconds", ended)

    def _known(self, facts: Sequence[ServerFacts]) -> Sequence[ServerFacts]:
        """What is known of servers: what they said; or else what the watchdog of an ingest has seen."""
        return facts or [
            ServerFacts(where=where, used=memory.used, limit=memory.limit)
            for where, memory in self._memory.items()
        ]

    def _loads(self) -> Mapping[str, LoadSampled]:
        loads = {load.name: load for load in (self._sampled and self._sampled.loads) or ()}
        progress = self._progress
        if progress is not None and self._name:
            loads[self._name] = LoadSampled(
                name=self._name,
                generation="",
                points=progress.total,
                done=progress.points / max(1, progress.total),
                rate=None,
                owner="",
                held=self._ended is None,
                age=time.monotonic() - self._begun,
            )
        return {name: loads[name] for name in sorted(loads)[:MAX_LOADS]}

    def _spool(self, what: str) -> float:
        if self._sampled is not None:
            return sum(getattr(spool, what) or 0 for spool in self._sampled.spools)
        return float(getattr(self._spooled, what, 0))

    def _families(self, table: Mapping[str, Metric], label: str, things: Mapping[str, Any]) -> Iterator[Any]:
        for name, metric in table.items():
            yield self._family(name, metric, label, {key: metric.of(thing) for key, thing in things.items()})

    def _family(self, name: str, metric: Metric, label: str | None, values: Any) -> Any:
        kind = self._core.CounterMetricFamily if metric.grows else self._core.GaugeMetricFamily
        return _filled(kind(name, metric.about, labels=None if label is None else [label]), values)

    def _state(self, name: str, values: Any, label: str | None = None) -> Any:
        labels = None if label is None else [label]
        return _filled(self._core.GaugeMetricFamily(name, OF_PROCESS[name], labels=labels), values)

    def _histogram(self) -> Any:
        buckets = zip((*map(str, BATCH_BOUNDS), "+Inf"), accumulate(self._batches), strict=True)
        family = self._core.HistogramMetricFamily(*BATCH_SECONDS)
        family.add_metric([], list(buckets), self._batch_seconds)
        return family


def _filled(family: Any, values: Any) -> Any:
    """The family with one value, or with one for each label; what is None is absent."""
    for key, value in values.items() if isinstance(values, Mapping) else [(None, values)]:
        if value is not None:
            family.add_metric([] if key is None else [key], float(value))
    return family
