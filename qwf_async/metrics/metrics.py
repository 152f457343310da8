"""A hook that counts events, and the registry in which Prometheus finds what was counted."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate
from typing import Any, Final, Protocol

from ..client.pool import Pool
from ..events import (
    BatchWritten,
    CleanedUp,
    Event,
    GateMoved,
    LoadEnded,
    LoadSampled,
    MemorySampled,
    Noted,
    Progress,
    Retried,
    ServerSampled,
    Spooled,
)
from ..optional import library
from .table import (
    BATCH_BOUNDS,
    BATCH_SECONDS,
    METRICS,
    OF_CONNECTIONS,
    OF_EVENTS,
    OF_LOAD,
    OF_READS,
    OF_SERVER,
    OF_STUDY,
    RESULTS,
    STUDY_TRIALS,
    WHY_RETRIED,
    Metric,
    unit_of,
)

MAX_LOADS: Final = 100
"""Loads of which there are metrics; of more, of the first ones by name."""

Values = Mapping[str, float | None]
"""The values of a metric by label, or under "" if it has none; what is None is absent."""


class _HasStanding(Protocol):
    """A storage of studies: `standing` has its mode, failovers, recoveries, merged entries and trials."""

    @property
    def standing(self) -> Any: ...


class Metrics:
    """Counts events, of which it is a hook, and has them in `registry`, one of its own, of prometheus_client.

    One may be the hook of several loads, one after the other or at once. With `add_store` the
    connections and reads of a store are counted too, with `add_storage` what a storage of studies
    goes through. Labels are bounded: addresses of servers, and the names of loads under way. It may
    be asked from any thread. Raises UsageError if prometheus_client is not installed.
    """

    def __init__(self) -> None:
        prometheus: Any = library("prometheus_client", extra="metrics", what="metrics")
        self._core: Any = library("prometheus_client.metrics_core", extra="metrics", what="metrics")
        self.registry = prometheus.CollectorRegistry()
        self._counts: dict[str, dict[str, float]] = {
            name: {"": 0.0} for name, metric in OF_EVENTS.items() if not metric.label
        }
        self._counts["qwf_batches_retried_total"] = dict.fromkeys(WHY_RETRIED, 0.0)
        self._counts["qwf_loads_total"] = dict.fromkeys(RESULTS, 0.0)
        self._batches = [0] * (len(BATCH_BOUNDS) + 1)
        self._batch_seconds = 0.0
        self._last_verified = 0
        self._sampled: ServerSampled | None = None
        self._spooled: Spooled | None = None
        self._no_answer: str | None = None
        # Made anew at each change, as another thread may be reading them:
        self._memory: Mapping[str, MemorySampled] = {}
        self._loads: Mapping[str, tuple[float, Progress]] = {}
        self._shut_for: Mapping[str, float] = {}
        self._shut_since: Mapping[str, float] = {}
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
                self._count("qwf_points_written_total", points)
                self._count("qwf_bytes_written_total", nbytes)
                self._batches[bisect_left(BATCH_BOUNDS, seconds)] += 1
                self._batch_seconds += seconds
                self._no_answer = None
            case Progress(phase="verifying", points=points):
                last = self._last_verified if points >= self._last_verified else 0
                self._count("qwf_points_verified_total", points - last)
                self._last_verified = points
            case Progress(phase="", name=name) if name:
                begun, _ = self._loads.get(name, (time.monotonic(), event))
                self._loads = {**self._loads, name: (begun, event)}
            case LoadEnded(name=name, published=published):
                self._loads = {other: load for other, load in self._loads.items() if other != name}
                self._count("qwf_loads_total", 1, RESULTS[published])
            case Retried(why=why, reason=reason):
                self._count("qwf_batches_retried_total", 1, why)
                self._no_answer = reason if why == "away" else self._no_answer
            case CleanedUp(scratch_fields=fields, generations=generations, abandoned_loads=loads):
                self._count("qwf_cleaned_fields_total", fields)
                self._count("qwf_cleaned_generations_total", generations + loads)
            case GateMoved(where=where, shut=shut):
                self._move_gate(where, shut=shut)
            case Spooled():
                self._spooled = event
            case MemorySampled(where=where):
                self._memory = {**self._memory, where: event}
                self._no_answer = None
            case ServerSampled():
                self._sampled = event
            case Noted(warning=True):
                self._count("qwf_warnings_total", 1)

    def _count(self, name: str, more: float, label: str = "") -> None:
        self._counts[name][label] += more

    def _move_gate(self, where: str, *, shut: bool) -> None:
        since = self._shut_since.get(where)
        if shut and since is None:
            self._shut_since = {**self._shut_since, where: time.monotonic()}
        elif not shut and since is not None:
            before = self._shut_for.get(where, 0.0)
            self._shut_for = {**self._shut_for, where: before + time.monotonic() - since}
            self._shut_since = {other: at for other, at in self._shut_since.items() if other != where}

    def add_store(self, store: Any) -> None:
        """Count the connections and reads of a store too, an asynchronous or a synchronous one."""
        self._pools.append(getattr(store, "_behind", store).pool)

    def add_storage(self, storage: _HasStanding) -> None:
        """Count what a storage of studies goes through too."""
        self._storages.append(storage)

    def end(self, *, success: bool) -> None:
        """Note that what is measured has ended, and how: `qwf_load_success` and its time."""
        self._ended = success, time.time()

    @property
    def problem(self) -> str | None:
        """Why the server is not well, in one line; None if it is, by all that was heard."""
        if self._sampled is not None and self._sampled.away:
            return f"away: {', '.join(self._sampled.away)}"
        spooled = self._spooled
        if spooled is not None and spooled.chunks and not spooled.replaying:
            return f"the server is away: {spooled.chunks} chunks wait in the spool"
        return self._no_answer

    def collect(self) -> Iterator[Any]:
        """Every metric of the table, as prometheus_client asks for them; without values where there are none."""
        values = self._values()
        for name, metric in METRICS.items():
            if name == BATCH_SECONDS:
                yield self._histogram(metric)
                continue
            kind = self._core.CounterMetricFamily if name.endswith("_total") else self._core.GaugeMetricFamily
            labels = [metric.label] if metric.label else None
            family = kind(name, metric.about, labels=labels, unit=unit_of(name))
            for label, value in values.get(name, {}).items():
                if value is not None:
                    family.add_metric([label] if metric.label else [], float(value))
            yield family

    def _values(self) -> dict[str, Values]:
        sampled, now = self._sampled, time.monotonic()
        facts = sampled.facts if sampled else ()
        known = {each.where: each for each in facts}
        shut_since, shut_for = self._shut_since, self._shut_for
        memory = {} if sampled else self._memory  # what the watchdog of a load has seen
        gates = {**known, **memory, **shut_for, **shut_since}
        values: dict[str, Values] = {
            **self._counts,
            "qwf_build_info": {version("qwf_async"): 1.0},
            "qwf_server_up": {each.where: 1.0 for each in facts}
            | dict.fromkeys(sampled.away if sampled else (), 0.0),
            "qwf_gate_shut": {where: where in shut_since for where in gates},
            "qwf_gate_shut_seconds_total": {
                where: shut_for.get(where, 0.0) + now - shut_since.get(where, now) for where in gates
            },
            "qwf_spool_bytes": {"": self._spool("nbytes")},
            "qwf_spool_chunks": {"": self._spool("chunks")},
            **_of_each(OF_SERVER, known),
            **_of_each(OF_LOAD, self._under_way(now)),
        }
        if memory:
            values |= {
                "qwf_server_memory_bytes": {where: each.used for where, each in memory.items()},
                "qwf_server_memory_limit_bytes": {where: each.limit for where, each in memory.items()},
            }
        for table, things in (
            (OF_CONNECTIONS, [pool.counts for pool in self._pools]),
            (OF_READS, [pool.reads for pool in self._pools]),
            (OF_STUDY, [storage.standing for storage in self._storages]),
        ):
            if things:
                values |= {
                    name: {"": sum(metric.of(each) or 0 for each in things)} for name, metric in table.items()
                }
        trials: Counter[str] = Counter()
        for storage in self._storages:
            trials.update(dict(storage.standing.trials))
        values[STUDY_TRIALS] = dict(trials)
        if self._ended is not None:
            success, ended = self._ended
            values |= {"qwf_load_success": {"": success}, "qwf_load_timestamp_seconds": {"": ended}}
        return values

    def _under_way(self, now: float) -> Mapping[str, LoadSampled]:
        loads = {load.name: load for load in (self._sampled and self._sampled.loads) or ()}
        loads |= {
            name: LoadSampled(
                name=name,
                generation="",
                points=progress.total,
                done=progress.points / max(1, progress.total),
                rate=None,
                owner="",
                held=True,
                age=now - begun,
            )
            for name, (begun, progress) in self._loads.items()
        }
        return {name: loads[name] for name in sorted(loads)[:MAX_LOADS]}

    def _spool(self, what: str) -> float:
        if self._sampled is not None:
            return sum(getattr(spool, what) or 0 for spool in self._sampled.spools)
        return float(getattr(self._spooled, what, 0))

    def _histogram(self, metric: Metric) -> Any:
        buckets = zip((*map(str, BATCH_BOUNDS), "+Inf"), accumulate(self._batches), strict=True)
        family = self._core.HistogramMetricFamily(BATCH_SECONDS, metric.about, unit=unit_of(BATCH_SECONDS))
        family.add_metric([], list(buckets), self._batch_seconds)
        return family


def _of_each(table: Mapping[str, Metric], things: Mapping[str, Any]) -> dict[str, Values]:
    """The values of each metric of a table in each of these things, which are under their labels."""
    return {
        name: {label: metric.of(thing) for label, thing in things.items()} for name, metric in table.items()
    }
