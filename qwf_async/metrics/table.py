"""The metrics: name, meaning, label, and where the value comes from. `qwf help metrics` has the same table.

Names follow Prometheus: base units, and `_total` behind what only grows. What ends in `_total` is a
counter, BATCH_SECONDS is a histogram, and the others are gauges. Source: "Metric and label naming"
and "Writing exporters" of its documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..events import ServerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: what it means, its only label, and its value in what it is `of`; None where not known."""

    about: str
    label: str = ""
    of: Callable[[Any], float | None] = lambda thing: None


def unit_of(name: str) -> str:
    """The base unit that a name ends in; empty for what is counted in things."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in ("seconds", "bytes", "ratio") else ""


def _each(label: str, **metrics: tuple[str, str]) -> dict[str, Metric]:
    """Metrics by name, each from (attribute, meaning) of what they are of."""

    def value_of(attribute: str) -> Callable[[Any], float | None]:
        return lambda thing: getattr(thing, attribute)

    return {
        name: Metric(about=about, label=label, of=value_of(attribute))
        for name, (attribute, about) in metrics.items()
    }


def _link(facts: ServerFacts) -> float | None:
    return None if facts.primary_link is None else facts.primary_link.is_up


def _lag(facts: ServerFacts) -> float | None:
    """The bytes that the replica which is furthest behind lacks."""
    return max((link.lag_bytes for link in facts.replica_links if link.lag_bytes is not None), default=None)


WHY_RETRIED: Final = ("away", "busy", "memory", "moved")
RESULTS: Final = ("left", "published")
"""Values of the labels of what is counted from events."""

OF_EVENTS: Final[Mapping[str, Metric]] = {
    "qwf_points_written_total": Metric(about="Points that servers have stored."),
    "qwf_bytes_written_total": Metric(about="Bytes of the requests that stored them."),
    "qwf_batches_retried_total": Metric(
        about="Batches that are sent again, as the server was away, busy or out of memory, or slots had moved.",
        label="reason",
    ),
    "qwf_points_verified_total": Metric(about="Points that were read back and compared."),
    "qwf_loads_total": Metric(
        about="Loads that ended: published, or left so that they can be resumed.", label="result"
    ),
    "qwf_gate_shut_seconds_total": Metric(
        about="Time for which writing was paused, for lack of memory.", label="server"
    ),
    "qwf_cleaned_fields_total": Metric(about="Expendable fields that were removed."),
    "qwf_cleaned_generations_total": Metric(about="Generations and abandoned loads that were removed."),
    "qwf_warnings_total": Metric(about="Warnings that were given."),
}
"""What is counted from events."""

BATCH_SECONDS: Final = "qwf_batch_seconds"
BATCH_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A histogram, and the upper bounds of its buckets (s)."""

OF_PROCESS: Final[Mapping[str, Metric]] = {
    BATCH_SECONDS: Metric(about="Time from the first byte of a batch to its last reply."),
    "qwf_build_info": Metric(about="Always 1; the label says which version runs.", label="version"),
    "qwf_server_up": Metric(about="1 if a server gave an answer when it was asked last.", label="server"),
    "qwf_gate_shut": Metric(about="1 while writing is paused, for lack of memory.", label="server"),
    "qwf_spool_bytes": Metric(about="Bytes that wait in spools."),
    "qwf_spool_chunks": Metric(about="Chunks that wait in spools."),
    "qwf_load_success": Metric(about="1 if the command succeeded, 0 if not; only once it has ended."),
    "qwf_load_timestamp_seconds": Metric(about="When the command ended, Unix time; only once it has ended."),
}
"""What is as it is now."""

