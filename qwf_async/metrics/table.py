"""The metrics that have one value for each label, and where it comes from: what servers say, pools, loads, studies.

Names follow Prometheus: base units, and `_total` behind what only grows. Source: "Metric and
label naming" and "Writing exporters" of its documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..events import ServerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: what it means, whether it only grows, and its value in what it is `of`; None where not known."""

    about: str
    grows: bool = False
    of: Callable[[Any], float | None]


def _of(name: str) -> Callable[[Any], float | None]:
    return lambda thing: getattr(thing, name)


def _counted(about: str, name: str) -> Metric:
    return Metric(about=about, grows=True, of=_of(name))


def _measured(about: str, name: str) -> Metric:
    return Metric(about=about, of=_of(name))


def _link(facts: ServerFacts) -> float | None:
    return None if facts.primary_link is None else facts.primary_link.is_up


def _lag(facts: ServerFacts) -> float | None:
    """The bytes that the replica which is furthest behind lacks."""
    return max((link.lag_bytes for link in facts.replica_links if link.lag_bytes is not None), default=None)


OF_EVENTS: Final[Mapping[str, str]] = {
    "qwf_points_written_total": "Points that the server has stored.",
    "qwf_bytes_written_total": "Bytes of the requests that stored them.",
    "qwf_batches_retried_total": "Batches that were sent again.",
    "qwf_points_verified_total": "Points that were read back and compared.",
    "qwf_cleaned_fields_total": "Expendable fields that were removed.",
    "qwf_cleaned_generations_total": "Generations and abandoned loads that were removed.",
    "qwf_warnings_total": "Warnings that were given.",
}
"""What is counted from events."""

BATCH_SECONDS: Final = ("qwf_batch_seconds", "Time from the first byte of a batch to its last reply.")
BATCH_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A histogram, and the upper bounds of its buckets."""

OF_PROCESS: Final[Mapping[str, str]] = {
    "qwf_server_up": "1 if a server gave an answer when it was asked last.",
    "qwf_gate_shut": "1 while writing is paused, for lack of memory.",
    "qwf_spool_bytes": "Bytes that wait in spools.",
    "qwf_spool_chunks": "Chunks that wait in spools.",
    "qwf_load_success": "1 if the load succeeded, once it has ended.",
    "qwf_load_timestamp_seconds": "When the load ended, Unix time.",
}
"""What is as it is now."""

OF_SERVER: Final[Mapping[str, Metric]] = {
    "qwf_server_memory_bytes": _measured("Memory that the server uses.", "used"),
    "qwf_server_memory_limit_bytes": _measured("Its maxmemory; absent without one.", "limit"),
    "qwf_server_memory_peak_bytes": _measured("The most memory that it used since it started.", "peak"),
    "qwf_server_memory_rss_bytes": _measured("Memory that its process has of the machine.", "rss"),
    "qwf_server_clients": _measured("Connected clients.", "clients"),
    "qwf_server_clients_limit": _measured("Clients that it takes at most.", "max_clients"),
    "qwf_server_blocked_clients": _measured("Clients that wait in a blocking command.", "blocked_clients"),
    "qwf_server_replicas": _measured("Connected replicas.", "replicas"),
    "qwf_server_replica_lag_bytes": Metric(about="What the furthest replica lacks.", of=_lag),
    "qwf_server_primary_link_up": Metric(about="On a replica: 1 if it hears its primary.", of=_link),
    "qwf_server_saving": _measured("1 while a child of it saves.", "saving"),
    "qwf_server_unsaved_changes": _measured("Changes since it saved last.", "changes_since_save"),
    "qwf_server_last_save_timestamp_seconds": _measured("When it saved last, Unix time.", "last_save"),
    "qwf_server_last_save_ok": _measured("1 if the last save succeeded.", "last_save_ok"),
    "qwf_server_uptime_seconds": _measured("Time since it started.", "uptime"),
    "qwf_server_rejected_connections_total": _counted(
        "Connections turned away for lack of room.", "rejected"
    ),
    "qwf_server_commands_total": _counted("Commands that it executed.", "commands"),
    "qwf_server_input_bytes_total": _counted("Bytes that it received.", "input_bytes"),
    "qwf_server_output_bytes_total": _counted("Bytes that it sent.", "output_bytes"),
    "qwf_server_key_hits_total": _counted("Reads that found their key.", "hits"),
    "qwf_server_key_misses_total": _counted("Reads that found no key.", "misses"),
    "qwf_server_evicted_keys_total": _counted("Keys evicted for lack of memory.", "evicted"),
    "qwf_server_expired_keys_total": _counted("Keys whose time was over.", "expired"),
    "qwf_server_slow_commands_total": _counted("Entries that its slow log has had.", "slow_commands"),
}
"""Of a `ServerFacts`, by the address of the server."""

OF_LOAD: Final[Mapping[str, Metric]] = {
    "qwf_load_progress_ratio": _measured("Share of the points of a load that are stored.", "done"),
    "qwf_load_points": _measured("Points of a load.", "points"),
    "qwf_load_points_per_second": _measured("Points that a load stores in a second.", "rate"),
    "qwf_load_age_seconds": _measured("Time since a load began.", "age"),
    "qwf_load_held": _measured("1 while its owner works on a load, 0 if it was interrupted.", "held"),
}
"""Of a `LoadSampled`, by the name that is loaded."""

OF_CONNECTIONS: Final[Mapping[str, Metric]] = {
    f"qwf_connections_{name}_total": _counted(about, name)
    for name, about in {
        "opened": "Connections that a server let in.",
        "failed": "Attempts to connect that failed.",
        "turned_away": "Attempts to connect for which a server had no room.",
        "lost": "Open connections that broke.",
        "timeouts": "Answers that did not come in time.",
        "borrowed": "Times that a connection was lent to a task.",
    }.items()
}
"""Of `ConnectionCounts`."""

OF_READS: Final[Mapping[str, Metric]] = {
    "qwf_points_read_total": _counted("Points that were read.", "points"),
    "qwf_bytes_read_total": _counted("Bytes of the values that were read.", "nbytes"),
    "qwf_read_seconds_total": _counted("Time that reads took, of all tasks together.", "seconds"),
}
"""Of `ReadCounts`."""

OF_STUDY: Final[Mapping[str, Metric]] = {
    "qwf_study_offline": Metric(
        about="1 while a storage of studies works without its server.",
        of=lambda standing: standing.mode != "online",
    ),
    "qwf_study_failovers_total": _counted("Times that a storage went offline.", "failovers"),
    "qwf_study_recoveries_total": _counted("Times that a storage came back.", "recoveries"),
    "qwf_study_merged_entries_total": _counted(
        "Entries that were brought to the server after an outage.", "merged"
    ),
}
"""Of the `standing` of a storage of studies."""
