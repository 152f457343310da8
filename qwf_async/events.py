"""The events of an ingest, of a long read and of a watched server: frozen records, with which hooks are called.

The progress bar, the JSON report of the command line and the metrics are hooks. A hook is called on the
event loop and must return at once.

Each event also goes to the logger `qwf_async` of the standard library, where whoever uses the
package may listen; connections and attempts do so in `client`. Nothing is configured here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

LOG_EVERY: Final = 1.0
"""Seconds between two records of the log of the same kind, that say how far something is."""

_LOG: Final = logging.getLogger("qwf_async.events")
_NOTES: Final = logging.getLogger("qwf_async.notes")
for _log in (_LOG, _NOTES):
    _log.addHandler(logging.NullHandler())  # or Python would print warnings by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Points that are done by now, of how many in all, and the bytes that they took.

    Points of an ingest are done when the server has them or they are safe in the spool;
    `bytes_sent` are the requests that were encoded for them. Points of a read are done when
    they have been read; `bytes_sent` are then the bytes of their values, or 0 if nobody
    counts them. `phase` says what is done if it is not the main thing, as "verifying": points
    and bytes are counted from 0 in each phase. `name` is what a load is of; empty elsewhere.
    """

    points: int
    total: int
    bytes_sent: int = 0
    phase: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadEnded:
    """The load of a name has ended: published, or left so that it can be resumed."""

    name: str
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWritten:
    """A batch was stored by the server, in so many seconds from its first byte to the last reply."""

    points: int
    nbytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp:
    """What was removed because it is expendable: fields of scratch hashes, generations, abandoned loads."""

    scratch_fields: int
    generations: int
    abandoned_loads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """A batch will be sent again, after the `attempt`-th failure; `why` is the class of the reason."""

    chunk: int
    attempt: int
    reason: str
    why: Literal["away", "busy", "moved", "memory"] = "away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """Chunks that wait in the spool `where`, their size in bytes, and whether they are being replayed."""

    where: str = ""
    chunks: int
    nbytes: int
    replaying: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySampled:
    """The memory of the server at `where` in bytes, and the limit that it is compared with."""

    where: str = ""
    used: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMoved:
    """The memory gate of the server at `where` shut or opened."""

    where: str = ""
    shut: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something the user should know, in one line."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCommand:
    """An entry of a server's slow log, without what the command was about: of its arguments, number and bytes alone.

    `number` is the entry's, `time` when it was executed (Unix time, s), `seconds` how long that took.
    """

    number: int
    time: float
    seconds: float
    command: str
    arguments: int
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLink:
    """A replica as its primary sees it: `lag_bytes` it lacks, and heard of `lag_seconds` ago. None: not known yet."""

    where: str
    state: str
    lag_bytes: int | None = None
    lag_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryLink:
    """The primary of a replica, as that sees it.

    `lag_bytes` have been received, but not applied. For `silent_seconds` nothing was heard of it, or
    the link has been down. None: not known.
    """

    where: str
    is_up: bool
    syncing: bool = False
    lag_bytes: int | None = None
    silent_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What a server counted since the last sample of it, `seconds` before."""

    seconds: float
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None
    expired: int | None = None
    rejected: int | None = None

    @property
    def hit_rate(self) -> float | None:
        return hit_rate(self.hits, self.misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """A server as it was when asked. Memory in bytes; None where the server would not tell.

    `where` is its address. `limit` is its maxmemory, None if it has none; `machine` is the memory of
    its machine; `rss` is what its process has of it. `replicas` are those that are connected.
    `slots` is how many slots of a cluster, or of shards, it has; None for the only server.
    `saving` is true while a child saves: to the RDB file, or (`aof_rewriting`) to the append-only one.

    Counts since the server started: `rejected` connections, `commands`, `input_bytes` and
    `output_bytes` of the network, `hits` and `misses` of keys that were read, keys `evicted` and
    `expired`, and `slow_commands`. `input_rate` and `output_rate` are in kB/s, `uptime` in seconds,
    `last_save` is Unix time.

    Only for who samples a server again and again: `recent`, since the last sample, and `slow_log`, the
    latest entries that no earlier sample had, newest first.
    """

    where: str = ""
    software: str | None = None
    version: str | None = None
    allocator: str | None = None
    role: str | None = None
    used: int | None = None
    limit: int | None = None
    machine: int | None = None
    peak: int | None = None
    rss: int | None = None
    fragmentation: float | None = None
    policy: str | None = None
    settings: dict[str, str] | None = None
    loading: bool = False
    saving: bool = False
    changes_since_save: int | None = None
    last_save: int | None = None
    last_save_ok: bool | None = None
    aof: bool | None = None
    aof_rewriting: bool = False
    aof_write_ok: bool | None = None
    clients: int | None = None
    blocked_clients: int | None = None
    max_clients: int | None = None
    replicas: int | None = None
    replica_links: tuple[ReplicaLink, ...] = ()
    primary_link: PrimaryLink | None = None
    slots: int | None = None
    rejected: int | None = None
    uptime: int | None = None
    commands: int | None = None
    commands_per_second: int | None = None
    input_rate: float | None = None
    output_rate: float | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None
    expired: int | None = None
    slow_commands: int | None = None
    slow_log: tuple[SlowCommand, ...] | None = None
    recent: Recent | None = None
    forbidden: tuple[str, ...] = ()

    @property
    def hit_rate(self) -> float | None:
        """The share of reads that found their key, since the server started; None before the first."""
        return hit_rate(self.hits, self.misses)

    @property
    def fill(self) -> float | None:
        """How full it is, as a share of its limit; None without one."""
        return None if self.used is None or not self.limit else self.used / self.limit

    @property
    def durability(self) -> str:
        """How durable a write is on this server, by its own settings: memory, rdb or aof with its fsync."""
        settings = self.settings or {}
        if settings.get("appendonly") == "yes":
            return f"aof ({settings.get('appendfsync', 'unknown')})"
        if settings.get("save"):
            return f"rdb (save {settings['save']})"
        return "memory" if self.settings is not None else "unknown"


def hit_rate(hits: int | None, misses: int | None) -> float | None:
    """The share of hits; None without any reads, or if they are not known."""
    if hits is None or misses is None or not hits + misses:
        return None
    return hits / (hits + misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSampled:
    """A load under way, or interrupted: then nobody has `held` it. `done` is a share of its points, `age` in seconds.

    `rate` is in points/s, over the last 10 s or since the last sample, if that was longer ago; None in the first.
    """

    name: str
    generation: str
    points: int
    done: float
    rate: float | None
    owner: str
    held: bool
    age: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSampled:
    """A spool that waits on this machine's disk: `chunks` in it (None: not known, a process has it open), its bytes."""

    path: str
    name: str | None
    chunks: int | None
    nbytes: int
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSampled:
    """What each of the servers of a store said of itself, and what there is besides.

    Those that gave no answer are `away`, by their addresses. `loads` is None if it could not be read.
    `connections` are the counts of the pool, as `ConnectionCounts.to_json` gives them.
    """

    facts: tuple[ServerFacts, ...]
    away: tuple[str, ...] = ()
    loads: tuple[LoadSampled, ...] | None = None
    spools: tuple[SpoolSampled, ...] = ()
    connections: Mapping[str, Any] = field(default_factory=dict)


Event = (
    Progress
    | BatchWritten
    | LoadEnded
    | CleanedUp
    | Retried
    | Spooled
    | MemorySampled
    | GateMoved
    | Noted
    | ServerSampled
)
Hook = Callable[[Event], None]


class _Logged:
    """A hook that calls others, and writes each event to the log before."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._hooks = hooks
        self._due: dict[type[Event], float] = {}

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        is_last = isinstance(event, Progress) and event.points == event.total
        often = isinstance(event, Progress | BatchWritten | MemorySampled | Spooled) and not is_last
        if not often or now >= self._due.get(type(event), 0.0):
            self._due[type(event)] = now + LOG_EVERY
            _write(event)
        for hook in self._hooks:
            hook(event)


def logged(hooks: Sequence[Hook]) -> Hook:
    """A hook that calls each of these, and writes the event to the log before, if none of them does."""
    return hooks[0] if len(hooks) == 1 and isinstance(hooks[0], _Logged) else _Logged(hooks)


def _write(event: Event) -> None:
    match event:
        case Progress(points=points, total=total, bytes_sent=nbytes):
            _LOG.info("%d of %d points done, %d bytes", points, total, nbytes)
        case Retried(chunk=chunk, attempt=attempt, reason=reason):
            _LOG.info("chunk %d is sent again after attempt %d: %s", chunk, attempt, reason)
        case Spooled(chunks=chunks, nbytes=nbytes, replaying=replaying):
            state = "being replayed" if replaying else "waiting"
            _LOG.info("%d chunks in the spool (%d bytes), %s", chunks, nbytes, state)
        case GateMoved(shut=shut, reason=reason):
            _LOG.info("the memory gate %s: %s", "is shut" if shut else "opened", reason)
        case MemorySampled(where=where, used=used, limit=limit):
            _LOG.debug("%s: memory %d bytes, limit %s", where, used, limit)
        case Noted(text=text, warning=warning):
            _NOTES.log(logging.WARNING if warning else logging.INFO, "%s", text)
        case _:
            _LOG.debug("%r", event)


def progress_of(hook: Hook, total: int, *, point_bytes: int = 0, phase: str = "") -> Callable[[int], None]:
    """A function that takes the points of each part as it is done, and tells the hook how many of `total` are done.

    With `point_bytes`, the size of one value, it tells the bytes of the values too. `phase` is as in `Progress`.
    """
    points = 0
    hook = logged([hook])

    def done(more: int) -> None:
        nonlocal points
        points += more
        now, nbytes = min(points, total), points * point_bytes
        hook(Progress(points=now, total=total, bytes_sent=nbytes, phase=phase))

    return done