OF_SERVER: Final[Mapping[str, Metric]] = {
    **_each(
        "server",
        qwf_server_memory_bytes=("used", "Memory that the server uses."),
        qwf_server_memory_limit_bytes=("limit", "Its maxmemory, or what else bounds it; absent without one."),
        qwf_server_memory_peak_bytes=("peak", "The most memory that it used since it started."),
        qwf_server_resident_memory_bytes=("rss", "Memory that its process has of the machine."),
        qwf_server_clients=("clients", "Connected clients."),
        qwf_server_clients_limit=("max_clients", "Clients that it takes at most."),
        qwf_server_blocked_clients=("blocked_clients", "Clients that wait in a blocking command."),
        qwf_server_replicas=("replicas", "Connected replicas."),
        qwf_server_saving=("saving", "1 while a child of it saves."),
        qwf_server_unsaved_changes=("changes_since_save", "Changes since it saved last."),
        qwf_server_last_save_timestamp_seconds=("last_save", "When it saved last, Unix time."),
        qwf_server_last_save_ok=("last_save_ok", "1 if the last save succeeded."),
        qwf_server_uptime_seconds=("uptime", "Time since it started."),
        qwf_server_rejected_connections_total=("rejected", "Connections turned away for lack of room."),
        qwf_server_commands_total=("commands", "Commands that it executed."),
        qwf_server_input_bytes_total=("input_bytes", "Bytes that it received."),
        qwf_server_output_bytes_total=("output_bytes", "Bytes that it sent."),
        qwf_server_key_hits_total=("hits", "Reads that found their key."),
        qwf_server_key_misses_total=("misses", "Reads that found no key."),
        qwf_server_evicted_keys_total=("evicted", "Keys evicted for lack of memory."),
        qwf_server_expired_keys_total=("expired", "Keys whose time was over."),
        qwf_server_slow_commands_total=("slow_commands", "Entries that its slow log has had."),
    ),
    "qwf_server_replica_lag_bytes": Metric(about="What the furthest replica lacks.", label="server", of=_lag),
    "qwf_server_primary_link_up": Metric(
        about="On a replica: 1 if it hears its primary.", label="server", of=_link
    ),
}
"""Of a `ServerFacts`, by the address of the server."""

OF_LOAD: Final[Mapping[str, Metric]] = _each(
    "name",
    qwf_load_progress_ratio=("done", "Share of the points of a load under way that are stored."),
    qwf_load_points=("points", "Points of a load under way."),
    qwf_load_age_seconds=("age", "Time since a load began."),
    qwf_load_held=("held", "1 while its owner works on a load, 0 if it was interrupted."),
)
"""Of a `LoadSampled`, by the name that is loaded."""

OF_CONNECTIONS: Final[Mapping[str, Metric]] = _each(
    "",
    qwf_connections_opened_total=("opened", "Connections that a server let in."),
    qwf_connections_failed_total=("failed", "Attempts to connect that failed."),
    qwf_connections_turned_away_total=("turned_away", "Attempts to connect that found no room."),
    qwf_connections_lost_total=("lost", "Open connections that broke."),
    qwf_connections_timeouts_total=("timeouts", "Answers that did not come in time."),
    qwf_connections_borrowed_total=("borrowed", "Times that a connection was lent to a task."),
)
"""Of `ConnectionCounts`."""

OF_READS: Final[Mapping[str, Metric]] = _each(
    "",
    qwf_reads_total=("reads", "Reads of values: a point, a list of points, or a selection each."),
    qwf_points_read_total=("points", "Points that were read."),
    qwf_bytes_read_total=("nbytes", "Bytes of the values that were read."),
    qwf_read_seconds_total=("seconds", "Time that reads took, of all tasks together."),
)
"""Of `ReadCounts`."""

OF_STUDY: Final[Mapping[str, Metric]] = {
    "qwf_study_offline": Metric(
        about="Storages of studies that work without their server.",
        of=lambda standing: standing.mode != "online",
    ),
    **_each(
        "",
        qwf_study_failovers_total=("failovers", "Times that a storage went offline."),
        qwf_study_recoveries_total=("recoveries", "Times that a storage came back."),
        qwf_study_merged_entries_total=("merged", "Entries brought to the server after an outage."),
    ),
}
"""Of the `standing` of a storage of studies."""

STUDY_TRIALS: Final = "qwf_study_trials_total"
OF_TRIALS: Final = {
    STUDY_TRIALS: Metric(
        about="Trials that this process asked for (running, waiting), or told (complete, pruned, fail).",
        label="state",
    )
}
"""Counted by the `standing`, too."""

METRICS: Final[Mapping[str, Metric]] = {
    **OF_EVENTS,
    **OF_PROCESS,
    **OF_SERVER,
    **OF_LOAD,
    **OF_CONNECTIONS,
    **OF_READS,
    **OF_STUDY,
    **OF_TRIALS,
}
"""All of them, by name."""
